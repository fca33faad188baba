/**
 * Files that may break a rule, each with the reason. An exception that no file needs any more is itself a breach: the list
 * can only shrink unnoticed, never grow old.
 */

export interface Exception {
  readonly rule: string;
  readonly path: string;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    rule: 'only a processor waits',
    path: 'test/schedule/stage.ts',
    reason: 'threads of a schedule wait for their turn; they are workers with nothing else to do',
  },
  {
    rule: 'only a processor waits',
    path: 'test/linearizability/performer.ts',
    reason: 'performers are workers that stumble on purpose, so that others overtake them',
  },
  {
    rule: 'tests and load drivers speak to this machine only',
    path: 'test/client/rest.test.ts',
    reason: 'it takes addresses apart and connects to none of them',
  },
  {
    rule: 'tests and load drivers speak to this machine only',
    path: 'test/operations/config.test.ts',
    reason: 'it takes addresses apart and listens on none of them',
  },
];
