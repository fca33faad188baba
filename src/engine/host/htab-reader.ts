/**
 * The table as a stream (KVM's HTAB format), reading side.
 *
 *   record: u32 index, u16 n_valid, u16 n_invalid (little-endian), then n_valid entries of two big-endian dwords;
 *           the n_invalid slots behind them are empty and cost no bytes
 *
 * The first pass gives every slot. A later pass gives what changed: entries whose guest_rpte carries MODIFIED, or
 * whose R or C the hardware has set meanwhile. Giving an entry clears its MODIFIED, but only when it really goes into
 * a record: a full buffer must not lose a change. While readers are open, MOD_INTEREST makes every hcall set MODIFIED.
 *
 * A reader opened with HTAB_STOPS stays where a pass ended, and gives nothing, until a read of 0 bytes begins the next
 * pass. So whoever has many reads under way can tell where a pass ends (the first empty answer that is no H_CONTINUE), and
 * no read that comes too late takes anything out of the next one.
 *
 * SPEC: Linux KVM, KVM_PPC_GET_HTAB_FD. As there, dword 0 goes out with HVLOCK set, since it is copied from a locked
 * entry (receivers ignore it), and a record is begun only while more than 24 bytes are left.
 */
import { guestRpte, setGuestRpte } from '../guest-view';
import {
  HPTE_GR_MODIFIED, HPTE_R_RC, HPTE_V_ABSENT, HPTE_V_BOLTED, HPTE_V_HVLOCK, HPTE_V_TAKEN, HPTE_V_VALID, guestV,
} from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import {
  JOURNAL_READER, JOURNAL_READ_FIRST, JOURNAL_READ_FROM, JOURNAL_READ_TO, READING_CLOSE, READING_OPEN, READING_READ,
  journalAnswer, journalWords,
} from '../journal';
import {
  MOD_INTEREST, PTEX_COUNT, READERS, READERS_MAX, READER_BYTES, READER_FIRST_PASS, READER_FLAGS, READER_INDEX,
  READER_STATE, hpteAddress,
} from '../memory-map';
import { H_CONTINUE, H_SUCCESS } from '../status';
import { self, selfIndex } from '../this-processor';
import { AT_READER, yieldPoint } from '../yield-point';

export const HTAB_BOLTED_ONLY: u64 = 1;
export const HTAB_STOPS: u64 = 2;
const HEADER_BYTES: u32 = 8;
const ENTRY_BYTES: u32 = 16;
const RUN_MAX: u32 = 0xffff;
/** In READER_INDEX: its pass has ended, and the next has not begun. */
const PASS_ENDED: u64 = 0xffffffffffffffff;
export const READER_FREE: i32 = 0;
export const READER_OPEN: i32 = 1;
/** Plus the number of the processor that has it in hand. */
const READER_BUSY: i32 = 16;
/** Clean entries that one read passes by before it gives what it has: some milliseconds of a large idle table. */
const SKIP_MAX: u64 = 1 << 22;

/** What the last read left: did it stop for SKIP_MAX rather than for its buffer or the table's end? */
export let stoppedEarly: bool = false;

/** Its number is the answer. False: all are taken. */
export function openReader(start: u64, flags: u64, results: usize): bool {
  for (let i: u32 = 0; i < READERS_MAX; i++) {
    const reader = readerAddress(i);
    setReaderInHand((i + 1) | READING_OPEN);
    if (atomic.cmpxchg<i32>(reader + READER_STATE, 0, busyHere()) != 0) continue;
    yieldPoint(AT_READER);
    store<u32>(reader + READER_FLAGS, <u32>flags);
    store<u32>(reader + READER_FIRST_PASS, 1);
    store<u64>(reader + READER_INDEX, start);
    atomic.add<u8>(MOD_INTEREST, 1);
    yieldPoint(AT_READER);
    store<u64>(results, i);
    journalAnswer(H_SUCCESS, 1);
    release(reader, READER_OPEN);
    return true;
  }
  setReaderInHand(0);
  return false;
}

/** False: no such reader, or it is in a read. */
export function closeReader(id: u64, results: usize): bool {
  const reader = takeReader(id, READING_CLOSE);
  if (reader == 0) return false;
  atomic.sub<u8>(MOD_INTEREST, 1);
  yieldPoint(AT_READER);
  store<u64>(results, 0);
  journalAnswer(H_SUCCESS, 1);
  release(reader, READER_FREE);
  return true;
}

function takeReader(id: u64, why: u32): usize {
  if (id >= <u64>READERS_MAX) return 0;
  const reader = readerAddress(<u32>id);
  setReaderInHand((<u32>id + 1) | why);
  if (atomic.cmpxchg<i32>(reader + READER_STATE, READER_OPEN, busyHere()) == READER_OPEN) return reader;
  setReaderInHand(0);
  return 0;
}

export function readerAddress(id: u32): usize {
  return READERS + READER_BYTES * <usize>id;
}

/** A busy reader's state says whose it is, so that nobody takes another's for a dead one's. */
export function busyState(processor: u32): i32 {
  return READER_BUSY + <i32>processor;
}

function busyHere(): i32 {
  return busyState(selfIndex);
}

function release(reader: usize, state: i32): void {
  atomic.store<i32>(reader + READER_STATE, state);
  yieldPoint(AT_READER);
  setReaderInHand(0);
}

function setReaderInHand(reader: u32): void {
  store<u32>(self + JOURNAL_READER, reader);
}

/**
 * Fills a buffer of `bytes` behind the first result word with whole records, and puts the bytes used into that word;
 * gives them, or -1: no such reader. If this thread dies meanwhile, recovery.ts marks what was given as modified.
 */
