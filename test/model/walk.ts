/**
 * WALK: one translation by the hash MMU, with the permission checks and the R and C it leaves
 * behind.
 *
 * Hardware searches VALID entries only, the primary group before the secondary. What it cannot find
 * is then looked up among the ABSENT entries, so that the caller learns why.
 *
 * SPEC: Power ISA "Hashed Page Table Translation", "Storage Protection"; KVM HV for ABSENT and
 * MMIO.
 */
import {
  HPTE_R_C,
  HPTE_R_G,
  HPTE_R_N,
  HPTE_R_R,
  HPTE_R_WIMG,
  HPTE_V_1TB_SEG,
  HPTE_V_ABSENT,
  HPTE_V_AVPN,
  HPTE_V_LARGE,
  HPTE_V_SECONDARY,
  HPTE_V_SSIZE,
  HPTE_V_VALID,
  isMmio,
  not,
  pageSize,
  protection,
  storageKey,
  vsidHash,
} from './hpte.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import {
  type Answer,
  type State,
  dword0Of,
  dword1Of,
  entryAt,
  fail,
  groupMask,
  guestPage,
  ok,
} from './table.ts';

const SLB_VSID_KS = 0x800n;
const SLB_VSID_KP = 0x400n;
const SLB_VSID_N = 0x200n;
const SLB_VSID_L = 0x100n;
const SLB_VSID_LP = 0x30n;

const ACCESS_STORE = 1n;
const ACCESS_FETCH = 2n;
const ACCESS_PROBLEM = 4n;

const DSISR_NOHPTE = 0x40000000n;
const DSISR_NOEXEC = 0x10000000n;
const DSISR_PROTFAULT = 0x08000000n;
const DSISR_ISSTORE = 0x02000000n;
const DSISR_KEYFAULT = 0x00200000n;

const OUTCOME_TRANSLATED = 0n;
const OUTCOME_NO_ENTRY = 1n;
const OUTCOME_PROTECTION = 2n;
const OUTCOME_KEY = 3n;
const OUTCOME_NO_EXECUTE = 4n;
const OUTCOME_ABSENT = 5n;
const OUTCOME_MMIO = 6n;

const NO_PTEX = (1n << 64n) - 1n;

interface Access {
  store: boolean;
  fetch: boolean;
  /** The segment's key for the processor's state: Kp in problem state, else Ks. */
  key: boolean;
  segmentNoExecute: boolean;
  amr: bigint;
}

/** What a matching entry looks like, and the hash that says where. */
interface Wanted {
  hash: bigint;
  dword0: bigint;
  mask: bigint;
  base: bigint;
}

export function walk(state: State, args: readonly bigint[]): Answer {
  const [ea = 0n, slbv = 0n, access = 0n, amr = 0n] = args;
  const base = basePageShift(slbv);
  if (base === undefined) return fail(STATUSES.H_PARAMETER);
  const how: Access = {
    fetch: (access & ACCESS_FETCH) !== 0n,
    store: (access & ACCESS_STORE) !== 0n && (access & ACCESS_FETCH) === 0n,
    key: (slbv & ((access & ACCESS_PROBLEM) !== 0n ? SLB_VSID_KP : SLB_VSID_KS)) !== 0n,
    segmentNoExecute: (slbv & SLB_VSID_N) !== 0n,
    amr,
  };
  const storeBit = how.store ? DSISR_ISSTORE : 0n;
  const wanted = wantedEntry(ea, slbv, base);
  const valid = find(state, wanted, HPTE_V_VALID);
  const ptex = valid ?? find(state, wanted, HPTE_V_ABSENT);
  if (ptex === undefined) {
    return ok(OUTCOME_NO_ENTRY, NO_PTEX, 0n, 0n, 0n, DSISR_NOHPTE | storeBit);
  }

  const entry = entryAt(state, ptex);
  const r = dword1Of(state, entry);
  const { gpa, actual } = guestPage(state, entry);
  const about = [BigInt(ptex), gpa | (ea & ((1n << actual) - 1n)), actual, r & HPTE_R_WIMG];
  if (valid === undefined) {
    const outcome = isMmio(entry.dword0, r) ? OUTCOME_MMIO : OUTCOME_ABSENT;
    return ok(outcome, ...about, DSISR_NOHPTE | storeBit);
  }
  const [outcome, dsisr] = permission(r, how);
  if (outcome !== OUTCOME_TRANSLATED) return ok(outcome, ...about, dsisr | storeBit);
  entry.dword1 |= how.store ? HPTE_R_R | HPTE_R_C : HPTE_R_R;
  return ok(OUTCOME_TRANSLATED, ...about, 0n);
}

