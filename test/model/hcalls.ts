/**
 * The hcalls on entries that are there: H_REMOVE, H_BULK_REMOVE, H_BLOCK_REMOVE, H_CLEAR_HPT,
 * H_PROTECT, H_READ, H_CLEAR_REF and H_CLEAR_MOD.
 *
 * SPEC: PAPR "Page Frame Table Access"; answers as KVM HV gives them, the two it lacks as PAPR has
 * them.
 */
import { FLAGS } from '../../schemas/flags.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import {
  HPTE_GR_MODIFIED,
  HPTE_R_C,
  HPTE_R_KEY_HI,
  HPTE_R_KEY_LO,
  HPTE_R_N,
  HPTE_R_PP,
  HPTE_R_PP0,
  HPTE_R_R,
  HPTE_R_RC,
  HPTE_V_AVPN,
  HPTE_V_HVLOCK,
  HPTE_V_VRMA_MASK,
  type PageSize,
  guestDword0,
  isBolted,
  isMmio,
  isOccupied,
  isValid,
  isWritable,
  makeReadonly,
  not,
  pageSize,
  virtualPage,
} from './hpte.ts';
import {
  type Answer,
  type State,
  dword0Of,
  dword1Of,
  entryAt,
  entryCount,
  fail,
  frameAt,
  groupMask,
  guestPage,
  isPtex,
  markDirty,
  noteModification,
  ok,
  removeEntry,
  setDwords,
  shownEntry,
} from './table.ts';

/** What the caller wants to be true of an entry before it is touched. */
interface Condition {
  avpn: boolean;
  andcond: boolean;
  word: bigint;
}

/** dword 0 is compared as the lock's owner sees it: a mask with HVLOCK in it never matches. */
function matches(v: bigint, condition: Condition): boolean {
  if (!isOccupied(v)) return false;
  if (condition.avpn && (v & not(0x7fn)) !== condition.word) return false;
  return !condition.andcond || ((v | HPTE_V_HVLOCK) & condition.word) === 0n;
}

export function hRemove(state: State, args: readonly bigint[]): Answer {
  const [flags = 0n, ptex = 0n, avpn = 0n] = args;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const entry = entryAt(state, Number(ptex));
  const v = dword0Of(state, entry);
  const condition = {
    avpn: (flags & FLAGS.H_AVPN) !== 0n,
    andcond: (flags & FLAGS.H_ANDCOND) !== 0n,
    word: avpn,
  };
  if (!matches(v, condition)) return fail(STATUSES.H_NOT_FOUND);
  removeEntry(state, Number(ptex));
  return ok(guestDword0(v), entry.guestRpte & not(HPTE_GR_MODIFIED));
}

const TYPE_REQUEST = 1n;
const TYPE_END = 3n;
const END_MARKER = TYPE_END << 62n;
const PTEX_FIELD = (1n << 56n) - 1n;
const SELECTOR_ANDCOND = 1n;
const SELECTOR_AVPN = 2n;
const SELECTOR_ILLEGAL = 3n;

export function hBulkRemove(state: State, args: readonly bigint[]): Answer {
  const words = args.slice(0, 8);
  let status: number = STATUSES.H_SUCCESS;
  for (let i = 0; i < words.length; i += 2) {
    const tsh = words[i] ?? END_MARKER;
    if (tsh >> 62n === TYPE_END) break;
    const selector = (tsh >> 56n) & 3n;
    const ptex = tsh & PTEX_FIELD;
    if (tsh >> 62n !== TYPE_REQUEST || selector === SELECTOR_ILLEGAL || !isPtex(state, ptex)) {
      words[i] = ((0xa0n | selector) << 56n) | ptex;
      status = STATUSES.H_PARAMETER;
      break;
    }
    words[i] = bulkResponse(state, Number(ptex), selector, words[i + 1] ?? 0n);
  }
  return { status, out: words };
}

function bulkResponse(state: State, ptex: number, selector: bigint, tsl: bigint): bigint {
  const entry = entryAt(state, ptex);
  const condition = {
    avpn: selector === SELECTOR_AVPN,
    andcond: selector === SELECTOR_ANDCOND,
    word: tsl,
  };
  if (!matches(dword0Of(state, entry), condition)) {
    return ((0x90n | selector) << 56n) | BigInt(ptex);
  }
  removeEntry(state, ptex);
  return ((0x80n | selector) << 56n) | BigInt(ptex) | ((entry.guestRpte & HPTE_R_RC) << 51n);
}

