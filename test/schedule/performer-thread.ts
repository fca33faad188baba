/** A thread of schedules, but for the first, which is the explorer's own. It is lent to one program after the other. */
import { parentPort } from 'node:worker_threads';
import { openPerformer, performOthers } from './performer.ts';
import type { Part } from './performer.ts';
import { openStage } from './stage.ts';

parentPort!.on('message', (part: Part) => {
  const performer = openPerformer(part, openStage(part.stage));
  parentPort!.postMessage('ready');
  performOthers(performer, part.thread);
});
