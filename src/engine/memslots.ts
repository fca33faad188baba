/** Host page state bits. */
export const HOST_PRESENT: u8 = 1;
export const HOST_WRITABLE: u8 = 2;
export const HOST_CACHE_INHIBITED: u8 = 4;
