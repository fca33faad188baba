/**
 * Memory slots: which guest addresses are memory, and what the host has behind each host page.
 *
 * "frame" below is a host page of the guest's memory, counted from its slot's first. Every word about a frame is
 * found by slot and frame. Slots do not move; they come and go with the gate closed (host/memslot-change.ts), so an hcall
 * may look them up without a lock and keep what it found.
 */
import {
  HOST_PAGE_SHIFT, MEMSLOTS, MEMSLOT_BYTES, MEMSLOT_COUNT, SLOT_BACKING_SHIFT, SLOT_BASE, SLOT_DIRTY, SLOT_HOST,
  SLOT_LENGTH, SLOT_MEMORY, SLOT_RMAP,
} from './memory-map';
import { noteChange } from './pieces';
import { AT_DIRTY, AT_HOST, AT_READ, yieldPoint } from './yield-point';

/** Host page state bits: what the trace format calls HOST_SET_PTE's state. */
export const HOST_PRESENT: u8 = 1;
export const HOST_WRITABLE: u8 = 2;
export const HOST_CACHE_INHIBITED: u8 = 4;

/** Address of the slot that covers a guest address, or 0. */
@inline
export function slotOf(gpa: u64): usize {
  // Nearly all of a guest's memory is in its first slot. One that is not in use has no bytes.
  const offset = gpa - load<u64>(MEMSLOTS + SLOT_BASE);
  return offset < load<u64>(MEMSLOTS + SLOT_LENGTH) ? MEMSLOTS : laterSlotOf(gpa);
}

function laterSlotOf(gpa: u64): usize {
  const end = MEMSLOTS + MEMSLOT_BYTES * <usize>load<u32>(MEMSLOT_COUNT);
  for (let slot = MEMSLOTS + MEMSLOT_BYTES; slot < end; slot += MEMSLOT_BYTES) {
    if (gpa - load<u64>(slot + SLOT_BASE) < load<u64>(slot + SLOT_LENGTH)) return slot;
  }
  return 0;
}

/** Which of the slots, for explanations. */
export function slotNumber(slot: usize): u64 {
  return <u64>((slot - MEMSLOTS) / MEMSLOT_BYTES);
}

@inline
export function frameOf(slot: usize, gpa: u64): u32 {
  return <u32>((gpa - load<u64>(slot + SLOT_BASE)) >> <u64>load<u32>(HOST_PAGE_SHIFT));
}

export function framesOf(slot: usize): u32 {
  return <u32>(load<u64>(slot + SLOT_LENGTH) >> <u64>load<u32>(HOST_PAGE_SHIFT));
}

/** Address of the frame's reverse-map word. */
@inline
export function rmapOf(slot: usize, frame: u32): usize {
  return <usize>load<u32>(slot + SLOT_RMAP) + (<usize>frame << 3);
}

/** RACE: read without the chain lock by H_ENTER, which looks at the invalidation sequence afterwards, under it. */
@inline
export function hostState(slot: usize, frame: u32): u8 {
  yieldPoint(AT_READ);
  return atomic.load<u8>(<usize>load<u32>(slot + SLOT_HOST) + <usize>frame);
}

export function setHostState(slot: usize, frame: u32, state: u8): void {
  const page = <usize>load<u32>(slot + SLOT_HOST) + <usize>frame;
  noteChange(page);
  yieldPoint(AT_HOST);
  atomic.store<u8>(page, state);
}

/** First frame of the backing page that a guest address lies in. */
export function backingFirstFrame(slot: usize, gpa: u64): u32 {
  const first = gpa & ~((<u64>1 << <u64>load<u32>(slot + SLOT_BACKING_SHIFT)) - 1);
  return first < load<u64>(slot + SLOT_BASE) ? 0 : frameOf(slot, first);
}

/** The frame behind the last of that backing page. */
export function backingEndFrame(slot: usize, gpa: u64): u32 {
  const size = <u64>1 << <u64>load<u32>(slot + SLOT_BACKING_SHIFT);
  const end = (gpa & ~(size - 1)) + size;
  const slotEnd = load<u64>(slot + SLOT_BASE) + load<u64>(slot + SLOT_LENGTH);
  return end >= slotEnd ? framesOf(slot) : frameOf(slot, end);
}

/** Can a slot hold pages of this size at all? Base and length must be multiples of it. */
export function slotHoldsPages(slot: usize, pageShift: u32): bool {
  const mask = (<u64>1 << <u64>pageShift) - 1;
  return pageShift <= load<u32>(HOST_PAGE_SHIFT) || ((load<u64>(slot + SLOT_BASE) | load<u64>(slot + SLOT_LENGTH)) & mask) == 0;
}

/** Marks every host page of a guest page dirty. `gpa`: first byte of the guest page, in the slot. */
export function markDirty(slot: usize, gpa: u64, pageShift: u32): void {
  const hostShift = load<u32>(HOST_PAGE_SHIFT);
  const first = frameOf(slot, gpa);
  const pages: u32 = pageShift > hostShift ? 1 << (pageShift - hostShift) : 1;
  const end = min<u32>(first + pages, framesOf(slot));
  for (let frame = first; frame < end; frame++) {
    const word = <usize>load<u32>(slot + SLOT_DIRTY) + (<usize>(frame >> 6) << 3);
    noteChange(word);
    yieldPoint(AT_DIRTY);
    atomic.or<u64>(word, <u64>1 << <u64>(frame & 63));
  }
}

/** Address of a guest byte in backed memory; 0 where memory is not kept or there is no slot. */
export function memoryOf(gpa: u64): usize {
  const slot = slotOf(gpa);
  if (slot == 0 || load<u32>(slot + SLOT_MEMORY) == 0) return 0;
  return <usize>load<u32>(slot + SLOT_MEMORY) + <usize>(gpa - load<u64>(slot + SLOT_BASE));
}
