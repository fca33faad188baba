/**
 * The bits of an hcall's `flags` argument (r4), by name.
 *
 * SPEC: PAPR, "Page Frame Table Access flags field definition"; names as Linux spells them.
 */
export const FLAGS = {
  H_LARGE_PAGE: 1n << 47n,
  H_EXACT: 1n << 39n,
  H_R_XLATE: 1n << 38n,
  H_READ_4: 1n << 37n,
  H_PAGE_STATE_CHANGE: 1n << 35n,
  H_PAGE_UNUSED: (1n << 34n) | (1n << 33n),
  H_PAGE_SET_LOANED: 1n << 32n,
  H_AVPN: 1n << 31n,
  H_ANDCOND: 1n << 30n,
  H_LOCAL: 1n << 28n,
  H_ICACHE_INVALIDATE: 1n << 23n,
  H_ICACHE_SYNCHRONIZE: 1n << 22n,
  H_COALESCE_CAND: 1n << 21n,
  H_ZERO_PAGE: 1n << 15n,
  H_COPY_PAGE: 1n << 14n,
  H_KEY0: 1n << 13n,
  H_KEY1: 1n << 12n,
  H_KEY2: 1n << 11n,
  H_KEY3: 1n << 10n,
  H_KEY4: 1n << 9n,
  H_PP0: 1n << 8n,
  H_N: 1n << 2n,
  H_PP1: 1n << 1n,
  H_PP2: 1n << 0n,
} as const;

export type FlagName = keyof typeof FLAGS;

/** As many names as a call may give: more than there are, and each may be named twice. */
export const FLAG_NAMES_MAX = 64;

export const FLAG_NAMES = Object.keys(FLAGS) as FlagName[];

/** The flags word that the named flags make. */
export function flagsWord(names: readonly FlagName[]): bigint {
  return names.reduce((word, name) => word | FLAGS[name], 0n);
}