/** Response codes of H_BLOCK_REMOVE that a sequential table can give. */
const BLOCK_SUCCESS = 0n;
const BLOCK_NOT_FOUND = 1n;
const BLOCK_PARAMETER = 2n;
const BLOCK_SIZE_DIFFERS = 3n;
/** An entry that this very call has removed stays locked to its end. */
const BLOCK_BUSY = 4n;
const BLOCK_OUTSIDE = 5n;
const BLOCK_AVPN = 1n << 56n;
/** A block is 8 base pages. */
const BLOCK_SHIFT = 3n;

interface Anchor {
  size: PageSize;
  segment: bigint;
  block: bigint;
}

/**
 * SPEC: PAPR "H_BLOCK_REMOVE". The first entry that is found is the anchor: it says which page and
 * segment size the others must have and, as the AVPN of small pages covers many blocks, which block
 * it is.
 */
export function hBlockRemove(state: State, args: readonly bigint[]): Answer {
  const ava = args[0] ?? 0n;
  const words = args.slice(1, 9);
  let status: number = STATUSES.H_SUCCESS;
  let anchor: Anchor | undefined;
  const removed = new Set<bigint>();
  for (const [i, ts] of words.entries()) {
    if (ts >> 62n === TYPE_END) break;
    if (ts >> 62n !== TYPE_REQUEST) {
      status = STATUSES.H_PARAMETER;
      break;
    }
    const isBusy = removed.has(ts & PTEX_FIELD);
    const [code, found] = isBusy ? [BLOCK_BUSY] : blockCheck(state, ts, ava, anchor);
    anchor ??= found;
    let rc = 0n;
    if (code === BLOCK_SUCCESS) {
      const ptex = Number(ts & PTEX_FIELD);
      removeEntry(state, ptex);
      removed.add(BigInt(ptex));
      rc = (entryAt(state, ptex).guestRpte & HPTE_R_RC) << 50n;
    } else {
      status = STATUSES.H_PARTIAL;
    }
    words[i] = (2n << 62n) | (code << 59n) | rc | (ts & (BLOCK_AVPN | PTEX_FIELD));
  }
  return { status, out: words };
}

function blockCheck(
  state: State,
  ts: bigint,
  ava: bigint,
  anchor: Anchor | undefined,
): [code: bigint, found?: Anchor] {
  const ptex = ts & PTEX_FIELD;
  if (!isPtex(state, ptex)) return [BLOCK_PARAMETER];
  const entry = entryAt(state, Number(ptex));
  const v = dword0Of(state, entry);
  const size = pageSize(v, entry.guestRpte);
  if (!isOccupied(v) || isBolted(v) || size === undefined) return [BLOCK_NOT_FOUND];

  const pageInBlock = ((1n << (size.base + BLOCK_SHIFT)) - 1n) >> 23n;
  const compared = not(0x7fn | (pageInBlock << 7n));
  // As in the other hcalls the AVPN's low seven bits must be 0 to match.
  const asked = ava & not(pageInBlock << 7n);
  if ((ts & BLOCK_AVPN) !== 0n && (v & compared) !== asked) return [BLOCK_NOT_FOUND];

  // The AVPN, and of the bits that come back from the group only those that the AVPN lacks.
  const { offset } = virtualPage(v, size.base, Number(ptex), groupMask(state.order));
  const below = size.base < 23n ? (offset & 0x7fffffn) >> (size.base + BLOCK_SHIFT) : 0n;
  const block = (v & compared & HPTE_V_AVPN) | (below << 64n);
  const found = { size, segment: v >> 62n, block };
  if (anchor === undefined) return [BLOCK_SUCCESS, found];
  const sameSize = size.base === anchor.size.base && size.actual === anchor.size.actual;
  if (!sameSize || found.segment !== anchor.segment) return [BLOCK_SIZE_DIFFERS];
  return [block === anchor.block ? BLOCK_SUCCESS : BLOCK_OUTSIDE];
}

/**
 * Everything but the virtual real mode area goes, bolted entries too; the model needs one call for
 * it.
 */
