/**
 * Memory slots that come and go while the guest runs: MEMSLOT_ADD, MEMSLOT_REMOVE.
 *
 * Hcalls look slots up without a lock (memslots.ts) and keep a slot's address for as long as they run. So what a look-up
 * depends on, a slot's base and length, changes only with the gate closed: no hcall is in flight then. The array
 * never shifts; an unused slot has length 0, which covers no address.
 *
 * How is a slot removed? (1) With the gate closed it is marked REMOVING: from then on nobody makes a page of it present.
 * (2) In bounded pieces, others running, its host pages go away and its chains are emptied, under the invalidation
 * sequence, as HOST_UNMAP does: each entry that maps it becomes ABSENT. It must still be found meanwhile, because whoever
 * removes a VALID entry has to find its chain. (3) With the gate closed again its length becomes 0. What is entered
 * then is MMIO; an entry that was made ABSENT turns out to be so at the next page fault.
 *
 * What is kept about a slot (rmap words, host pages, dirty bits, bytes) lies below TABLES_BASE, where room is left at a
 * guest's birth; a new slot takes the first gap that is wide enough.
 *
 * SPEC: KVM HV: a removed slot is flushed (its entries become ABSENT), a new one starts with every page present.
 */
import { closeGate, openGate } from '../gate';
import {
  CHANGE_ADDING_SLOT, CHANGE_NONE, CHANGE_REMOVING_SLOT, journalAnswer, journalChange, journalChangeAnswer,
} from '../journal';
import {
  HOST_PAGE_SHIFT, MEMSLOTS, MEMSLOTS_MAX, MEMSLOT_BYTES, MEMSLOT_CI, MEMSLOT_COUNT, SLOT_BACKING_SHIFT, SLOT_BASE,
  SLOT_CHANGES, SLOT_DATA, SLOT_DATA_USED, SLOT_DIRTY, SLOT_END, SLOT_HOST, SLOT_KIND, SLOT_LENGTH, SLOT_MEMORY, SLOT_NEW_LENGTH,
  SLOT_REMOVING, SLOT_RMAP, TABLES_BASE,
} from '../memory-map';
import { HOST_CACHE_INHIBITED, HOST_PRESENT, HOST_WRITABLE, framesOf, rmapOf, setHostState } from '../memslots';
import { noteChanges } from '../pieces';
import { RMAP_LOCK, RMAP_PRESENT } from '../revmap';
import { H_CONTINUE, H_PARAMETER, H_SUCCESS } from '../status';
import { answerWords } from '../this-processor';
import { AT_TABLE, yieldPoint } from '../yield-point';
import { beginInvalidation, endInvalidation } from './invalidation';
import { unmapFrame } from './unmap';

/** Slot data starts on a boundary of this many bytes: a page, so that untouched parts stay untouched. */
const ALIGNMENT: u64 = 65536;
/** Frames one piece of a removal goes over, and how many of them may have had entries. */
const PIECE_FRAMES: u32 = 65536;
const PIECE_CHAINS: u32 = 2048;

const ADDED: u64 = 0;
const NUMBER_TAKEN: u64 = 1;
const OVERLAPS: u64 = 2;
const NO_ROOM: u64 = 3;

/** Address behind what is kept about a slot that begins at `at`; writes where its parts lie. `slot` is not in use. */
export function placeSlotData(slot: usize, at: u64, bytes: u64, backed: bool): u64 {
  const frames = bytes >> load<u32>(HOST_PAGE_SHIFT);
  const host = aligned(at + frames * 8);
  const dirty = aligned(host + frames);
  const kept = aligned(dirty + (frames + 63) / 64 * 8);
  store<u32>(slot + SLOT_RMAP, <u32>at);
  store<u32>(slot + SLOT_HOST, <u32>host);
  store<u32>(slot + SLOT_DIRTY, <u32>dirty);
  store<u32>(slot + SLOT_MEMORY, backed ? <u32>kept : 0);
  return backed ? aligned(kept + bytes) : kept;
}

