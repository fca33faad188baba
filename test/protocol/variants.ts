/** What is run: the protocol in four worlds, in which nothing may be found, and with one mistake each, which must be. */

export interface Variant {
  readonly name: string;
  /** For spin, without `-D`. */
  readonly flags: readonly string[];
  /** What spin must report; undefined: no error, and every H_ENTER that can answer H_PTEG_FULL did so. */
  readonly error: RegExp | undefined;
  /** What is to be seen at the end of the counterexample. */
  readonly conclusion?: string;
  /** The processes as init starts them, for the drawing. */
  readonly processes: readonly string[];
}

const MOVER = 'H_REMOVE, H_ENTER (H_EXACT)';
const FALSE_FULL = /assertion violated wasFull/;
const STALE = /assertion violated .*unmapped/;
const TWO_HOLDERS = /assertion violated \(holder/;
const DEADLOCK = /invalid end state/;

export const SOUND: readonly Variant[] = [
  {
    name: 'linearizable: one H_ENTER, and entries that move',
    flags: ['MOVERS=1', 'CALLS=3'],
    error: undefined,
    processes: ['H_ENTER', MOVER],
  },
  {
    name: 'linearizable: two H_ENTERs, so two second passes, and an hcall that takes or frees a slot',
    flags: ['ENTERS=2', 'MOVERS=1'],
    error: undefined,
    processes: ['H_ENTER', 'H_ENTER', MOVER],
  },
  {
    name: 'linearizable: H_ENTER, bulk removals in opposite order, the host unmaps',
    flags: ['BULKS=2', 'UNMAPS=1'],
    error: undefined,
    processes: ['H_ENTER', 'H_BULK_REMOVE 0, 2', 'H_BULK_REMOVE 2, 0', 'HOST_UNMAP'],
  },
  {
    name: 'linearizable: two H_ENTERs, the host unmaps',
    flags: ['ENTERS=2', 'UNMAPS=1'],
    error: undefined,
    processes: ['H_ENTER', 'H_ENTER', 'HOST_UNMAP'],
  },
  {
    name: 'linearizable: a bulk removal of any two entries or of one twice, the host unmaps',
    flags: ['ENTERS=0', 'BULKS=1', 'UNMAPS=1'],
    error: undefined,
    processes: ['H_BULK_REMOVE', 'HOST_UNMAP'],
  },
];

export const BROKEN: readonly Variant[] = [
  {
    name: 'one-pass: a look at a free slot makes H_ENTER answer H_PTEG_FULL',
    flags: ['SLOT_SEARCH=ONE_PASS', 'BULKS=1'],
    error: FALSE_FULL,
    conclusion:
      "A slot is free at every instant of A's call. B only looks whether there is something to remove in it, and the one try falls into that moment: the answer is wrong.",
    processes: ['H_ENTER', 'H_BULK_REMOVE'],
  },
  {
    name: 'two-pass: an entry hops behind the scan, H_ENTER answers H_PTEG_FULL',
    flags: ['SLOT_SEARCH=TWO_PASS', 'MOVERS=1', 'CALLS=3'],
    error: FALSE_FULL,
    conclusion:
      "A slot is free at every instant of A's call, but never the one that A looks at: first B looks at it, then B empties a slot behind the scan and fills the one ahead of it. The answer is wrong.",
    processes: ['H_ENTER', MOVER],
  },
  {
    name: 'no re-check when the entry is linked: a mapping outlives its page',
    flags: ['BREAK=NO_RECHECK', 'UNMAPS=1'],
    error: STALE,
    conclusion:
      'B was through with the chain before A came to it, and A does not ask again. HOST_UNMAP is over, and the slot maps the page.',
    processes: ['H_ENTER', 'HOST_UNMAP'],
  },
  {
    name: 're-check before the entry is on its chain: a mapping outlives its page',
    flags: ['BREAK=LINKS_LAST', 'UNMAPS=1'],
    error: STALE,
    conclusion:
      'A asks whether an invalidation ran or runs (no) while the chain is still empty; B finds nothing on it. HOST_UNMAP is over, and the slot maps the page.',
    processes: ['H_ENTER', 'HOST_UNMAP'],
  },
  {
    name: 're-check in the wrong order: a mapping outlives its page',
    flags: ['BREAK=SEQUENCE_FIRST', 'UNMAPS=1'],
    error: STALE,
    conclusion:
      'A asks whether the sequence moved (not yet), B moves it and counts itself out, A asks whether B still runs (no longer). HOST_UNMAP is over, and the slot maps the page.',
    processes: ['H_ENTER', 'HOST_UNMAP'],
  },
  {
    name: 'bulk removals that wait for their second entry: deadlock',
    flags: ['BREAK=BULK_WAITS', 'ENTERS=0', 'BULKS=2'],
    error: DEADLOCK,
    conclusion: 'Each has what the other waits for.',
    processes: ['H_BULK_REMOVE 0, 2', 'H_BULK_REMOVE 2, 0'],
  },
  {
    name: 'the host waits for an entry under the chain lock: deadlock',
    flags: ['BREAK=UNMAP_WAITS', 'ENTERS=0', 'BULKS=1', 'UNMAPS=1'],
    error: DEADLOCK,
    conclusion:
      'B has the chain and waits for the entry. A has the entry and, to finish its batch, waits for the chain.',
    processes: ['H_BULK_REMOVE', 'HOST_UNMAP'],
  },
  {
    name: 'a lock taken by a load and a store: two holders',
    flags: ['BREAK=NO_COMPARE', 'ENTERS=2'],
    error: TWO_HOLDERS,
    conclusion: 'Both see the slot free, both take it.',
    processes: ['H_ENTER', 'H_ENTER'],
  },
];
