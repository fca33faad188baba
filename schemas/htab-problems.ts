/** What can be wrong with reading and loading a table as a stream: rows of the catalogue in problems.ts. */
import type { ProblemRow } from './problems.ts';

export const HTAB_PROBLEMS = {
  'htab-invalid': {
    status: 422,
    title: 'Not a table stream',
    meaning:
      'A record or an entry of the stream cannot be loaded into this table. What came before it is loaded, and some of what came after it may be.',
    whatToDo:
      'Load the whole stream again, into a table of the order it was read from, or make the table empty with the control operation HPT_RESET.',
  },
  'htab-reader-limit': {
    status: 409,
    title: 'Too many table readers',
    meaning: 'The guest has as many readers of its table stream open as it may.',
    whatToDo: 'DELETE a reader that is not needed, or wait: those left alone are closed.',
  },
  'htab-reader-not-found': {
    status: 404,
    title: 'No such table reader',
    meaning: 'The reader was closed, or never was, or belongs to another guest.',
    whatToDo: 'Begin again with GET …/htab?follow=true.',
  },
  'htab-reader-busy': {
    status: 409,
    title: 'The table reader is in a pass',
    meaning: 'A pass of this reader is being read; passes come one after the other.',
    whatToDo: 'Read it to its end first, or close the connection that reads it.',
  },
} as const satisfies Record<string, ProblemRow>;
