/** Rows of the table of routes: what outlives the daemon. routes.ts puts all rows together. */
import { guest, named, ok, running, unread, type Route } from './route.ts';

export const STATE: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/state',
    id: 'getState',
    tag: 'state',
    summary: 'what is kept of the guests, and whether that goes well',
    answers: ok('State', 'the state of the daemon'),
    problems: ['state-off'],
  },
  {
    method: 'GET',
    path: `${guest}/snapshots`,
    id: 'listSnapshots',
    tag: 'state',
    summary: 'the snapshots of a guest, the newest first',
    answers: ok('SnapshotList', 'the snapshots'),
    problems: [...named, 'state-off'],
  },
  {
    method: 'POST',
    path: `${guest}/snapshots`,
    id: 'takeSnapshot',
    tag: 'state',
    summary: 'take a snapshot of a guest',
    answers: { 201: { meaning: 'it is on the disk', content: 'Snapshot' } },
    problems: [...running, ...unread, 'state-off'],
  },
];
