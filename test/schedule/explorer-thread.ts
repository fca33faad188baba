/**
 * The thread that performs the tasks of schedule tests, one after the other. It is thread 0 of every schedule; the others
 * are started when a program first needs them, and lent to each program in turn.
 */
import { once } from 'node:events';
import { Worker, parentPort } from 'node:worker_threads';
import { compileYieldEngine } from '../engine/yield-build.ts';
import { explore, openExploration, replay } from './explorer.ts';
import type { Exploration, Report } from './explorer.ts';
import type { Part } from './performer.ts';
import { exploreAtRandom } from './random.ts';
import { openScene } from './scene.ts';
import { QUIT, createStage, giveBaton, openStage } from './stage.ts';
import type { Task } from './task.ts';

const module = await compileYieldEngine();
const others: Worker[] = [];

async function performTask(task: Task): Promise<Report> {
  const { program } = task;
  const scene = openScene(program, task.slotSearch);
  const stage = createStage();
  const partOf = (thread: number): Part => ({
    thread,
    stage,
    module,
    memory: scene.guest.memory,
    watched: {
      table: scene.guest.word32(scene.guest.exports.TABLE_BASE!),
      tlbie: scene.tlbieOf(thread),
    },
    neverWaits: program.neverWaits === thread,
  });
  while (others.length < program.threads.length - 1)
    others.push(new Worker(new URL('./performer-thread.ts', import.meta.url)));
  const busy = others.slice(0, program.threads.length - 1);
  const ready = busy.map((other) => once(other, 'message'));
  for (const [i, other] of busy.entries()) other.postMessage(partOf(i + 1));
  await Promise.all(ready);
  const exploration = openExploration(program, scene, partOf(0));
  const report = reportOf(task, exploration);
  const opened = openStage(stage);
  opened.words[QUIT] = 1;
  for (const i of busy.keys()) giveBaton(opened, i + 1);
  return report;
}

function reportOf(task: Task, exploration: Exploration): Report {
  if (task.replay !== undefined) return replay(exploration, task.replay);
  if (task.random !== undefined) return exploreAtRandom(exploration, task.random);
  return explore(exploration, task.budget ?? Infinity);
}

parentPort!.on('message', (task: Task) => {
  void performTask(task).then((report) => parentPort!.postMessage(report));
});
