/**
 * H_CLEAR_HPT: remove everything but the virtual real mode area, a piece at a time.
 *
 * A large table would keep the processor for seconds, so a call clears at most a piece and answers H_CONTINUE; where
 * to go on is kept in the guest block. Two callers at once may clear the same piece; each gets H_SUCCESS at the end.
 * SPEC: PAPR H_CLEAR_HPT.
 */
import { HPTE_V_TAKEN, guestV } from '../hpte';
import { lockHpte, unlockHpte } from '../hpte-lock';
import { CLEAR_NEXT, MODE, PTEX_COUNT, hpteAddress } from '../memory-map';
import { RULE_CLEAR_HPT, RULE_NO_TABLE } from '../rules';
import { H_CONTINUE, H_FUNCTION, H_SUCCESS } from '../status';
import { because } from '../this-processor';
import { removeLocked } from './remove';

/** The VRMA's segment: 1 TiB, VSID 0x1ffffff. SPEC: PAPR, "Virtual Real Mode Area"; the mask Linux looks for. */
const VRMA: u64 = 0x4001ffffff000000;
const PIECE: u64 = 65536;

/** in and out: nothing. */
export function clearHpt(): i32 {
  if (load<u32>(MODE) == 0) {
    because(RULE_NO_TABLE);
    return H_FUNCTION;
  }
  const entries = load<u64>(PTEX_COUNT);
  const first = atomic.load<u64>(CLEAR_NEXT);
  const end = min<u64>(first + PIECE, entries);
  let removed: u64 = 0;
  for (let ptex = first; ptex < end; ptex++) if (clearUnlessVrma(ptex)) removed++;
  const done = end == entries;
  // Only moved on when the piece is clear: a second caller may have cleared it too, or this thread may have died.
  atomic.cmpxchg<u64>(CLEAR_NEXT, first, done ? 0 : end);
  because(RULE_CLEAR_HPT, done ? 0 : end, removed);
  return done ? H_SUCCESS : H_CONTINUE;
}

function clearUnlessVrma(ptex: u64): bool {
  const entry = hpteAddress(ptex);
  // RACE: a plain look passes empty slots by; one that fills at this instant may be left, as if it came after.
  if (load<u64>(entry) == 0) return false;
  const locked = lockHpte(entry);
  const v = guestV(locked, load<u64>(entry, 8));
  if ((v & HPTE_V_TAKEN) == 0 || (v & VRMA) == VRMA) {
    unlockHpte(entry, locked);
    return false;
  }
  removeLocked(entry, locked, v, ptex, false, false, 0);
  return true;
}
