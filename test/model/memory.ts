/**
 * Guest memory, kept as 4 KiB pages that exist once written: H_PAGE_INIT, MEMORY_READ and
 * MEMORY_WRITE.
 *
 * SPEC: PAPR "H_PAGE_INIT"; answers as KVM HV gives them.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { MEMORY_WORDS_MAX } from '../../schemas/limits.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { not } from './hpte.ts';
import { type Answer, type State, fail, markDirty, ok, slotAt } from './table.ts';

const PAGE_BYTES = 4096n;
const PAGE_INIT_FLAGS =
  FLAGS.H_ICACHE_INVALIDATE |
  FLAGS.H_ICACHE_SYNCHRONIZE |
  FLAGS.H_ZERO_PAGE |
  FLAGS.H_COPY_PAGE |
  FLAGS.H_PAGE_STATE_CHANGE |
  FLAGS.H_PAGE_UNUSED |
  FLAGS.H_PAGE_SET_LOANED;

export function hPageInit(state: State, args: readonly bigint[]): Answer {
  const [flags = 0n, destination = 0n, source = 0n] = args;
  const copies = (flags & FLAGS.H_COPY_PAGE) !== 0n;
  const zeroes = (flags & FLAGS.H_ZERO_PAGE) !== 0n;
  if ((flags & not(PAGE_INIT_FLAGS)) !== 0n) return fail(STATUSES.H_PARAMETER);
  if (destination % PAGE_BYTES !== 0n) return fail(STATUSES.H_PARAMETER);
  if (copies && source % PAGE_BYTES !== 0n) return fail(STATUSES.H_PARAMETER);
  if (!copies && !zeroes) return ok();
  if (slotAt(state, destination) === undefined) return fail(STATUSES.H_PARAMETER);
  if (copies && slotAt(state, source) === undefined) return fail(STATUSES.H_PARAMETER);

  if (copies) copyPage(state, destination, source);
  else zeroMemory(state, destination, PAGE_BYTES);
  markDirty(state, destination, PAGE_BYTES);
  return ok();
}

/** Where one of the two is not kept there is nothing to copy. */
function copyPage(state: State, destination: bigint, source: bigint): void {
  if (slotAt(state, destination)?.backed !== true || slotAt(state, source)?.backed !== true) return;
  const bytes = state.memory.get(source / PAGE_BYTES);
  state.memory.set(destination / PAGE_BYTES, bytes?.slice() ?? new Uint8Array(Number(PAGE_BYTES)));
}

/** Whole 4 KiB pages that hold only zeroes again. */
export function zeroMemory(state: State, gpa: bigint, bytes: bigint): void {
  for (let page = gpa / PAGE_BYTES; page < (gpa + bytes) / PAGE_BYTES; page++) {
    state.memory.delete(page);
  }
}

/**
 * Every address of an 8-byte aligned range of words; undefined when it is not in one slot whose
 * bytes are kept.
 */
function wordAddresses(state: State, gpa: bigint, words: bigint): bigint[] | undefined {
  if (gpa % 8n !== 0n) return undefined;
  const slot = slotAt(state, gpa);
  if (slot?.backed !== true || gpa + 8n * words > slot.base + slot.bytes) return undefined;
  return Array.from({ length: Number(words) }, (_, i) => gpa + 8n * BigInt(i));
}

function wordView(state: State, address: bigint): DataView {
  let page = state.memory.get(address / PAGE_BYTES);
  if (page === undefined) {
    page = new Uint8Array(Number(PAGE_BYTES));
    state.memory.set(address / PAGE_BYTES, page);
  }
  return new DataView(page.buffer, Number(address % PAGE_BYTES), 8);
}

export function memoryRead(state: State, args: readonly bigint[]): Answer {
  const [gpa = 0n, words = 0n] = args;
  if (words > BigInt(MEMORY_WORDS_MAX)) return fail(STATUSES.H_PARAMETER);
  const addresses = wordAddresses(state, gpa, words);
  if (addresses === undefined) return fail(STATUSES.H_PARAMETER);
  return ok(...addresses.map((address) => wordView(state, address).getBigUint64(0, true)));
}

/** The store of a guest's processor shows as SET_RC or WALK; this one marks nothing dirty. */
export function memoryWrite(state: State, args: readonly bigint[]): Answer {
  const [gpa = 0n, ...words] = args;
  const addresses = wordAddresses(state, gpa, BigInt(words.length));
  if (addresses === undefined) return fail(STATUSES.H_PARAMETER);
  for (const [i, address] of addresses.entries()) {
    wordView(state, address).setBigUint64(0, words[i] ?? 0n, true);
  }
  return ok();
}
