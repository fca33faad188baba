/**
 * Control records: what a guest's host says and asks, apart from hcalls. schemas/operations.ts has their arguments.
 * The status says whether the record was executed; its outcome is the first result word.
 */
import { readEntry } from '../hcalls/read';
import { ORDER_MAX, ORDER_MIN, resizeAtOnce } from '../hcalls/resize';
import { journalDone } from '../journal';
import {
  GPA_LIMIT, HOST_PAGE_SHIFT, MEMSLOTS_MAX, MEMSLOT_CI, MEMSLOT_RAM, MODE, PTEX_COUNT, SLOT_BASE, SLOT_LENGTH, SLOT_REMOVING,
  hpteAddress, revmapAddress,
} from '../memory-map';
import { memoryOf, slotOf } from '../memslots';
import {
  DIRTY_FRAMES_MAX, HTAB_READ_BYTES_MAX, MEMORY_WORDS_MAX, OP_HOST_AGE, OP_HOST_DIRTY,
  OP_HOST_PAGE_FAULT, OP_HOST_SET_PTE, OP_HOST_UNMAP, OP_HPT_FREE, OP_HPT_RESET, OP_HPT_RESIZE, OP_HTAB_CLOSE,
  OP_HTAB_OPEN, OP_HTAB_READ, OP_HTAB_WRITE, OP_MEMSLOT_ADD, OP_MEMSLOT_REMOVE, OP_MEMORY_READ, OP_MEMORY_WRITE, OP_SET_RC, OP_TABLE_COUNT, OP_TABLE_SHAPE, SHAPE_WORDS,
  OP_TABLE_HASH, OP_WALK,
} from '../opcodes';
import { SHIFT_16G } from '../page-sizes';
import { noteChanges } from '../pieces';
import { RULE_CONTROL_ARGUMENT, RULE_CONTROL_DONE, RULE_NO_MEMORY, RULE_NO_TABLE } from '../rules';
import {
  H_CONTINUE, H_NOT_AVAILABLE, H_NO_MEM, H_PARAMETER, H_RESOURCE, H_SUCCESS,
} from '../status';
import { answerWords, because } from '../this-processor';
import { ageBackingPage } from './age';
import { harvestDirty } from './dirty';
import { HTAB_BOLTED_ONLY, HTAB_STOPS, closeReader, openReader, readHtab, stoppedEarly } from './htab-reader';
import { htabTaken, writeHtab } from './htab-writer';
import { addSlotWhileRunning, removeSlotPiece } from './memslot-change';
import { pageFault, setBackingPage, setRc } from './page-fault';
import { shapePiece } from './shape';
import { countPiece, freeTable, hashPiece, resetTable } from './table';
import { unmapBackingPage } from './unmap';
import { segmentPageShift, walk } from './walk';

/** What the trace format's HPT_RESIZE answers beside 0 and -ENOSPC: -ENOMEM, -EINVAL. */
const ENOMEM: i64 = 12;
const EINVAL: i64 = 22;

export function executeControl(opcode: u32, words: u32, args: usize, results: usize): i32 {
  because(RULE_CONTROL_DONE);
  switch (opcode) {
    case OP_HOST_UNMAP:
    case OP_HOST_SET_PTE:
    case OP_HOST_AGE:
    case OP_HOST_DIRTY:
      return onMemory(opcode, args, results);
    case OP_MEMORY_READ:
    case OP_MEMORY_WRITE:
      return onBackedMemory(opcode, words, args, results);
    case OP_MEMSLOT_ADD:
      return addSlot(args, results);
    case OP_MEMSLOT_REMOVE: {
      const status = removeSlotPiece(load<u64>(args), results);
      return status == H_PARAMETER ? badArgument(0, load<u64>(args)) : status;
    }
    case OP_HPT_RESET: {
      const refused = resetTable(load<u64>(args), results);
      if (refused == 1) return badArgument(0, load<u64>(args));
      return refused == 2 ? H_NO_MEM : answer(results, 0);
    }
    case OP_HPT_FREE:
      freeTable(results);
      return answer(results, 0);
    default:
      return onTable(opcode, words, args, results);
  }
}

const KIND_KEEPS_BYTES: u64 = 4;

