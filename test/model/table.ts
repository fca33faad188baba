/**
 * The model's state as plain data, and the few primitives that every operation is made of.
 *
 * Sequential: there is no lock, so an operation sees the table as its predecessor left it. Entries
 * live in a Map so that an empty table of any order costs nothing.
 *
 * SPEC: KVM HV (guest_rpte, ABSENT, rmap chains, memslots, mmio_update, hpte_mod_interest).
 */
import {
  HPTE_GR_MODIFIED,
  HPTE_R_C,
  HPTE_R_RC,
  HPTE_V_ABSENT,
  HPTE_V_VALID,
  guestDword0,
  isMmio,
  isOccupied,
  isValid,
  newToOldR,
  newToOldV,
  not,
  oldToNewR,
  oldToNewV,
  pageAddress,
  pageSize,
} from './hpte.ts';

export interface ModelConfig {
  order: number;
  ramBytes?: bigint | number;
  memslots?: readonly { base: bigint; bytes: number; kind: 'ram' | 'ci' }[] | undefined;
  hostPageBytes: number;
  backingPageBytes: number;
  isa300: boolean;
  /** `backed` keeps the bytes of RAM slots, as a guest does. */
  memory?: 'none' | 'backed';
}

/** One entry as the real table and the reverse map keep it (dwords in the table's own format). */
export interface Entry {
  dword0: bigint;
  dword1: bigint;
  /** The guest's own view of dword 1. */
  guestRpte: bigint;
}

export interface Memslot {
  number: number;
  base: bigint;
  bytes: bigint;
  cacheInhibited: boolean;
  /** Its bytes are kept. */
  backed: boolean;
  /** Backing pages that are no longer as they started, by number: no slot shares one with another. */
  hostPages: Map<bigint, number>;
}

/**
 * What the host keeps about one guest frame: the VALID entries that map it (head first), and the R
 * and C that removals and unmaps harvested. Ageing clears R; nothing clears C but a new table.
 */
export interface Frame {
  chain: number[];
  rc: bigint;
}

export interface HtabReader {
  index: number;
  boltedOnly: boolean;
  /** It waits at the end of each pass until a read of 0 bytes. */
  stops: boolean;
  firstPass: boolean;
}

export interface State {
  /** 0: no table; the guest is radix or has not got one yet. */
  order: number;
  entries: Map<number, Entry>;
  isa300: boolean;
  ramBytes: bigint;
  memslots: Memslot[];
  hostPageShift: bigint;
  backingPageBytes: bigint;
  frames: Map<bigint, Frame>;
  dirty: Set<bigint>;
  memory: Map<bigint, Uint8Array>;
  readers: Map<number, HtabReader>;
  /** Order of the table that H_RESIZE_HPT_PREPARE made ready; 0: none. */
  pendingOrder: number;
  invalidateSeq: number;
  tlbieCount: number;
  mmioUpdate: number;
}

export interface Answer {
  status: number;
  out: bigint[];
}

export const ok = (...out: bigint[]): Answer => ({ status: 0, out });
export const fail = (status: number): Answer => ({ status, out: [] });

/** Host page states, as HOST_SET_PTE takes them. */
export const HOST_PRESENT = 1;
export const HOST_WRITABLE = 2;
export const HOST_CACHE_INHIBITED = 4;

export function createState(config: ModelConfig): State {
  const slots = config.memslots ?? [{ base: 0n, bytes: Number(config.ramBytes ?? 0), kind: 'ram' }];
  return {
    order: config.order,
    entries: new Map(),
    isa300: config.isa300,
    ramBytes: BigInt(config.ramBytes ?? ramSum(slots)),
    memslots: slots.map((slot, number) => ({
      number,
      base: slot.base,
      bytes: BigInt(slot.bytes),
      cacheInhibited: slot.kind === 'ci',
      backed: config.memory === 'backed' && slot.kind === 'ram',
      hostPages: new Map(),
    })),
    hostPageShift: BigInt(Math.log2(config.hostPageBytes)),
    backingPageBytes: BigInt(config.backingPageBytes),
    frames: new Map(),
    dirty: new Set(),
    memory: new Map(),
    readers: new Map(),
    pendingOrder: 0,
    invalidateSeq: 0,
    tlbieCount: 0,
    mmioUpdate: 0,
  };
}

function ramSum(slots: readonly { bytes: number; kind: 'ram' | 'ci' }[]): number {
  return slots.reduce((sum, { bytes, kind }) => sum + (kind === 'ram' ? bytes : 0), 0);
}

// --- the table -----------------------------------------------------------------------------------

export const entryCount = (state: State): number =>
  state.order === 0 ? 0 : 2 ** (state.order - 4);
export const groupMask = (order: number): bigint => (1n << BigInt(order - 7)) - 1n;
export const isPtex = (state: State, ptex: bigint): boolean => ptex < BigInt(entryCount(state));

/** The entry to change: makes the slot's record when it was never used. */
export function entryAt(state: State, ptex: number): Entry {
  let entry = state.entries.get(ptex);
  if (entry === undefined) {
    entry = { dword0: 0n, dword1: 0n, guestRpte: 0n };
    state.entries.set(ptex, entry);
  }
  return entry;
}

