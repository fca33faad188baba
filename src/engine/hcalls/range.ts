/** What every hcall on an entry asks first: is there a table, and is the ptex in it? */
import { MODE, PTEX_COUNT } from '../memory-map';
import { RULE_NO_TABLE, RULE_PTEX_RANGE } from '../rules';
import { H_FUNCTION, H_PARAMETER, H_SUCCESS } from '../status';
import { because } from '../this-processor';

@inline
export function refusePtex(ptex: u64): i32 {
  if (load<u32>(MODE) == 0) {
    because(RULE_NO_TABLE);
    return H_FUNCTION;
  }
  const entries = load<u64>(PTEX_COUNT);
  if (ptex < entries) return H_SUCCESS;
  because(RULE_PTEX_RANGE, ptex, entries);
  return H_PARAMETER;
}
