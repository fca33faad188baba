/** The head of a request record: its first 32 bits. schemas/records.ts draws it. */
export const RECORD_HEADER_BYTES: usize = 8;
export const RECORD_VERSION: u32 = 1;
export const EXPLAIN_BIT: u32 = 0x4000;
const OPCODE_MASK: u32 = 0xffff & ~EXPLAIN_BIT;

@inline
export function recordOpcode(head: u32): u32 {
  return head & OPCODE_MASK;
}

@inline
export function recordWords(head: u32): u32 {
  return (head >> 16) & 0xfff;
}

@inline
export function recordBytes(head: u32): usize {
  return RECORD_HEADER_BYTES + (<usize>recordWords(head) << 3);
}
