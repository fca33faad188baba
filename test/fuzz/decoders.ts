/** Every decoder that a guest, or who hands hptd a file, can reach. */
import type { Decoder } from './decoder.ts';
import { BINARY_RECORDS, TABLE_STREAMS } from './frames.ts';
import { JSON_FRAMES, REST_BODIES } from './requests.ts';
import { TRACE_FILES } from './traces.ts';

export const DECODERS: readonly Decoder[] = [
  BINARY_RECORDS,
  TABLE_STREAMS,
  JSON_FRAMES,
  REST_BODIES,
  TRACE_FILES,
];
