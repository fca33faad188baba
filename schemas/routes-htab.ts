/** Rows of the table of routes: a guest's table as a stream. routes.ts puts all rows together. */
import { z } from 'zod';
import { done, guest, looking, ok, running, unread, type Route } from './route.ts';

const OCTETS = 'application/octet-stream';
const yesOrNo = z.enum(['true', 'false']).default('false');

export const HTAB: readonly Route[] = [
  {
    method: 'GET',
    path: `${guest}/htab`,
    id: 'readTable',
    tag: 'table',
    summary: 'the table as a stream of records, in full',
    query: [
      { name: 'bolted', meaning: 'bolted entries only', schema: yesOrNo, required: false },
      {
        name: 'follow',
        meaning: 'keep a reader, named by the header Location, whose next passes give what changed',
        schema: yesOrNo,
        required: false,
      },
    ],
    answers: ok(OCTETS, 'the first pass'),
    problems: [...looking, 'htab-reader-limit', 'stream-limit', 'query-invalid'],
  },
  {
    method: 'PUT',
    path: `${guest}/htab`,
    id: 'loadTable',
    tag: 'table',
    summary: 'load a stream of records into a paused guest',
    body: OCTETS,
    answers: ok('TableLoaded', 'all of it is in the table'),
    problems: [...looking, ...unread, 'htab-invalid', 'stream-limit', 'query-invalid'],
  },
  {
    method: 'GET',
    path: `${guest}/htab/readers/{reader}`,
    id: 'readTablePass',
    tag: 'table',
    summary: 'the next pass of a reader: what changed since its last',
    answers: ok(OCTETS, 'the pass'),
    problems: [...looking, 'htab-reader-not-found', 'htab-reader-busy', 'stream-limit'],
  },
  {
    method: 'DELETE',
    path: `${guest}/htab/readers/{reader}`,
    id: 'closeTableReader',
    tag: 'table',
    summary: 'close a reader',
    answers: done('closed'),
    problems: [...running, ...unread, 'htab-reader-not-found', 'htab-reader-busy'],
  },
];
