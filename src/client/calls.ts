/**
 * Records in, answers out, over a stream: the comfortable form, with an object per hcall. Calls may overlap; each is
 * answered in order. It becomes the stream's listener, so one stream is used either through this or raw.
 */
import {
  type AnswerRecord,
  decodeAnswers,
  encodeRequests,
  type RequestRecord,
  requestBytes,
} from '../../schemas/records.ts';
import type { HcallStream } from './stream.ts';

export interface Calls {
  /** Sends records, as many frames as they need, and gives their answers. */
  call(records: readonly RequestRecord[]): Promise<AnswerRecord[]>;
}

interface Pending {
  readonly answers: AnswerRecord[];
  readonly expected: number;
  readonly done: PromiseWithResolvers<AnswerRecord[]>;
}

export function openCalls(stream: HcallStream): Calls {
  const pending: Pending[] = [];
  stream.onAnswers((bytes) => {
    for (const answer of decodeAnswers(bytes)) {
      const first = pending[0]!;
      first.answers.push(answer);
      if (first.answers.length === first.expected) pending.shift()!.done.resolve(first.answers);
    }
  });
  void stream.ended.then((end) => {
    for (const call of pending.splice(0)) call.done.reject(end);
  });
  return {
    call: (records) => {
      if (records.length === 0) return Promise.resolve([]);
      const done = Promise.withResolvers<AnswerRecord[]>();
      pending.push({ answers: [], expected: records.length, done });
      sendAll(stream, records).catch(done.reject);
      return done.promise;
    },
  };
}

/** Frames wait for credits inside the stream, in order, so that overlapping calls do not mix. */
async function sendAll(stream: HcallStream, records: readonly RequestRecord[]): Promise<void> {
  const waits: Promise<void>[] = [];
  for (const frame of frames(records, stream.hello.limits.frameBytes)) {
    const wait = stream.sendFrame(frame.bytes, frame.records);
    if (wait !== undefined) waits.push(wait);
  }
  await Promise.all(waits);
}

function frames(
  records: readonly RequestRecord[],
  frameBytes: number,
): { bytes: Uint8Array; records: number }[] {
  const cut: { bytes: Uint8Array; records: number }[] = [];
  for (let first = 0; first < records.length; ) {
    let end = first;
    let bytes = 0;
    while (
      end < records.length &&
      (end === first || bytes + requestBytes(records[end]!) <= frameBytes)
    ) {
      bytes += requestBytes(records[end]!);
      end++;
    }
    cut.push({ bytes: encodeRequests(records.slice(first, end)), records: end - first });
    first = end;
  }
  return cut;
}
