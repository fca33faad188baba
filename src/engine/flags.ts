/** Bits of an hcall's flags argument. SPEC: PAPR, "Page Frame Table Access flags field definition". */
export const H_EXACT: u64 = 1 << 39;
export const H_READ_4: u64 = 1 << 37;
export const H_AVPN: u64 = 1 << 31;
export const H_ANDCOND: u64 = 1 << 30;
export const H_ICACHE_INVALIDATE: u64 = 1 << 23;
export const H_ICACHE_SYNCHRONIZE: u64 = 1 << 22;
export const H_ZERO_PAGE: u64 = 1 << 15;
export const H_COPY_PAGE: u64 = 1 << 14;
/** Page state change, unused, loaned. */
export const H_CMO: u64 = 0xf00000000;