export function hClearHpt(state: State): Answer {
  for (let ptex = 0; ptex < entryCount(state); ptex++) {
    const v = state.entries.has(ptex) ? dword0Of(state, entryAt(state, ptex)) : 0n;
    const isVrma = (v & HPTE_V_VRMA_MASK) === HPTE_V_VRMA_MASK;
    if (isOccupied(v) && !isVrma) removeEntry(state, ptex);
  }
  return ok();
}

const PROTECT_MASK = HPTE_R_PP0 | HPTE_R_PP | HPTE_R_N | HPTE_R_KEY_HI | HPTE_R_KEY_LO;

export function hProtect(state: State, args: readonly bigint[]): Answer {
  const [flags = 0n, ptex = 0n, avpn = 0n] = args;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const entry = entryAt(state, Number(ptex));
  const v = dword0Of(state, entry);
  const condition = { avpn: (flags & FLAGS.H_AVPN) !== 0n, andcond: false, word: avpn };
  if (!matches(v, condition)) return fail(STATUSES.H_NOT_FOUND);

  const bits =
    ((flags << 55n) & HPTE_R_PP0) |
    ((flags << 48n) & HPTE_R_KEY_HI) |
    (flags & (HPTE_R_KEY_LO | HPTE_R_N | HPTE_R_PP));
  entry.guestRpte = (entry.guestRpte & not(PROTECT_MASK)) | bits;
  noteModification(state, entry);
  if (isMmio(v, entry.dword1)) state.mmioUpdate++;
  if (!isValid(v)) return ok();

  const before = dword1Of(state, entry);
  let after = (before & not(PROTECT_MASK)) | bits;
  // A page that the host holds read-only becomes writable by a fault, never here.
  if (isWritable(after) && !isWritable(before)) after = makeReadonly(after);
  if (after !== before) {
    state.tlbieCount++;
    setDwords(state, entry, v, after);
  }
  return ok();
}

export function hRead(state: State, args: readonly bigint[]): Answer {
  const [flags = 0n, ptex = 0n] = args;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const index = Number(ptex);
  if ((flags & FLAGS.H_READ_4) === 0n) return ok(...shownEntry(state, index));
  const first = index - (index % 4);
  return ok(...[0, 1, 2, 3].flatMap((i) => shownEntry(state, first + i)));
}

export function hClearRef(state: State, args: readonly bigint[]): Answer {
  const ptex = args[1] ?? 0n;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const entry = entryAt(state, Number(ptex));
  if (!isOccupied(entry.dword0)) return fail(STATUSES.H_NOT_FOUND);

  // MODIFIED (bit 62) is not masked in the answer, as in KVM HV: an open stream shows through.
  let answer = entry.guestRpte;
  clearInGuestView(state, Number(ptex), HPTE_R_R);
  if (isValid(entry.dword0)) {
    answer |= entry.dword1 & HPTE_R_RC;
    if ((entry.dword1 & HPTE_R_R) !== 0n) {
      entry.dword1 &= not(HPTE_R_R);
      state.tlbieCount++;
      frameAt(state, guestPage(state, entry).gpa).rc |= HPTE_R_R;
    }
  }
  return ok(answer);
}

export function hClearMod(state: State, args: readonly bigint[]): Answer {
  const ptex = args[1] ?? 0n;
  if (!isPtex(state, ptex)) return fail(STATUSES.H_PARAMETER);
  const entry = entryAt(state, Number(ptex));
  if (!isOccupied(entry.dword0)) return fail(STATUSES.H_NOT_FOUND);

  let answer = entry.guestRpte;
  clearInGuestView(state, Number(ptex), HPTE_R_C);
  if (isValid(entry.dword0)) {
    // C is only stable once no TLB holds the translation.
    state.tlbieCount++;
    answer |= entry.dword1 & HPTE_R_RC;
    if ((entry.dword1 & HPTE_R_C) !== 0n) {
      entry.dword1 &= not(HPTE_R_C);
      const { gpa, actual } = guestPage(state, entry);
      markDirty(state, gpa, 1n << actual);
    }
  }
  return ok(answer);
}

function clearInGuestView(state: State, ptex: number, bit: bigint): void {
  const entry = entryAt(state, ptex);
  if ((entry.guestRpte & bit) === 0n) return;
  entry.guestRpte &= not(bit);
  noteModification(state, entry);
}
