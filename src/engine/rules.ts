/**
 * The rules that give answers, by number. For an hcall that asks to be explained a processor leaves the number
 * of the rule that decided, with details, in its block, and answers with them. schemas/rules.ts has the sentences;
 * test/engine/rules.test.ts compares the two files.
 */
export const RULE_NONE: u32 = 0;
export const RULE_UNKNOWN_OPCODE: u32 = 1; // opcode
export const RULE_CONTROL_BY_GUEST: u32 = 2; // opcode
export const RULE_NO_TABLE: u32 = 3;
export const RULE_PTEX_RANGE: u32 = 4; // ptex, number of entries
export const RULE_B_RESERVED: u32 = 5; // B
export const RULE_PAGE_SIZE_UNKNOWN: u32 = 6; // L, LP
export const RULE_SLOT_MISALIGNED: u32 = 7; // slot, actual page shift
export const RULE_BACKING_TOO_SMALL: u32 = 8; // backing shift, actual page shift
export const RULE_WIMG_CACHE_INHIBITED: u32 = 9; // WIMG, gpa
export const RULE_ZERO_TOO_BIG: u32 = 10; // actual page shift
export const RULE_GROUP_FULL: u32 = 11; // group, then the eight dwords 0
export const RULE_SLOT_OCCUPIED: u32 = 12; // ptex, dword 0
export const RULE_ENTERED: u32 = 13; // ptex, pass (1 or 2)
export const RULE_ENTERED_MMIO: u32 = 14; // ptex, gpa
export const RULE_ENTERED_ABSENT: u32 = 15; // ptex, gpa
export const RULE_EMPTY: u32 = 16; // ptex
export const RULE_AVPN_MISMATCH: u32 = 17; // the entry's, the caller's
export const RULE_ANDCOND_HIT: u32 = 18; // dword 0 as locked, mask
export const RULE_REMOVED: u32 = 19; // ptex, tlbie operand or 0
export const RULE_PROTECTED: u32 = 20; // ptex, 1 if the translation was invalidated
export const RULE_READ: u32 = 21; // ptex, entries
export const RULE_CLEARED: u32 = 22; // ptex, 1 if the translation was invalidated
export const RULE_BULK_TYPE: u32 = 23; // pair, type
export const RULE_BULK_SELECTOR: u32 = 24; // pair, selector
export const RULE_BULK_PTEX: u32 = 25; // pair, ptex
export const RULE_BULK_DONE: u32 = 26; // pairs removed, pairs not found
export const RULE_PAGE_INIT_FLAGS: u32 = 27; // flags not allowed
export const RULE_PAGE_INIT_DESTINATION: u32 = 28; // destination
export const RULE_PAGE_INIT_SOURCE: u32 = 29; // source
export const RULE_PAGE_INIT_NOT_RAM: u32 = 30; // address
export const RULE_PAGE_INIT_DONE: u32 = 31; // destination, bytes written
export const RULE_RESIZE_FLAGS: u32 = 32; // flags
export const RULE_RESIZE_SHIFT: u32 = 33; // shift
export const RULE_RESIZE_LIMIT: u32 = 34; // shift, greatest allowed
export const RULE_RESIZE_NO_SPACE: u32 = 35; // shift
export const RULE_RESIZE_PREPARING: u32 = 36; // shift, per cent zeroed
export const RULE_RESIZE_READY: u32 = 37; // shift
export const RULE_RESIZE_CANCELLED: u32 = 38; // order dropped
export const RULE_RESIZE_NOT_PREPARED: u32 = 39; // shift, order prepared or 0
export const RULE_RESIZE_COLLISION: u32 = 40; // old ptex, new ptex
export const RULE_RESIZE_DONE: u32 = 41; // order, bolted entries moved
export const RULE_BLOCK_TYPE: u32 = 42; // index, type
export const RULE_BLOCK_DONE: u32 = 43; // removed, refused
export const RULE_CLEAR_HPT: u32 = 44; // next ptex or 0 when done, entries removed
export const RULE_CONTROL_ARGUMENT: u32 = 45; // argument number, value
export const RULE_CONTROL_DONE: u32 = 46;
export const RULE_NO_MEMORY: u32 = 47; // gpa
export const RULE_HTAB_RECORD: u32 = 48; // byte offset, ptex