function addSlot(args: usize, results: usize): i32 {
  const base = load<u64>(args, 8);
  const bytes = load<u64>(args, 16);
  const kind = load<u64>(args, 24);
  const backingShift = load<u64>(args, 32);
  const hostShift = load<u32>(HOST_PAGE_SHIFT);
  const within = (<u64>1 << <u64>hostShift) - 1;
  if (load<u64>(args) >= <u64>MEMSLOTS_MAX) return badArgument(0, load<u64>(args));
  if ((base & within) != 0 || base >= GPA_LIMIT) return badArgument(1, base);
  if ((bytes & within) != 0 || bytes == 0 || bytes > GPA_LIMIT - base) return badArgument(2, bytes);
  if ((kind & ~KIND_KEEPS_BYTES) != MEMSLOT_RAM && kind != MEMSLOT_CI) return badArgument(3, kind);
  if (backingShift < hostShift || backingShift > SHIFT_16G) return badArgument(4, backingShift);
  const kept = (kind & KIND_KEEPS_BYTES) != 0;
  addSlotWhileRunning(<u32>load<u64>(args), base, bytes, <u32>(kind & 3), <u32>backingShift, kept, results);
  answerWords(1);
  return H_SUCCESS;
}

function onMemory(opcode: u32, args: usize, results: usize): i32 {
  const gpa = load<u64>(args);
  if (slotOf(gpa) == 0) return noMemory(gpa);
  switch (opcode) {
    case OP_HOST_UNMAP:
      unmapBackingPage(gpa);
      return answer(results, 0);
    case OP_HOST_SET_PTE:
      if (load<u64>(args, 8) > 7) return badArgument(1, load<u64>(args, 8));
      if (load<u32>(slotOf(gpa) + SLOT_REMOVING) != 0) return noMemory(gpa);
      setBackingPage(gpa, <u8>load<u64>(args, 8));
      return answer(results, 0);
    case OP_HOST_AGE:
      store<u64>(results, ageBackingPage(gpa) ? 1 : 0);
      answerWords(1);
      journalDone(H_SUCCESS, 1);
      return H_SUCCESS;
    default: {
      const frames = load<u64>(args, 8);
      if (frames > DIRTY_FRAMES_MAX) return badArgument(1, frames);
      const dirty = harvestDirty(gpa, <u32>frames, results + 8);
      store<u64>(results, dirty);
      answerWords(1 + (<u32>frames + 63) / 64);
      journalDone(H_SUCCESS, 1 + (<u32>frames + 63) / 64);
      return H_SUCCESS;
    }
  }
}

function onBackedMemory(opcode: u32, words: u32, args: usize, results: usize): i32 {
  const gpa = load<u64>(args);
  if ((gpa & 7) != 0) return badArgument(0, gpa);
  const length = opcode == OP_MEMORY_READ ? load<u64>(args, 8) : <u64>(words - 1);
  if (length > MEMORY_WORDS_MAX) return badArgument(1, length);
  const slot = slotOf(gpa);
  const at = memoryOf(gpa);
  if (at == 0 || gpa - load<u64>(slot + SLOT_BASE) + length * 8 > load<u64>(slot + SLOT_LENGTH)) return noMemory(gpa);
  if (opcode == OP_MEMORY_WRITE) {
    noteChanges(at, <usize>length << 3);
    memory.copy(at, args + 8, <usize>length << 3);
    return H_SUCCESS;
  }
  memory.copy(results, at, <usize>length << 3);
  answerWords(<u32>length);
  return H_SUCCESS;
}

function onTable(opcode: u32, words: u32, args: usize, results: usize): i32 {
  if (load<u32>(MODE) == 0) {
    because(RULE_NO_TABLE);
    return H_NOT_AVAILABLE;
  }
  switch (opcode) {
    case OP_HPT_RESIZE:
      return resizeNow(load<u64>(args), results);
    case OP_HTAB_OPEN:
    case OP_HTAB_READ:
    case OP_HTAB_CLOSE:
    case OP_HTAB_WRITE:
      return onStream(opcode, words, args, results);
    case OP_WALK:
      if (segmentPageShift(load<u64>(args, 8)) == 0) return badArgument(1, load<u64>(args, 8));
      walk(load<u64>(args), load<u64>(args, 8), load<u64>(args, 16), load<u64>(args, 24), results);
      answerWords(6);
      return H_SUCCESS;
    default:
      return onEntries(opcode, args, results);
  }
}