export const dword0Of = (state: State, entry: Entry): bigint =>
  state.isa300 ? newToOldV(entry.dword0, entry.dword1) : entry.dword0;
export const dword1Of = (state: State, entry: Entry): bigint =>
  state.isa300 ? newToOldR(entry.dword1) : entry.dword1;

export function setDwords(state: State, entry: Entry, v: bigint, r: bigint): void {
  entry.dword0 = state.isa300 ? oldToNewV(v) : v;
  entry.dword1 = state.isa300 ? oldToNewR(v, r) : r;
}

/** An entry as H_READ shows it. Of an empty slot dword 1 is whatever the real table still holds. */
export function shownEntry(state: State, ptex: number): [bigint, bigint] {
  const entry = state.entries.get(ptex);
  if (entry === undefined) return [0n, 0n];
  const v = guestDword0(dword0Of(state, entry));
  if (!isValid(v)) return [v, dword1Of(state, entry)];
  return [v, (entry.guestRpte | (entry.dword1 & HPTE_R_RC)) & not(HPTE_GR_MODIFIED)];
}

/** Tells open readers of the table stream that the guest's view of the entry has changed. */
export function noteModification(state: State, entry: Entry): void {
  if (state.readers.size > 0) entry.guestRpte |= HPTE_GR_MODIFIED;
}

/**
 * Hardware may use the entry no longer: VALID becomes ABSENT and its translation leaves the TLBs.
 */
export function makeAbsent(state: State, entry: Entry): void {
  entry.dword0 = (entry.dword0 & not(HPTE_V_VALID)) | HPTE_V_ABSENT;
  state.tlbieCount++;
}

/** Where the guest says the entry points, and how large that page is. */
export function guestPage(state: State, entry: Entry): { gpa: bigint; actual: bigint } {
  const size = pageSize(dword0Of(state, entry), entry.guestRpte);
  const actual = size?.actual ?? 12n;
  return { gpa: pageAddress(entry.guestRpte, actual), actual };
}

/**
 * Empties an occupied slot. R and C that hardware set are in guestRpte (and known to the host)
 * after it.
 */
export function removeEntry(state: State, ptex: number): void {
  const entry = entryAt(state, ptex);
  if (isValid(entry.dword0)) {
    state.tlbieCount++;
    const rc = entry.dword1 & HPTE_R_RC;
    const { gpa, actual } = guestPage(state, entry);
    entry.guestRpte |= rc;
    unchain(state, ptex, gpa);
    harvestForHost(state, gpa, actual, rc);
  }
  noteModification(state, entry);
  if (isMmio(entry.dword0, entry.dword1)) state.mmioUpdate++;
  // dword 1 is left stale, as KVM HV does; H_READ of the empty slot can show it.
  entry.dword0 = 0n;
}

/**
 * Forgets a table's entries and all that the host derived from them; slots, memory and dirt stay.
 */
export function resetTable(state: State, order: number): void {
  state.order = order;
  state.entries = new Map();
  state.frames = new Map();
  state.pendingOrder = 0;
}

export const isPresentEntry = (state: State, ptex: number): boolean =>
  isOccupied(state.entries.get(ptex)?.dword0 ?? 0n);

// --- memory slots, frames and host pages ---------------------------------------------------------

/** Slots are made of whole frames: what counts is the frame that the address lies in. */
export function slotAt(state: State, gpa: bigint): Memslot | undefined {
  const frame = (gpa >> state.hostPageShift) << state.hostPageShift;
  return state.memslots.find((slot) => frame >= slot.base && frame < slot.base + slot.bytes);
}

export function frameAt(state: State, gpa: bigint): Frame {
  const gfn = gpa >> state.hostPageShift;
  let frame = state.frames.get(gfn);
  if (frame === undefined) {
    frame = { chain: [], rc: 0n };
    state.frames.set(gfn, frame);
  }
  return frame;
}

/** A page larger than a frame is chained at its first frame only. */
export function chain(state: State, ptex: number, gpa: bigint): void {
  frameAt(state, gpa).chain.push(ptex);
}

export function unchain(state: State, ptex: number, gpa: bigint): void {
  const frame = frameAt(state, gpa);
  frame.chain = frame.chain.filter((other) => other !== ptex);
}

/**
 * The host's share of R and C: both in the frame's record, C also as dirt on every frame of the
 * page.
 */
export function harvestForHost(state: State, gpa: bigint, actual: bigint, rc: bigint): void {
  frameAt(state, gpa).rc |= rc;
  if ((rc & HPTE_R_C) !== 0n) markDirty(state, gpa, 1n << actual);
}

export function markDirty(state: State, gpa: bigint, bytes: bigint): void {
  const first = gpa >> state.hostPageShift;
  const last = (gpa + bytes - 1n) >> state.hostPageShift;
  for (let gfn = first; gfn <= last; gfn++) state.dirty.add(gfn);
}

/** State of the backing page behind an address that a slot covers. */
export function hostPageAt(state: State, gpa: bigint): number {
  const slot = slotAt(state, gpa);
  const changed = slot?.hostPages.get(gpa / state.backingPageBytes);
  if (changed !== undefined) return changed;
  const cacheInhibited = slot?.cacheInhibited === true;
  return HOST_PRESENT | HOST_WRITABLE | (cacheInhibited ? HOST_CACHE_INHIBITED : 0);
}
