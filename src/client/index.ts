/** The TypeScript client: what programs outside this repository may import from it. */
export { DEFAULT_URL, streamUrl } from './address.ts';
export { type Calls, openCalls } from './calls.ts';
export { ProtocolError, RefusedError, StreamEndedError, UnavailableError } from './errors.ts';
export { connectRest, type Json, type Rest } from './rest.ts';
export {
  type AnswerListener,
  connectStream,
  type HcallStream,
  type StreamOptions,
} from './stream.ts';
