/**
 * H_PAGE_INIT: zero a 4 KiB page of guest memory or copy one into it.
 *
 * Where guest memory is kept the bytes are written; where it is not, the answer is the same and the frame is marked
 * dirty all the same: a host would have written it. SPEC: PAPR H_PAGE_INIT; checks in KVM HV's order.
 */
import { H_CMO, H_COPY_PAGE, H_ICACHE_INVALIDATE, H_ICACHE_SYNCHRONIZE, H_ZERO_PAGE } from '../flags';
import { markDirty, memoryOf, slotOf } from '../memslots';
import { noteChange } from '../pieces';
import { SHIFT_4K } from '../page-sizes';
import {
  RULE_PAGE_INIT_DESTINATION, RULE_PAGE_INIT_DONE, RULE_PAGE_INIT_FLAGS, RULE_PAGE_INIT_NOT_RAM, RULE_PAGE_INIT_SOURCE,
} from '../rules';
import { H_PARAMETER, H_SUCCESS } from '../status';
import { because } from '../this-processor';

const ALLOWED: u64 = H_ICACHE_INVALIDATE | H_ICACHE_SYNCHRONIZE | H_ZERO_PAGE | H_COPY_PAGE | H_CMO;
const PAGE_BYTES: u64 = 4096;

/** in: flags, destination, source (guest addresses). out: nothing. */
export function pageInit(args: usize): i32 {
  const flags = load<u64>(args);
  const destination = load<u64>(args, 8);
  const source = load<u64>(args, 16);
  const copy = (flags & H_COPY_PAGE) != 0;
  if ((flags & ~ALLOWED) != 0) return refuse(RULE_PAGE_INIT_FLAGS, flags & ~ALLOWED);
  if ((destination & (PAGE_BYTES - 1)) != 0) return refuse(RULE_PAGE_INIT_DESTINATION, destination);
  if (copy && (source & (PAGE_BYTES - 1)) != 0) return refuse(RULE_PAGE_INIT_SOURCE, source);
  if (!copy && (flags & H_ZERO_PAGE) == 0) {
    because(RULE_PAGE_INIT_DONE, destination, 0);
    return H_SUCCESS;
  }
  const slot = slotOf(destination);
  if (slot == 0) return refuse(RULE_PAGE_INIT_NOT_RAM, destination);
  if (copy && slotOf(source) == 0) return refuse(RULE_PAGE_INIT_NOT_RAM, source);
  write(memoryOf(destination), copy ? memoryOf(source) : 0, copy);
  markDirty(slot, destination, SHIFT_4K);
  because(RULE_PAGE_INIT_DONE, destination, PAGE_BYTES);
  return H_SUCCESS;
}

/** Writes a page of memory that is kept. */
function write(to: usize, from: usize, copy: bool): void {
  if (to == 0) return;
  noteChange(to);
  if (copy && from != 0) memory.copy(to, from, <usize>PAGE_BYTES);
  else if (!copy) memory.fill(to, 0, <usize>PAGE_BYTES);
}

function refuse(rule: u32, detail: u64): i32 {
  because(rule, detail);
  return H_PARAMETER;
}