function wantedEntry(ea: bigint, slbv: bigint, base: bigint): Wanted {
  const oneTerabyte = (slbv & HPTE_V_1TB_SEG) !== 0n;
  const offset = ea & ((1n << (oneTerabyte ? 40n : 28n)) - 1n);
  const vsid = (slbv & not(HPTE_V_SSIZE)) >> (oneTerabyte ? 24n : 12n);
  const address = (vsid << (oneTerabyte ? 40n : 28n)) | offset;
  const belowPage = base > 23n ? (1n << (base - 23n)) - 1n : 0n;
  const avpn = ((address >> 23n) & not(belowPage)) << 7n;
  const large = slbv & SLB_VSID_L ? HPTE_V_LARGE : 0n;
  return {
    hash: vsidHash(vsid, oneTerabyte) ^ (offset >> base),
    dword0: (slbv & HPTE_V_SSIZE) | (avpn & HPTE_V_AVPN) | large,
    mask: HPTE_V_SSIZE | HPTE_V_AVPN | HPTE_V_SECONDARY | large,
    base,
  };
}

/** Of the segment's L and LP; undefined for an encoding that means nothing. */
function basePageShift(slbv: bigint): bigint | undefined {
  const shifts: Record<string, bigint> = { 0x000: 12n, 0x110: 16n, 0x100: 24n, 0x120: 34n };
  return shifts[Number(slbv & (SLB_VSID_L | SLB_VSID_LP))];
}

function find(state: State, wanted: Wanted, validity: bigint): number | undefined {
  if (state.order === 0) return undefined;
  const mask = groupMask(state.order);
  for (const secondary of [0n, HPTE_V_SECONDARY]) {
    const group = (secondary === 0n ? wanted.hash : ~wanted.hash) & mask;
    for (let ptex = Number(group) * 8; ptex < Number(group) * 8 + 8; ptex++) {
      const entry = state.entries.get(ptex);
      if (entry === undefined || (entry.dword0 & validity) === 0n) continue;
      const v = dword0Of(state, entry);
      if ((v & wanted.mask) !== (wanted.dword0 | secondary)) continue;
      if (pageSize(v, entry.guestRpte)?.base === wanted.base) return ptex;
    }
  }
  return undefined;
}

/**
 * Several faults may apply: no-execute is reported before the storage key, the key before
 * protection.
 */
function permission(r: bigint, how: Access): [outcome: bigint, dsisr: bigint] {
  if (how.fetch && (how.segmentNoExecute || (r & (HPTE_R_N | HPTE_R_G)) !== 0n)) {
    return [OUTCOME_NO_EXECUTE, DSISR_NOEXEC];
  }
  const denied = (how.amr >> (62n - 2n * storageKey(r))) & (how.store ? 2n : 1n);
  if (!how.fetch && denied !== 0n) return [OUTCOME_KEY, DSISR_KEYFAULT];
  const pp = protection(r);
  const allowed = how.store ? mayStore(pp, how.key) : mayLoad(pp, how.key);
  return allowed ? [OUTCOME_TRANSLATED, 0n] : [OUTCOME_PROTECTION, DSISR_PROTFAULT];
}

/** pp is compared with PP0 in it: with PP0 set the number is out of every range. */
const mayLoad = (pp: bigint, key: boolean): boolean => !key || (pp >= 1n && pp <= 3n);
const mayStore = (pp: bigint, key: boolean): boolean => (key ? pp === 2n : pp <= 2n);
