/** What every hcall on an entry asks first: is there a table, and is the ptex in it? */
import { MODE, PTEX_COUNT } from '../memory-map';
import { RULE_NO_TABLE, RULE_PTEX_RANGE } from '../rules';
import { H_FUNCTION, H_PARAMETER } from '../status';
import { because } from '../this-processor';

/** Without a table there are no entries, so this answers both. */
@inline
export function hasPtex(ptex: u64): bool {
  return ptex < load<u64>(PTEX_COUNT);
}

/** How an hcall is answered whose ptex is not. */
export function refusePtex(ptex: u64): i32 {
  if (load<u32>(MODE) == 0) {
    because(RULE_NO_TABLE);
    return H_FUNCTION;
  }
  because(RULE_PTEX_RANGE, ptex, load<u64>(PTEX_COUNT));
  return H_PARAMETER;
}
