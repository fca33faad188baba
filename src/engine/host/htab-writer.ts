/**
 * The table as a stream (KVM's HTAB format), writing side: loads records into the table.
 *
 * An occupied slot is emptied first, then the entry is entered as H_ENTER with H_EXACT would, so that chains, host
 * pages and cacheability come out as this host has them. Slots that a record says are empty are emptied.
 * DIFFERS: KVM HV does not move on in its buffer after a record with entries; here any number of records may come in
 * one call, and a record whose body is not all there is left for the next call.
 */
import { H_EXACT } from '../flags';
import { HPTE_V_HVLOCK, HPTE_V_VALID } from '../hpte';
import { insert } from '../hcalls/enter';
import { clearSlot } from '../hcalls/remove';
import { PTEX_COUNT } from '../memory-map';
import { pageShifts } from '../page-sizes';
import { RULE_HTAB_RECORD } from '../rules';
import { H_HARDWARE, H_PARAMETER, H_SUCCESS } from '../status';
import { because } from '../this-processor';

const HEADER_BYTES: u32 = 8;
const ENTRY_BYTES: u32 = 16;

/** Bytes of whole records that the last write took. */
export let htabTaken: u32 = 0;

/** H_PARAMETER: an index out of range, an entry without VALID or with no page size. H_HARDWARE: it could not be entered. */
export function writeHtab(from: usize, bytes: u32): i32 {
  htabTaken = 0;
  while (htabTaken + HEADER_BYTES <= bytes) {
    const record = from + <usize>htabTaken;
    const length = HEADER_BYTES + <u32>load<u16>(record, 4) * ENTRY_BYTES;
    if (htabTaken + length > bytes) break;
    const status = writeRecord(record);
    if (status != H_SUCCESS) return status;
    htabTaken += length;
  }
  return H_SUCCESS;
}

function writeRecord(record: usize): i32 {
  let ptex: u64 = load<u32>(record);
  const valid = <u64>load<u16>(record, 4);
  const end = ptex + valid + <u64>load<u16>(record, 6);
  if (ptex >= load<u64>(PTEX_COUNT) || end > load<u64>(PTEX_COUNT)) return refuse(H_PARAMETER, ptex);
  for (let at = record + <usize>HEADER_BYTES; ptex < end - <u64>load<u16>(record, 6); ptex++, at += <usize>ENTRY_BYTES) {
    const v = bswap<u64>(load<u64>(at)) & ~HPTE_V_HVLOCK;
    const r = bswap<u64>(load<u64>(at, 8));
    if ((v & HPTE_V_VALID) == 0 || pageShifts(v, r) == 0) return refuse(H_PARAMETER, ptex);
    clearSlot(ptex);
    if (insert(H_EXACT, ptex, v, r, false, false, 0) != H_SUCCESS) return refuse(H_HARDWARE, ptex);
  }
  for (; ptex < end; ptex++) clearSlot(ptex);
  return H_SUCCESS;
}

function refuse(status: i32, ptex: u64): i32 {
  because(RULE_HTAB_RECORD, htabTaken, ptex);
  return status;
}
