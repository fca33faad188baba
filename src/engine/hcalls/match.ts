/**
 * Is this the entry that the caller means? Shared by H_REMOVE, H_BULK_REMOVE, H_PROTECT and H_BLOCK_REMOVE.
 *
 * `v` is dword 0 in guest form as locked: HVLOCK is set in it, and an ABSENT entry has VALID clear. So an
 * H_ANDCOND mask that holds 0x40 never matches, and an AVPN with any of its low seven bits set never does either.
 * SPEC: PAPR H_REMOVE; the compare as KVM HV does it.
 */
import { HPTE_V_COMPARE, HPTE_V_TAKEN } from '../hpte';
import { RULE_ANDCOND_HIT, RULE_AVPN_MISMATCH, RULE_EMPTY } from '../rules';
import { because } from '../this-processor';

@inline
export function entryIsTaken(v: u64, ptex: u64): bool {
  if ((v & HPTE_V_TAKEN) != 0) return true;
  because(RULE_EMPTY, ptex);
  return false;
}

/** Both conditions may be asked for; then both must hold. */
@inline
export function entryMatches(v: u64, ptex: u64, byAvpn: bool, byAndcond: bool, operand: u64): bool {
  if (!entryIsTaken(v, ptex)) return false;
  if (byAvpn && (v & HPTE_V_COMPARE) != operand) {
    because(RULE_AVPN_MISMATCH, v & HPTE_V_COMPARE, operand);
    return false;
  }
  if (byAndcond && (v & operand) != 0) {
    because(RULE_ANDCOND_HIT, v, operand);
    return false;
  }
  return true;
}
