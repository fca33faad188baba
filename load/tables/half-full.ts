/** A table with four entries in each group, as a stream of KVM's HTAB format (docs/htab.md). */

const SLOTS = 8;
const ENTRIES_PER_GROUP = 4;
const GROUP_BYTES = 8 + 16 * ENTRIES_PER_GROUP;
const GROUPS_PER_CHUNK = 1024;
/** As they are read: VALID, and the bit that KVM has set. */
const V_LOW = 0x41;
/** R, C and M. */
const R_LOW = 0x190;
/** 64K frames that the entries take turns on: some are mapped often, as a kernel's are, when the table is large. */
const FRAMES = 2 ** 20;

/** Guest memory that has all the frames. */
export const RAM_BYTES = FRAMES * 2 ** 16;

export function entriesOf(order: number): number {
  return 2 ** (order - 7) * ENTRIES_PER_GROUP;
}

export function halfFull(order: number): Buffer[] {
  const groups = 2 ** (order - 7);
  const chunks: Buffer[] = [];
  for (let first = 0; first < groups; first += GROUPS_PER_CHUNK) {
    const count = Math.min(GROUPS_PER_CHUNK, groups - first);
    const chunk = Buffer.alloc(count * GROUP_BYTES);
    for (let i = 0; i < count; i++) writeGroup(chunk, i * GROUP_BYTES, first + i);
    chunks.push(chunk);
  }
  return chunks;
}

function writeGroup(chunk: Buffer, at: number, group: number): void {
  chunk.writeUInt32LE(group * SLOTS, at);
  chunk.writeUInt16LE(ENTRIES_PER_GROUP, at + 4);
  chunk.writeUInt16LE(SLOTS - ENTRIES_PER_GROUP, at + 6);
  for (let slot = 0; slot < ENTRIES_PER_GROUP; slot++) {
    const entry = at + 8 + 16 * slot;
    const page = group * ENTRIES_PER_GROUP + slot + 1;
    chunk.writeUInt32BE(Math.floor(page / 2 ** 20), entry);
    chunk.writeUInt32BE((((page % 2 ** 20) << 12) | V_LOW) >>> 0, entry + 4);
    const frame = page % FRAMES;
    chunk.writeUInt32BE(frame >>> 16, entry + 8);
    chunk.writeUInt32BE((((frame & 0xffff) << 16) | R_LOW) >>> 0, entry + 12);
  }
}