export function readHtab(id: u64, bytes: u32, results: usize): i32 {
  const reader = takeReader(id, READING_READ);
  const to = results + 8;
  if (reader == 0) return -1;
  const entries = load<u64>(PTEX_COUNT);
  const flags = <u64>load<u32>(reader + READER_FLAGS);
  const boltedOnly = (flags & HTAB_BOLTED_ONLY) != 0;
  const stops = (flags & HTAB_STOPS) != 0;
  const firstPass = load<u32>(reader + READER_FIRST_PASS) != 0;
  let index = load<u64>(reader + READER_INDEX);
  const stopped = stops && index == PASS_ENDED;
  const stop = index + SKIP_MAX;
  store<u64>(self + JOURNAL_READ_FROM, index);
  store<u64>(self + JOURNAL_READ_TO, index);
  store<u32>(self + JOURNAL_READ_FIRST, firstPass ? 1 : 0);
  let used: u32 = 0;
  let passEnded = false;
  stoppedEarly = false;
  if (stopped && bytes == 0) index = 0;
  while (!stopped && used + HEADER_BYTES + ENTRY_BYTES < bytes) {
    if (!firstPass) index = firstDirty(index, min<u64>(entries, stop));
    const length = record(index, entries, boltedOnly, firstPass, bytes - used, to + <usize>used);
    if (length != 0) used += length;
    index += recordSlots;
    if (index >= entries) {
      index = stops ? PASS_ENDED : 0;
      passEnded = true;
      break;
    }
    if (index >= stop) {
      stoppedEarly = true;
      break;
    }
  }
  yieldPoint(AT_READER);
  store<u64>(results, used);
  journalAnswer(used == 0 && stoppedEarly ? H_CONTINUE : H_SUCCESS, 1 + used / 8);
  if (passEnded) store<u32>(reader + READER_FIRST_PASS, 0);
  store<u64>(reader + READER_INDEX, index);
  release(reader, READER_OPEN);
  return <i32>used;
}

function firstDirty(index: u64, end: u64): u64 {
  while (index < end && !isDirty(index)) index++;
  return index;
}

/** RACE: plain reads; an entry that changes at this instant is met in the next pass. */
function isDirty(ptex: u64): bool {
  const guest = guestRpte(ptex);
  if ((guest & HPTE_GR_MODIFIED) != 0) return true;
  const entry = hpteAddress(ptex);
  return (load<u64>(entry) & HPTE_V_VALID) != 0 && (~guest & load<u64>(entry, 8) & HPTE_R_RC) != 0;
}

/** Slots that the last record covers. */
let recordSlots: u64 = 0;

/** Writes one record from `index` on into `room` bytes; gives its length, 0 when there was nothing to say. */
function record(index: u64, entries: u64, boltedOnly: bool, firstPass: bool, room: u32, to: usize): u32 {
  let valid: u32 = 0;
  let invalid: u32 = 0;
  let used = HEADER_BYTES;
  let at = index;
  while (at < entries && valid < RUN_MAX && used + ENTRY_BYTES < room && take(at, true, boltedOnly, firstPass)) {
    store<u64>(to + <usize>used, bswap<u64>(takenV));
    store<u64>(to + <usize>used, bswap<u64>(takenR), 8);
    used += ENTRY_BYTES;
    valid++;
    at++;
  }
  while (at < entries && invalid < RUN_MAX && take(at, false, boltedOnly, firstPass)) {
    invalid++;
    at++;
  }
  recordSlots = at - index;
  if (recordSlots == 0) return 0;
  store<u32>(to, <u32>index);
  store<u16>(to, <u16>valid, 4);
  store<u16>(to, <u16>invalid, 6);
  return used;
}

let takenV: u64 = 0;
let takenR: u64 = 0;

/**
 * Is this slot one for the record (valid or not, as wanted; on later passes: changed)? Then its words are in takenV and
 * takenR and it counts as given. R and C that only the hardware knew go to the guest's view either way.
 */
function take(ptex: u64, wantValid: bool, boltedOnly: bool, firstPass: bool): bool {
  const entry = hpteAddress(ptex);
  const dirtyBefore = isDirty(ptex);
  if (!firstPass && !dirtyBefore) return false;
  const taken = (load<u64>(entry) & HPTE_V_TAKEN) != 0;
  const shownBefore = taken && (!boltedOnly || (load<u64>(entry) & HPTE_V_BOLTED) != 0);
  if (shownBefore != wantValid) return false;
  if (!shownBefore && !dirtyBefore) return true;
  store<u64>(self + JOURNAL_READ_TO, ptex + 1);
  const locked = lockHpte(entry);
  journalWords(0, entry, ptex);
  const v = guestV(locked, load<u64>(entry, 8));
  let guest = guestRpte(ptex);
  const missing = (v & HPTE_V_VALID) != 0 ? ~guest & atomic.load<u64>(entry, 8) & HPTE_R_RC : 0;
  if (missing != 0) guest |= missing | HPTE_GR_MODIFIED;
  const shown = (v & HPTE_V_TAKEN) != 0 && (!boltedOnly || (v & HPTE_V_BOLTED) != 0);
  const dirty = (guest & HPTE_GR_MODIFIED) != 0;
  const given = shown == wantValid && (firstPass || dirty);
  if (given) guest &= ~HPTE_GR_MODIFIED;
  setGuestRpte(ptex, guest);
  unlockHpte(entry, locked);
  takenV = (v & HPTE_V_ABSENT) != 0 ? (v & ~HPTE_V_ABSENT) | HPTE_V_VALID : v;
  takenV |= HPTE_V_HVLOCK;
  takenR = guest;
  return given;
}
