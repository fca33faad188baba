/**
 * The reference model: a slow, obvious, sequential hashed page table to compare the engine with.
 *
 * Written from the specification alone, in BigInt, with nothing shared with the engine but the
 * schemas. One call at a time; a call is atomic.
 *
 * `call` takes every name of schemas/operations.ts with the arguments in that order. Of an hcall
 * `status` is r3 and `out` is r4 on; on failure `out` is empty, but for H_BULK_REMOVE and
 * H_BLOCK_REMOVE, which give back every register they were given. A control operation that was
 * executed has status 0 and its result in out[0]; HTAB_WRITE says how far it came when it failed, too.
 */
import { operationByName } from '../../schemas/operations.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { hEnter } from './enter.ts';
import {
  hBlockRemove,
  hBulkRemove,
  hClearHpt,
  hClearMod,
  hClearRef,
  hProtect,
  hRead,
  hRemove,
} from './hcalls.ts';
import {
  ageEntry,
  ageFrame,
  hostAge,
  hostDirty,
  hostPageFault,
  hostSetPte,
  hostUnmap,
  setRc,
  unmapEntry,
} from './host.ts';
import { htabClose, htabOpen, htabRead, htabWrite } from './htab.ts';
import { entryInspect, tableCount, tableHash, tableShape } from './inspect.ts';
import { hPageInit, memoryRead, memoryWrite } from './memory.ts';
import { memslotAdd, memslotRemove } from './memslots.ts';
import { hResizeHptCommit, hResizeHptPrepare, hptFree, hptReset, hptResize } from './resize.ts';
import {
  type Answer,
  type Entry,
  type ModelConfig,
  type State,
  createState,
  entryCount,
  fail,
  shownEntry,
} from './table.ts';
import { walk } from './walk.ts';

export type { ModelConfig } from './table.ts';

export interface Counters {
  tlbie: number;
  mmioUpdate: number;
  invalidateSeq: number;
}

export interface Model {
  call(name: string, args: readonly bigint[]): Answer;
  /** log2 of the table's bytes; 0: no table. */
  order(): number;
  entryCount(): number;
  /** A copy of the slot: the dwords in the table's own format, then as H_READ shows them. */
  entry(ptex: number): Entry & { pteh: bigint; ptel: bigint };
  /**
   * The VALID entries that map a guest frame (gpa >> host page shift), the head of the ring first.
   */
  chain(gfn: bigint): readonly number[];
  /** Every frame that has a chain. */
  chains(): ReadonlyMap<bigint, readonly number[]>;
  counters(): Counters;
  /** The steps of HOST_UNMAP and HOST_AGE, for who looks at a call that is under way. */
  unmapEntry(ptex: number): void;
  /** Was it referenced? */
  ageEntry(ptex: number): boolean;
  ageFrame(gfn: bigint): boolean;
}

type Operation = (state: State, args: readonly bigint[]) => Answer;

/** Those that a guest without a hashed page table cannot use. */
const PTE_HCALLS: Readonly<Record<string, Operation>> = {
  H_REMOVE: hRemove,
  H_ENTER: hEnter,
  H_READ: hRead,
  H_CLEAR_MOD: hClearMod,
  H_CLEAR_REF: hClearRef,
  H_PROTECT: hProtect,
  H_BULK_REMOVE: hBulkRemove,
  H_BLOCK_REMOVE: hBlockRemove,
  H_CLEAR_HPT: hClearHpt,
};

/** What the host can only do to a table. */
const TABLE_CONTROLS: Readonly<Record<string, Operation>> = {
  HOST_PAGE_FAULT: hostPageFault,
  SET_RC: setRc,
  TABLE_HASH: tableHash,
  HPT_RESIZE: hptResize,
  HTAB_OPEN: htabOpen,
  HTAB_READ: htabRead,
  HTAB_CLOSE: htabClose,
  HTAB_WRITE: htabWrite,
  WALK: walk,
  ENTRY_INSPECT: entryInspect,
  TABLE_COUNT: tableCount,
  TABLE_SHAPE: tableShape,
};

const OTHERS: Readonly<Record<string, Operation>> = {
  H_PAGE_INIT: hPageInit,
  H_RESIZE_HPT_PREPARE: hResizeHptPrepare,
  H_RESIZE_HPT_COMMIT: hResizeHptCommit,
  HOST_UNMAP: hostUnmap,
  HOST_SET_PTE: hostSetPte,
  HOST_AGE: hostAge,
  HPT_RESET: hptReset,
  HPT_FREE: hptFree,
  HOST_DIRTY: hostDirty,
  MEMSLOT_ADD: memslotAdd,
  MEMSLOT_REMOVE: memslotRemove,
  MEMORY_READ: memoryRead,
  MEMORY_WRITE: memoryWrite,
};

function withoutTable(name: string, args: readonly bigint[]): Answer {
  const registers =
    name === 'H_BULK_REMOVE' ? args.slice(0, 8) : name === 'H_BLOCK_REMOVE' ? args.slice(1, 9) : [];
  return { status: STATUSES.H_FUNCTION, out: registers };
}

function call(state: State, name: string, args: readonly bigint[]): Answer {
  const pteHcall = PTE_HCALLS[name];
  if (pteHcall !== undefined) {
    return state.order === 0 ? withoutTable(name, args) : pteHcall(state, args);
  }
  const control = TABLE_CONTROLS[name];
  if (control !== undefined) {
    return state.order === 0 ? fail(STATUSES.H_NOT_AVAILABLE) : control(state, args);
  }
  const other = OTHERS[name];
  if (other === undefined) {
    throw new Error(`the model has no ${operationByName(name) ? 'code for' : 'operation'} ${name}`);
  }
  return other(state, args);
}

export function createModel(config: ModelConfig): Model {
  const state = createState(config);
  return {
    call: (name, args) => call(state, name, args),
    order: () => state.order,
    entryCount: () => entryCount(state),
    entry(ptex) {
      const { dword0, dword1, guestRpte } = state.entries.get(ptex) ?? {
        dword0: 0n,
        dword1: 0n,
        guestRpte: 0n,
      };
      const [pteh, ptel] = shownEntry(state, ptex);
      return { dword0, dword1, guestRpte, pteh, ptel };
    },
    chain: (gfn) => [...(state.frames.get(gfn)?.chain ?? [])],
    chains: () =>
      new Map(
        [...state.frames]
          .filter(([, f]) => f.chain.length > 0)
          .map(([gfn, f]) => [gfn, [...f.chain]]),
      ),
    counters: () => ({
      tlbie: state.tlbieCount,
      mmioUpdate: state.mmioUpdate,
      invalidateSeq: state.invalidateSeq,
    }),
    unmapEntry: (ptex) => unmapEntry(state, ptex),
    ageEntry: (ptex) => ageEntry(state, ptex),
    ageFrame: (gfn) => {
      const frame = state.frames.get(gfn);
      return frame !== undefined && ageFrame(frame);
    },
  };
}
