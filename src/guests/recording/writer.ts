/**
 * The main thread's hold on the thread that writes one recording. What is sent in one turn of the event loop goes as one
 * message; what waits for the thread is bounded, and what does not fit any more is counted instead. Main thread only.
 */
import { Worker } from 'node:worker_threads';
import type { FromWriter, Last, ToWriter, WriterBirth } from './messages.ts';

type Written = Extract<FromWriter, { kind: 'written' }>;
export type WrittenFile = Extract<FromWriter, { kind: 'ended' }>;

export interface Writer {
  send(message: ToWriter): void;
  /** False: too much waits for the thread, so nothing more should be sent. */
  keepsUp(): boolean;
  /** What it said last. */
  written(): Written;
  /** Resolves with the file, and ends the thread. */
  end(last: Last): Promise<WrittenFile>;
  /** Ends the thread; the file is lost. */
  drop(): void;
}

/** `backlogBytesMax`: frames and answers that may wait for the thread. */
export function openWriter(
  birth: WriterBirth,
  backlogBytesMax: number,
  onFull: () => void,
): Writer {
  const thread = new Worker(new URL('./writer-thread.ts', import.meta.url), {
    workerData: birth,
    name: 'recording',
  });
  thread.unref();
  const file = Promise.withResolvers<WrittenFile>();
  // Nobody may be waiting for it yet.
  file.promise.catch(() => {});
  let waiting: ToWriter[] = [];
  let backlogBytes = 0;
  let written: Written = {
    kind: 'written',
    bytesTaken: 0,
    events: 0,
    fileBytes: 0,
    full: undefined,
  };
  thread.on('message', (message: FromWriter) => {
    if (message.kind === 'ended') return file.resolve(message);
    const wasFull = written.full !== undefined;
    written = message;
    backlogBytes -= message.bytesTaken;
    if (message.full !== undefined && !wasFull) onFull();
  });
  thread.on('error', (error) => file.reject(error));
  thread.on('exit', () => file.reject(new Error('the thread of a recording ended')));
  function flush(): void {
    if (waiting.length > 0) thread.postMessage(waiting);
    waiting = [];
  }
  return {
    send(message) {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push(message);
      if ('bytes' in message) backlogBytes += message.bytes.byteLength;
    },
    keepsUp: () => backlogBytes < backlogBytesMax,
    written: () => written,
    async end(last) {
      waiting.push({ kind: 'end', last });
      flush();
      try {
        return await file.promise;
      } finally {
        void thread.terminate();
      }
    },
    drop: () => void thread.terminate(),
  };
}