function aligned(address: u64): u64 {
  return (address + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

/** Every page of a slot is there, as at its birth. */
export function fillHostPages(slot: usize, kind: u32, frames: u32): void {
  const state = HOST_PRESENT | HOST_WRITABLE | (kind == MEMSLOT_CI ? HOST_CACHE_INHIBITED : 0);
  noteChanges(load<u32>(slot + SLOT_HOST), frames);
  memory.fill(load<u32>(slot + SLOT_HOST), state, <usize>frames);
}

/** MEMSLOT_ADD, its arguments checked. The outcome goes to `results`. */
export function addSlotWhileRunning(
  number: u32, base: u64, bytes: u64, kind: u32, backingShift: u32, backed: bool, results: usize,
): void {
  const slot = MEMSLOTS + MEMSLOT_BYTES * <usize>number;
  closeGate();
  const refused = refuseSlot(slot, base, bytes, backed);
  if (refused != ADDED) {
    openGate();
    store<u64>(results, refused);
    return;
  }
  store<u64>(slot + SLOT_BASE, base);
  store<u32>(slot + SLOT_KIND, kind);
  store<u32>(slot + SLOT_BACKING_SHIFT, backingShift);
  store<u64>(slot + SLOT_NEW_LENGTH, bytes);
  store<u64>(results, ADDED);
  journalChangeAnswer(1);
  journalChange(CHANGE_ADDING_SLOT, <u32>slot, 0);
  finishAdding(slot);
  journalAnswer(H_SUCCESS, 1);
  openGate();
  journalChange(CHANGE_NONE, 0, 0);
}

/** Finds a place for what is kept about the slot; or why it cannot be added. With the gate closed. */
function refuseSlot(slot: usize, base: u64, bytes: u64, backed: bool): u64 {
  if (load<u64>(slot + SLOT_LENGTH) != 0) return NUMBER_TAKEN;
  for (let i: u32 = 0; i < load<u32>(MEMSLOT_COUNT); i++) {
    const other = slotAtNumber(i);
    const length = load<u64>(other + SLOT_LENGTH);
    if (length != 0 && base < load<u64>(other + SLOT_BASE) + length && load<u64>(other + SLOT_BASE) < base + bytes) return OVERLAPS;
  }
  let end = placeSlotData(slot, SLOT_DATA, bytes, backed);
  for (let other = slotWithin(load<u32>(slot + SLOT_RMAP), end); other != 0; other = slotWithin(load<u32>(slot + SLOT_RMAP), end)) {
    end = placeSlotData(slot, load<u32>(other + SLOT_END), bytes, backed);
  }
  if (end > <u64>load<u32>(TABLES_BASE)) return NO_ROOM;
  store<u32>(slot + SLOT_END, <u32>end);
  return ADDED;
}

/** A slot in use whose data overlaps [from, end); 0: none. */
function slotWithin(from: u64, end: u64): usize {
  for (let i: u32 = 0; i < load<u32>(MEMSLOT_COUNT); i++) {
    const slot = slotAtNumber(i);
    if (load<u64>(slot + SLOT_LENGTH) != 0 && <u64>load<u32>(slot + SLOT_RMAP) < end && from < <u64>load<u32>(slot + SLOT_END)) return slot;
  }
  return 0;
}

/** May be done again from the start. ORDER: the length last, though nobody looks while the gate is closed. */
export function finishAdding(slot: usize): void {
  yieldPoint(AT_TABLE);
  const from = load<u32>(slot + SLOT_RMAP);
  const used = min<u32>(load<u32>(slot + SLOT_END), load<u32>(SLOT_DATA_USED));
  if (used > from) {
    noteChanges(from, used - from);
    memory.fill(from, 0, used - from);
  }
  const bytes = load<u64>(slot + SLOT_NEW_LENGTH);
  fillHostPages(slot, load<u32>(slot + SLOT_KIND), <u32>(bytes >> <u64>load<u32>(HOST_PAGE_SHIFT)));
  yieldPoint(AT_TABLE);
  store<u32>(SLOT_DATA_USED, max<u32>(load<u32>(SLOT_DATA_USED), load<u32>(slot + SLOT_END)));
  store<u32>(slot + SLOT_REMOVING, 0);
  store<u32>(MEMSLOT_COUNT, max<u32>(load<u32>(MEMSLOT_COUNT), <u32>((slot - MEMSLOTS) / MEMSLOT_BYTES) + 1));
  yieldPoint(AT_TABLE);
  store<u64>(slot + SLOT_LENGTH, bytes);
  store<u32>(SLOT_CHANGES, load<u32>(SLOT_CHANGES) + 1);
  yieldPoint(AT_TABLE);
}

/** MEMSLOT_REMOVE: one piece of it. H_CONTINUE: there is more, the frames left go to `results`. H_PARAMETER: no such slot. */
export function removeSlotPiece(number: u64, results: usize): i32 {
  if (number >= <u64>MEMSLOTS_MAX) return H_PARAMETER;
  const slot = slotAtNumber(<u32>number);
  if (load<u64>(slot + SLOT_LENGTH) == 0) return H_PARAMETER;
  if (load<u32>(slot + SLOT_REMOVING) == 0) markRemoving(slot);
  const frames = framesOf(slot);
  const next = emptyFrames(slot, load<u32>(slot + SLOT_REMOVING) - 1, frames);
  yieldPoint(AT_TABLE);
  store<u32>(slot + SLOT_REMOVING, next + 1);
  store<u64>(results, frames - next);
  if (next == frames) {
    const status = removeEmptied(slot, next);
    if (status != H_CONTINUE) return status;
  }
  answerWords(1);
  return H_CONTINUE;
}

/**
 * Whoever closed the gate before us may have finished this removal (H_PARAMETER: there is no such slot), and even have
 * begun another slot's life here, or gone back to a piece that it had begun earlier (H_CONTINUE).
 */
function removeEmptied(slot: usize, frames: u32): i32 {
  closeGate();
  let status = load<u64>(slot + SLOT_LENGTH) == 0 ? H_PARAMETER : H_CONTINUE;
  if (load<u32>(slot + SLOT_REMOVING) == frames + 1) {
    journalChangeAnswer(1);
    journalChange(CHANGE_REMOVING_SLOT, <u32>slot, 0);
    finishRemoving(slot);
    answerWords(1);
    status = H_SUCCESS;
    journalAnswer(H_SUCCESS, 1);
  }
  openGate();
  journalChange(CHANGE_NONE, 0, 0);
  return status;
}

/** Once nobody is in the middle of making a page present, nobody can begin to. */
function markRemoving(slot: usize): void {
  closeGate();
  if (load<u64>(slot + SLOT_LENGTH) != 0 && load<u32>(slot + SLOT_REMOVING) == 0) store<u32>(slot + SLOT_REMOVING, 1);
  openGate();
}

/** The host takes frames away from `first` on, as many as a piece may have. Gives the frame to go on with. */
function emptyFrames(slot: usize, first: u32, frames: u32): u32 {
  const end = min<u32>(frames, first + PIECE_FRAMES);
  let chains: u32 = 0;
  let frame = first;
  beginInvalidation();
  for (; frame < end && chains < PIECE_CHAINS; frame++) {
    setHostState(slot, frame, 0);
    // RACE: a chain that is neither there nor locked is passed by. Whoever locks it later asks under that lock whether an
    // invalidation runs, and this one has counted itself in.
    if ((atomic.load<u64>(rmapOf(slot, frame)) & (RMAP_PRESENT | RMAP_LOCK)) == 0) continue;
    unmapFrame(slot, frame);
    chains++;
  }
  endInvalidation();
  return frame;
}

/** May be done again from the start. */
export function finishRemoving(slot: usize): void {
  yieldPoint(AT_TABLE);
  store<u64>(slot + SLOT_LENGTH, 0);
  store<u32>(slot + SLOT_REMOVING, 0);
  store<u32>(SLOT_CHANGES, load<u32>(SLOT_CHANGES) + 1);
  yieldPoint(AT_TABLE);
}

function slotAtNumber(number: u32): usize {
  return MEMSLOTS + MEMSLOT_BYTES * <usize>number;
}
