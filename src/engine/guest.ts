/**
 * A guest's birth: writes the guest block and lays out slot data and tables. The main thread calls these, in
 * this order, before any processor knows the guest: startGuest, addMemslot for each slot, openTable, boundTables.
 */
import { HTAB_STOPS, READER_FREE, READER_OPEN, readerAddress } from './host/htab-reader';
import {
  CLEAR_NEXT, DEAD, GATE, HOST_PAGE_SHIFT, INVALIDATE_IN_PROGRESS, ISA300, MEMSLOTS, MEMSLOTS_MAX, MEMSLOT_BYTES,
  MEMSLOT_COUNT, MODE, MOD_INTEREST, PAUSED, PTEX_COUNT, RAM_BYTES, READERS_MAX, READER_FLAGS, READER_STATE, RECORDING,
  RECOVERY, RESIZE_BASE, RESIZE_LOCK, RESIZE_ORDER, RESIZE_READY, RESIZE_STATE, RESIZE_ZEROED, RESIZE_ZEROING,
  REVMAP_BASE, SLOT_BACKING_SHIFT, SLOT_BASE, SLOT_DATA, SLOT_DATA_USED, SLOT_END, SLOT_KIND, SLOT_LENGTH,
  SLOT_ROOM_BYTES, SLOT_SEARCH, STAMPS, TABLES_BASE, TABLES_END, TABLES_HIGH_USED, TABLES_LOW_USED, TABLE_BASE, TABLE_ORDER,
  TURN, TURN_WAITERS,
} from './memory-map';
import { fillHostPages, placeSlotData } from './host/memslot-change';

/** `memoryBytes`: length of the guest's memory, at most 4 GiB less 64 KiB so that no address overflows. */
export function startGuest(memoryBytes: u32, ramBytes: u64, hostPageShift: u32, isa300: bool): void {
  store<u32>(ISA300, isa300 ? 1 : 0);
  store<u32>(HOST_PAGE_SHIFT, hostPageShift);
  store<u64>(RAM_BYTES, ramBytes);
  store<u32>(TABLES_BASE, <u32>SLOT_DATA);
  store<u32>(TABLES_END, memoryBytes);
}

/** How H_ENTER looks for a slot: one of SLOT_SEARCH_. For experiments; without it, the default. */
export function setSlotSearch(search: u32): void {
  store<u32>(SLOT_SEARCH, search);
}

/** False: no slot left, or no room in memory. `base` and `bytes` are multiples of the host page. */
export function addMemslot(base: u64, bytes: u64, kind: u32, backingShift: u32, backed: bool): bool {
  const index = load<u32>(MEMSLOT_COUNT);
  if (index == MEMSLOTS_MAX) return false;
  const slot = MEMSLOTS + MEMSLOT_BYTES * <usize>index;
  const end = placeSlotData(slot, load<u32>(TABLES_BASE), bytes, backed);
  if (end > <u64>load<u32>(TABLES_END)) return false;
  store<u64>(slot + SLOT_BASE, base);
  store<u64>(slot + SLOT_LENGTH, bytes);
  store<u32>(slot + SLOT_KIND, kind);
  store<u32>(slot + SLOT_BACKING_SHIFT, backingShift);
  store<u32>(slot + SLOT_END, <u32>end);
  fillHostPages(slot, kind, <u32>(bytes >> load<u32>(HOST_PAGE_SHIFT)));
  store<u32>(TABLES_BASE, <u32>end);
  store<u32>(MEMSLOT_COUNT, index + 1);
  return true;
}

/** The first table, zeroed by birth; order 0: none yet. False: no room in memory. */
export function openTable(order: u32): bool {
  store<u32>(SLOT_DATA_USED, load<u32>(TABLES_BASE));
  // Room for later slots is left as far as the first table does not need it.
  const spare = <i64>load<u32>(TABLES_END) - <i64>load<u32>(TABLES_BASE) - (order == 0 ? 0 : <i64>2 << <i64>order);
  if (spare > <i64>SLOT_ROOM_BYTES) store<u32>(TABLES_BASE, load<u32>(TABLES_BASE) + SLOT_ROOM_BYTES);
  const base = load<u32>(TABLES_BASE);
  store<u32>(TABLES_LOW_USED, base);
  store<u32>(TABLES_HIGH_USED, load<u32>(TABLES_END));
  if (order == 0) return true;
  if (<u64>base + (2 << <u64>order) > <u64>load<u32>(TABLES_END)) return false;
  installTable(base, order);
  return true;
}

/** The active table and one in preparation, with their reverse maps, get no more than this together. */
export function boundTables(bytes: u64): void {
  const end = <u64>load<u32>(TABLES_BASE) + bytes;
  if (end >= <u64>load<u32>(TABLES_END)) return;
  store<u32>(TABLES_END, <u32>end);
  store<u32>(TABLES_HIGH_USED, <u32>end);
}

/** Makes a zeroed (or rehashed) table the active one. Only before processors run, or with the gate closed. */
export function installTable(base: u32, order: u32): void {
  store<u32>(TABLE_BASE, base);
  store<u32>(REVMAP_BASE, base + (1 << order));
  store<u32>(TABLE_ORDER, order);
  store<u64>(PTEX_COUNT, 1 << <u64>(order - 4));
  store<u32>(MODE, 1);
  store<u64>(CLEAR_NEXT, 0);
  noteTableUsed(base, base + (2 << order));
}

/** From now on this part of table memory may hold something else than zeroes. */
export function noteTableUsed(base: u32, end: u32): void {
  if (base == load<u32>(TABLES_BASE)) store<u32>(TABLES_LOW_USED, max<u32>(end, load<u32>(TABLES_LOW_USED)));
  else store<u32>(TABLES_HIGH_USED, min<u32>(base, load<u32>(TABLES_HIGH_USED)));
}

/**
 * A guest's memory was read from an image: nobody executes anything in it, and no thread of its former daemon is left. The
 * memory of a table in preparation is zero, because it is not in the image: so it is ready. Readers that stop at the end of
 * a pass were REST's, whose clients are gone.
 */
export function wakeGuest(): void {
  store<i32>(GATE, 0);
  store<i32>(RECOVERY, 0);
  store<u64>(DEAD, 0);
  store<u32>(PAUSED, 0);
  store<u32>(RECORDING, 0);
  store<u32>(STAMPS, 0);
  store<i32>(TURN, 0);
  store<i32>(TURN_WAITERS, 0);
  store<u8>(INVALIDATE_IN_PROGRESS, 0);
  store<i32>(RESIZE_LOCK, 0);
  const preparing = load<i32>(RESIZE_STATE);
  if (preparing == RESIZE_ZEROING || preparing == RESIZE_READY) {
    store<u32>(RESIZE_ZEROED, load<u32>(RESIZE_BASE) + (2 << load<u32>(RESIZE_ORDER)));
    store<i32>(RESIZE_STATE, RESIZE_READY);
  }
  let open: u8 = 0;
  for (let i: u32 = 0; i < READERS_MAX; i++) {
    const reader = readerAddress(i);
    const stays = load<i32>(reader + READER_STATE) != READER_FREE && (load<u32>(reader + READER_FLAGS) & <u32>HTAB_STOPS) == 0;
    store<i32>(reader + READER_STATE, stays ? READER_OPEN : READER_FREE);
    if (stays) open++;
  }
  store<u8>(MOD_INTEREST, open);
}