function onEntries(opcode: u32, args: usize, results: usize): i32 {
  const ptex = load<u64>(args);
  if (ptex >= load<u64>(PTEX_COUNT)) return badArgument(0, ptex);
  switch (opcode) {
    case OP_HOST_PAGE_FAULT:
      pageFault(ptex, results);
      answerWords(1);
      return H_SUCCESS;
    case OP_SET_RC:
      setRc(ptex, load<u64>(args, 8), load<u64>(args, 16) != 0, results);
      answerWords(1);
      return H_SUCCESS;
    case OP_TABLE_HASH:
      hashPiece(ptex, load<u64>(args, 8), load<u64>(args, 16), load<u64>(args, 24), results);
      answerWords(3);
      return H_SUCCESS;
    case OP_TABLE_COUNT:
      countPiece(ptex, load<u64>(args, 8), results);
      answerWords(9);
      return H_SUCCESS;
    case OP_TABLE_SHAPE:
      shapePiece(ptex, load<u64>(args, 8), results);
      answerWords(SHAPE_WORDS);
      return H_SUCCESS;
    default:
      // ENTRY_INSPECT: there is no other opcode.
      inspect(ptex, results);
      return H_SUCCESS;
  }
}

/** RACE: the raw words are read without the lock, for people to look at; the last two as H_READ reads them. */
function inspect(ptex: u64, results: usize): void {
  const entry = hpteAddress(ptex);
  const revmap = revmapAddress(ptex);
  store<u64>(results, load<u64>(entry));
  store<u64>(results, load<u64>(entry, 8), 8);
  store<u64>(results, load<u64>(revmap), 16);
  store<u64>(results, load<u32>(revmap, 8), 24);
  store<u64>(results, load<u32>(revmap, 12), 32);
  readEntry(ptex, results + 40);
  answerWords(7);
}

function onStream(opcode: u32, words: u32, args: usize, results: usize): i32 {
  const first = load<u64>(args);
  switch (opcode) {
    case OP_HTAB_OPEN: {
      // SPEC: as KVM HV the start is not checked: a read from beyond the table ends the first pass.
      if ((load<u64>(args, 8) & ~(HTAB_BOLTED_ONLY | HTAB_STOPS)) != 0) return badArgument(1, load<u64>(args, 8));
      if (!openReader(first, load<u64>(args, 8), results)) return H_RESOURCE;
      answerWords(1);
      return H_SUCCESS;
    }
    case OP_HTAB_READ: {
      const bytes = <u32>min<u64>(load<u64>(args, 8), HTAB_READ_BYTES_MAX);
      const used = readHtab(first, bytes, results);
      if (used < 0) return badArgument(0, first);
      // Records are whole words, so nothing has to be padded.
      answerWords(1 + <u32>used / 8);
      return used == 0 && stoppedEarly ? H_CONTINUE : H_SUCCESS;
    }
    case OP_HTAB_CLOSE:
      if (!closeReader(first, results)) return badArgument(0, first);
      answerWords(1);
      return H_SUCCESS;
    default: {
      if (first > <u64>(words - 1) * 8) return badArgument(0, first);
      const status = writeHtab(args + 8, <u32>first);
      store<u64>(results, htabTaken);
      answerWords(1);
      return status;
    }
  }
}

function resizeNow(order: u64, results: usize): i32 {
  if (order < ORDER_MIN || order > ORDER_MAX) return answer(results, -EINVAL);
  const status = resizeAtOnce(order, results);
  if (status == H_NOT_AVAILABLE) return status;
  if (status == H_NO_MEM) return answer(results, -ENOMEM);
  answerWords(1);
  return H_SUCCESS;
}

function answer(results: usize, outcome: i64): i32 {
  store<u64>(results, outcome);
  answerWords(1);
  return H_SUCCESS;
}

function badArgument(index: u64, value: u64): i32 {
  because(RULE_CONTROL_ARGUMENT, index, value);
  return H_PARAMETER;
}

function noMemory(gpa: u64): i32 {
  because(RULE_NO_MEMORY, gpa);
  return H_PARAMETER;
}
