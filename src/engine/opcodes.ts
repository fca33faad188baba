/**
 * Opcodes and how many words they take and give. schemas/operations.ts has the same for the world outside;
 * test/engine/dispatch.test.ts compares the two.
 */
export const OP_H_REMOVE: u32 = 0x04;
export const OP_H_ENTER: u32 = 0x08;
export const OP_H_READ: u32 = 0x0c;
export const OP_H_CLEAR_MOD: u32 = 0x10;
export const OP_H_CLEAR_REF: u32 = 0x14;
export const OP_H_PROTECT: u32 = 0x18;
export const OP_H_PAGE_INIT: u32 = 0x2c;
export const OP_H_BULK_REMOVE: u32 = 0x124;
export const OP_H_BLOCK_REMOVE: u32 = 0x328;
export const OP_H_CLEAR_HPT: u32 = 0x358;
export const OP_H_RESIZE_HPT_PREPARE: u32 = 0x36c;
export const OP_H_RESIZE_HPT_COMMIT: u32 = 0x370;

export const OP_HOST_UNMAP: u32 = 0x8001;
export const OP_HOST_SET_PTE: u32 = 0x8002;
export const OP_HOST_AGE: u32 = 0x8003;
export const OP_HOST_PAGE_FAULT: u32 = 0x8004;
export const OP_SET_RC: u32 = 0x8005;
export const OP_TABLE_HASH: u32 = 0x8006;
export const OP_HPT_RESET: u32 = 0x8007;
export const OP_HPT_FREE: u32 = 0x8008;
export const OP_HPT_RESIZE: u32 = 0x8009;
export const OP_HTAB_OPEN: u32 = 0x800a;
export const OP_HTAB_READ: u32 = 0x800b;
export const OP_HTAB_CLOSE: u32 = 0x800c;
export const OP_HTAB_WRITE: u32 = 0x800d;
export const OP_WALK: u32 = 0x800e;
export const OP_HOST_DIRTY: u32 = 0x800f;
export const OP_ENTRY_INSPECT: u32 = 0x8010;
export const OP_MEMORY_READ: u32 = 0x8011;
export const OP_MEMORY_WRITE: u32 = 0x8012;
export const OP_TABLE_COUNT: u32 = 0x8013;
export const OP_MEMSLOT_ADD: u32 = 0x8014;
export const OP_MEMSLOT_REMOVE: u32 = 0x8015;
export const OP_TABLE_SHAPE: u32 = 0x8016;

/** No hcall answers more. */
export const HCALL_ANSWER_WORDS_MAX: u32 = 9;

/** Data words that may follow the arguments of a write. */
export const DATA_WORDS_MAX: u32 = 4000;
export const HTAB_READ_BYTES_MAX: u64 = 65536;
export const DIRTY_FRAMES_MAX: u64 = 4096;
export const MEMORY_WORDS_MAX: u64 = 4096;
/** Words that TABLE_SHAPE answers. */
export const SHAPE_WORDS: u32 = 33;
/** What an unknown opcode may carry: anything, since all it gets is H_FUNCTION. */
const ANY: u32 = 0xfff;

/** Set in every control record's opcode. */
export const CONTROL_BIT: u32 = 0x8000;

/** A control record's, and one that there is: nothing may look at the words of another. */
@inline
export function isControl(opcode: u32): bool {
  return opcode >= OP_HOST_UNMAP && opcode <= OP_TABLE_SHAPE;
}

/** Fewest argument words | most << 16. */
export function wordsAllowed(opcode: u32): u32 {
  switch (opcode) {
    case OP_H_ENTER:
      return exactly(4);
    case OP_H_REMOVE:
    case OP_H_PROTECT:
    case OP_H_PAGE_INIT:
      return exactly(3);
    case OP_H_BULK_REMOVE:
      return 1 | (8 << 16);
    case OP_H_READ:
    case OP_H_CLEAR_MOD:
    case OP_H_CLEAR_REF:
    case OP_H_RESIZE_HPT_PREPARE:
    case OP_H_RESIZE_HPT_COMMIT:
      return exactly(2);
    case OP_H_BLOCK_REMOVE:
      return 2 | (9 << 16);
    case OP_H_CLEAR_HPT:
      return exactly(0);
    default:
      return controlWordsAllowed(opcode);
  }
}

function controlWordsAllowed(opcode: u32): u32 {
  switch (opcode) {
    case OP_HPT_FREE:
      return exactly(0);
    case OP_HOST_UNMAP:
    case OP_HOST_AGE:
    case OP_HPT_RESET:
    case OP_HPT_RESIZE:
    case OP_HTAB_CLOSE:
    case OP_ENTRY_INSPECT:
    case OP_MEMSLOT_REMOVE:
      return exactly(1);
    case OP_HOST_SET_PTE:
    case OP_HOST_PAGE_FAULT:
    case OP_HTAB_OPEN:
    case OP_HTAB_READ:
    case OP_HOST_DIRTY:
    case OP_MEMORY_READ:
    case OP_TABLE_COUNT:
    case OP_TABLE_SHAPE:
      return exactly(2);
    case OP_SET_RC:
      return exactly(3);
    case OP_TABLE_HASH:
    case OP_WALK:
      return exactly(4);
    case OP_MEMSLOT_ADD:
      return exactly(5);
    case OP_HTAB_WRITE:
    case OP_MEMORY_WRITE:
      return 1 | ((1 + DATA_WORDS_MAX) << 16);
    default:
      return ANY << 16;
  }
}

function exactly(words: u32): u32 {
  return words | (words << 16);
}

/** The most words that a record may be answered with, explanation not counted. `args`: its argument words. */
export function answerWordsMax(opcode: u32, args: usize): u32 {
  switch (opcode) {
    case OP_HTAB_READ:
      return 1 + (<u32>min<u64>(load<u64>(args, 8), HTAB_READ_BYTES_MAX) + 7) / 8;
    case OP_HOST_DIRTY:
      return 1 + (<u32>min<u64>(load<u64>(args, 8), DIRTY_FRAMES_MAX) + 63) / 64;
    case OP_TABLE_SHAPE:
      return SHAPE_WORDS;
    case OP_MEMORY_READ:
      return <u32>min<u64>(load<u64>(args, 8), MEMORY_WORDS_MAX);
    default:
      return HCALL_ANSWER_WORDS_MAX;
  }
}
