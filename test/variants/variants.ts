/**
 * Engines with one mistake each, and the test that must notice it. A mistake is what a tired programmer could write: it
 * compiles, it answers right as long as nobody disturbs, and it is wrong.
 */
import type { Substitution } from '../../load/engine-variant.ts';

/** A test file that runs the engine's test build, from the project's root. */
export const SUITES = {
  interleavings: 'test/schedule/interleavings.test.ts',
  death: 'test/failure/death.test.ts',
  random: 'test/schedule/random.test.ts',
  'lock failures': 'test/schedule/lock-failures.test.ts',
} as const;

export interface Variant {
  readonly name: string;
  /** What goes wrong then. */
  readonly why: string;
  readonly substitutions: readonly Substitution[];
  /** Who must notice, in which of its tests. */
  readonly suite: keyof typeof SUITES;
  readonly test: string;
  /** What must be complained about. */
  readonly complaint: RegExp;
}

function change(file: string, text: string, replacement: string): Substitution {
  return { file, text, replacement };
}

const NO_ORDER = /no order of the calls explains what was seen/;
const DEADLOCK = /deadlock: every thread waits/;
const FREED_TOO_SOON = /a slot was given up before its translation was invalidated/;

export const VARIANTS: readonly Variant[] = [
  {
    name: 'no re-check under the lock',
    why: 'H_ENTER with H_EXACT waits for its slot and takes it, whatever has been put there meanwhile',
    substitutions: [
      change(
        'hcalls/enter.ts',
        'if ((v & HPTE_V_TAKEN) == 0) return entry;\n  because(',
        'if ((v & HPTE_V_HVLOCK) != 0) return entry;\n  because(',
      ),
    ],
    suite: 'interleavings',
    test: 'enter/enter, one slot',
    complaint: FREED_TOO_SOON,
  },
  {
    name: 'a free slot is not looked at again when its lock is got',
    why: 'two H_ENTERs that saw the same slot free both take it, one after the other',
    substitutions: [
      change(
        'hcalls/enter.ts',
        'if (lockHpteIfStill(entry, v)) return entry;',
        'if (tryLockHpte(entry, HPTE_V_HVLOCK)) return entry;',
      ),
    ],
    suite: 'interleavings',
    test: 'enter/enter',
    complaint: NO_ORDER,
  },
  {
    name: 'a lock taken by a load and a store',
    why: 'two processors see the lock free and both take it',
    substitutions: [
      change(
        'hpte-lock.ts',
        'if (atomic.cmpxchg<u64>(entry, v, v | HPTE_V_HVLOCK) != v) {\n    journalReleased(at);\n    return false;\n  }',
        'yieldPoint(AT_LOCKED);\n  if (atomic.load<u64>(entry) != v) {\n    journalReleased(at);\n    return false;\n  }\n  yieldPoint(AT_LOCKED);\n  atomic.store<u64>(entry, v | HPTE_V_HVLOCK);',
      ),
    ],
    suite: 'interleavings',
    test: 'enter/enter, one slot',
    complaint: FREED_TOO_SOON,
  },
  {
    name: 'two passes in the default protocol',
    why: 'the second pass unlocks each slot again, so an entry that hops behind it makes a free slot look taken',
    substitutions: [
      change(
        'hcalls/enter.ts',
        'return search == SLOT_SEARCH_LINEARIZABLE ? lockFreeSlotForSure(first) : lockFreeSlotAsBefore(first, search);',
        'return lockFreeSlotAsBefore(first, search);',
      ),
    ],
    suite: 'interleavings',
    test: 'enter/an entry that hops behind the scan',
    complaint: NO_ORDER,
  },
  {
    name: 'bulk removals wait for their second entry',
    why: 'two that name the same entries in opposite order wait for each other',
    substitutions: [
      change(
        'hcalls/bulk-remove.ts',
        `if (batch == 0 || !tryLockHpte(entry, HPTE_V_HVLOCK, record)) {
    finishBatch();
    lockHpte(entry, record);
  }`,
        'lockHpte(entry, record);',
      ),
    ],
    suite: 'interleavings',
    test: 'bulk/bulk in opposite order',
    complaint: DEADLOCK,
  },
  {
    name: 'the host waits for an entry under the chain lock',
    why: 'the holder of the entry waits for that chain',
    substitutions: [
      change(
        'host/unmap.ts',
        `if (!tryLockHpte(entry, HPTE_V_HVLOCK)) {
      unlockChain(rmap, word, STEP_TAKING);
      awaitUnlocked(entry);
      continue;
    }`,
        'lockHpte(entry);',
      ),
    ],
    suite: 'interleavings',
    test: 'remove/unmap',
    complaint: DEADLOCK,
  },
  {
    name: 'the lock is dropped before the invalidation',
    why: 'the slot can be entered again while the old translation lives',
    substitutions: [
      change(
        'hcalls/remove.ts',
        'store<u64>(entry, locked & ~HPTE_V_VALID);\n    tlbie(',
        'unlockHpte(entry, locked & ~HPTE_V_VALID);\n    tlbie(',
      ),
    ],
    suite: 'interleavings',
    test: 'remove/remove',
    complaint: FREED_TOO_SOON,
  },
  {
    name: 'H_ENTER puts its entry on an empty chain and does not ask whether the host page went away',
    why: 'the host has been through the chain before the entry is put on it: the mapping outlives the page',
    substitutions: [
      change(
        'hcalls/enter.ts',
        'return hostChangedSince(sequence) ? unlinkAgain(rmap, ptex) : word;',
        'return word;',
      ),
    ],
    suite: 'interleavings',
    test: 'enter/unmap',
    complaint: NO_ORDER,
  },
  {
    name: 'H_ENTER asks so before it is on the chain',
    why: 'the host goes through the chain between the question and the linking',
    substitutions: [
      change(
        'hcalls/enter.ts',
        'if (appendAlone(rmap, word, ptex)) return hostChangedSince(sequence) ? unlinkAgain(rmap, ptex) : word;',
        'const changed = hostChangedSince(sequence);\n    if (appendAlone(rmap, word, ptex)) return changed ? unlinkAgain(rmap, ptex) : word;',
      ),
    ],
    suite: 'interleavings',
    test: 'enter/unmap, empty chain',
    complaint: NO_ORDER,
  },
  {
    name: 'a longer chain does not say so in its word',
    why: 'who takes the head off as if it were alone loses the other entries of the chain',
    substitutions: [change('revmap.ts', 'return word | RMAP_MANY;', 'return word;')],
    suite: 'interleavings',
    test: 'enter/remove of the only one',
    complaint: /is VALID: its chain/,
  },
  {
    name: 'HOST_PAGE_FAULT does not ask so',
    why: 'the entry is made VALID for a page that is gone',
    substitutions: [
      change(
        'host/page-fault.ts',
        'const word = lockChain(rmap);\n  if (hostChangedSince(sequence)) {',
        'const word = lockChain(rmap);\n  if (false) {',
      ),
    ],
    suite: 'interleavings',
    test: 'page fault/unmap',
    complaint: NO_ORDER,
  },
  {
    name: 'H_READ without the lock',
    why: 'a pair is torn: dword 0 of one entry, dword 1 of the next one in that slot',
    substitutions: [
      change(
        'hcalls/read.ts',
        'const locked = lockHpte(entry);\n  const real',
        'const locked = atomic.load<u64>(entry);\n  yieldPoint(AT_READ);\n  const real',
      ),
      change('hcalls/read.ts', '  unlockHpte(entry, locked);\n', ''),
      change(
        'hcalls/read.ts',
        "import { lockHpte, unlockHpte } from '../hpte-lock';",
        "import { AT_READ, yieldPoint } from '../yield-point';",
      ),
    ],
    suite: 'interleavings',
    test: 'read/remove, enter',
    complaint: NO_ORDER,
  },
  {
    name: 'H_RESIZE_HPT_COMMIT does not wait for those who run',
    why: 'the table is replaced under the feet of an hcall',
    substitutions: [
      change(
        'gate.ts',
        'while (p != selfIndex && atomic.load<i32>(active) != AWAY) {',
        'while (p != selfIndex && atomic.load<i32>(active) == PARKED) {',
      ),
    ],
    suite: 'interleavings',
    test: 'resize/remove, enter',
    complaint: /does not point back to/,
  },
  {
    name: 'recovery forgets the chain lock and the links',
    why: 'who dies while it links leaves a chain that is locked for ever and half linked',
    substitutions: [
      change(
        'recovery.ts',
        'if (isDead(p)) mendChain(p, PROCESSORS',
        'if (false) mendChain(p, PROCESSORS',
      ),
    ],
    suite: 'death',
    test: 'death at every point of H_ENTER',
    complaint: /deaths after .*: waits for what nobody frees/,
  },
  {
    name: 'recovery forgets that an undone entry belongs onto its chain, or off it',
    why: 'the H_ENTER that begins anew puts an entry onto its chain a second time',
    substitutions: [
      change(
        'recovery.ts',
        '  mendMembership(ptexOf(entry), guestV(v, load<u64>(entry, 8)));\n',
        '',
      ),
    ],
    suite: 'death',
    test: 'death at every point of H_ENTER',
    complaint: /deaths after/,
  },
  {
    name: 'recovery does not undo the words of an entry',
    why: 'the H_CLEAR_REF that begins anew finds the R gone that it has to answer',
    substitutions: [
      change('recovery.ts', '  restoreWords(record);\n  mendMembership', '  mendMembership'),
    ],
    suite: 'death',
    test: 'death at every point of H_CLEAR_REF and H_CLEAR_MOD',
    complaint: /deaths after/,
  },
  {
    name: 'the answer is written down after the change is visible',
    why: 'who dies in between is taken for one that did nothing, and its removal is done a second time',
    substitutions: [
      change(
        'hcalls/remove.ts',
        'if (answers) journalAnswer(H_SUCCESS, 2);\n  unlockHpte(entry, 0);',
        'unlockHpte(entry, 0);\n  if (answers) journalAnswer(H_SUCCESS, 2);',
      ),
    ],
    suite: 'death',
    test: 'death at every point of H_REMOVE',
    complaint: /deaths after/,
  },
  {
    name: 'who steps back leaves its entry as it is',
    why: 'an H_REMOVE that was not executed has cleared VALID all the same',
    substitutions: [
      change(
        'step-back.ts',
        'load<u64>(record, RECORD_V) & ~HPTE_V_HVLOCK',
        'load<u64>(<usize>(named & RECORD_ADDRESS)) & ~HPTE_V_HVLOCK',
      ),
    ],
    suite: 'interleavings',
    test: 'never waiting: remove/remove, neighbours',
    complaint: /something is chained that is not VALID/,
  },
  {
    name: 'who steps back keeps its locks',
    why: 'the processor that is to execute the hcall waits for them for ever',
    substitutions: [change('step-back.ts', 'if (named == 0) continue;', 'if (true) continue;')],
    suite: 'interleavings',
    test: 'never waiting: remove/remove, neighbours',
    complaint: DEADLOCK,
  },
];
