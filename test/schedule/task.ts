/** What a test asks of the explorer's thread, and how. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Report } from './explorer.ts';
import type { Program } from './programs.ts';
import type { RandomTask } from './random.ts';
import type { SlotSearch } from './scene.ts';

export interface Task {
  readonly program: Program;
  /** Preemptions are allowed one after the other as long as so many schedules do for them; two at least. */
  readonly budget?: number;
  /** This schedule, as a text, and no other. */
  readonly replay?: string;
  readonly random?: RandomTask;
  readonly slotSearch?: SlotSearch;
}

export interface Explorer {
  perform(task: Task): Promise<Report>;
  close(): Promise<void>;
}

export function startExplorer(): Explorer {
  const worker = new Worker(new URL('./explorer-thread.ts', import.meta.url));
  return {
    async perform(task) {
      const answer = once(worker, 'message');
      worker.postMessage(task);
      const [report] = (await answer) as [Report];
      return report;
    },
    async close() {
      await worker.terminate();
    },
  };
}
