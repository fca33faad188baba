/**
 * Touching ahead: asks memory for the entries that the next records of a frame name, before the first of them is
 * executed.
 *
 * Why? In a table larger than the caches nearly every hcall waits for its entry, then for the entry's reverse map.
 * These waits cannot overlap by themselves: an hcall takes locks, and the core lets no later load pass a locked
 * instruction. A frame names its entries long before they are needed, so a run of plain loads, with no lock among
 * them, waits for all of them at once. What it costs is told in load/README.md.
 *
 * RACE: plain reads of words that others change. What is read is thrown away.
 */
import { HOST_PAGE_SHIFT, PTEX_COUNT, RAM_BYTES, REVMAP_BASE, TABLE_BASE, TABLE_ORDER } from './memory-map';
import { frameOf, hostState, rmapOf, slotOf } from './memslots';
import { BULK_PTEX } from './hcalls/bulk-remove';
import { OP_H_BULK_REMOVE, OP_H_ENTER, OP_H_PROTECT } from './opcodes';
import { actualPageShift, pageAddress } from './page-sizes';
import { RECORD_HEADER_BYTES, recordBytes, recordOpcode, recordWords } from './records';

/** Few enough that none leaves the first-level cache before it is used. */
const RECORDS: u32 = 32;
/** Tables up to this order lie, with their reverse maps, in a second-level cache: not worth it. */
const SMALL_ORDER: u32 = 19;
/** So do the rmap words of fewer frames than these. */
const MANY_FRAMES: u64 = 1 << 17;

/** Where the sum of all that was read goes, so that the loads are not left out as useless. */
let touched: u64 = 0;

export function touchingPays(): bool {
  return load<u32>(TABLE_ORDER) > SMALL_ORDER;
}

/** Touches what the next records name, the first at `record`. Gives the address behind the last of them. */
export function touchAhead(record: usize, end: usize): usize {
  const entries = load<u64>(PTEX_COUNT);
  const table = <usize>load<u32>(TABLE_BASE);
  const revmap = <usize>load<u32>(REVMAP_BASE);
  const framesToo = load<u64>(RAM_BYTES) >> <u64>load<u32>(HOST_PAGE_SHIFT) >= MANY_FRAMES;
  let sum: u64 = 0;
  for (let i: u32 = 0; i < RECORDS && record < end; i++) {
    const head = load<u32>(record);
    const opcode = recordOpcode(head);
    // Up to H_PROTECT all take flags and a ptex.
    if (opcode <= OP_H_PROTECT) {
      let ptex = load<u64>(record, RECORD_HEADER_BYTES + 8);
      // H_ENTER looks for its slot from the group's first on; a group is two cache lines.
      if (opcode == OP_H_ENTER) ptex &= ~(<u64>7);
      if (ptex < entries) {
        const at = <usize>ptex << 4;
        sum += load<u64>(table + at) + load<u64>(revmap + at);
        if (opcode == OP_H_ENTER) sum += load<u64>(table + at, 64);
      }
      if (opcode == OP_H_ENTER && framesToo) sum += touchFrame(record + RECORD_HEADER_BYTES);
    } else if (opcode == OP_H_BULK_REMOVE) {
      const args = record + RECORD_HEADER_BYTES;
      const argsEnd = args + (<usize>recordWords(head) << 3);
      // A pair begins with its ptex, below what is asked of it.
      for (let pair = args; pair < argsEnd; pair += 16) {
        const ptex = load<u64>(pair) & BULK_PTEX;
        if (ptex >= entries) break;
        const at = <usize>ptex << 4;
        sum += load<u64>(table + at) + load<u64>(revmap + at);
      }
    }
    record += recordBytes(head);
  }
  touched = sum;
  return record;
}

/** What H_ENTER looks up about the frame that its entry maps. */
function touchFrame(args: usize): u64 {
  const v = load<u64>(args, 16);
  const r = load<u64>(args, 24);
  const gpa = pageAddress(r, actualPageShift(v, r));
  const slot = slotOf(gpa);
  if (slot == 0) return 0;
  const frame = frameOf(slot, gpa);
  return load<u64>(rmapOf(slot, frame)) + <u64>hostState(slot, frame);
}
