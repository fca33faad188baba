/** The TypeScript client: what programs outside this repository may import from it, as `hptd/client`. docs/client.md. */
export { DEFAULT_URL, streamUrl } from './address.ts';
export type { AnswerOf, ArgumentsOf, Call, HcallName, OperationName } from './call-types.ts';
export { type Client, connect, type GuestDescription } from './connect.ts';
export type { Credentials } from './credentials.ts';
export {
  type CallOutcome,
  CallsLostError,
  ProtocolError,
  RefusedError,
  StreamEndedError,
  UnavailableError,
} from './errors.ts';
export type { GuestStream, GuestStreamOptions, StreamState } from './guest-stream.ts';
export type { Backoff } from './reconnect.ts';
export { connectRest, type Json, type Rest } from './rest.ts';
export {
  type AnswerListener,
  connectStream,
  type HcallStream,
  type StreamOptions,
} from './stream.ts';
