/** Another thread that holds locks of a guest by hand and lets go of them while this thread waits in an hcall. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface Holding {
  readonly memory: WebAssembly.Memory;
}

/** What the other thread does next: waits some milliseconds, or looks at or changes a 64-bit word. */
export type Deed =
  | { readonly pause: number }
  | { readonly at: number; readonly look: true }
  | { readonly at: number; readonly store: bigint }
  | { readonly at: number; readonly set: bigint }
  | { readonly at: number; readonly clear: bigint };

export interface Holder {
  /** Starts them and returns at once; `seen` later gives the words looked at. */
  begin(deeds: readonly Deed[]): void;
  seen(): Promise<bigint[]>;
  end(): Promise<void>;
}

export async function startHolder(memory: WebAssembly.Memory): Promise<Holder> {
  const holding: Holding = { memory };
  const worker = new Worker(new URL('./lock-holder.ts', import.meta.url), { workerData: holding });
  await once(worker, 'message');
  let answer: Promise<unknown[]> | undefined;
  return {
    begin(deeds) {
      answer = once(worker, 'message');
      worker.postMessage(deeds);
    },
    async seen() {
      const [words] = (await answer) ?? [];
      return words as bigint[];
    },
    async end() {
      await worker.terminate();
    },
  };
}
