/** Return codes of hcalls. SPEC: PAPR, "Hypervisor Call Return Codes"; schemas/statuses.ts has them by name. */
export const H_SUCCESS: i32 = 0;
export const H_BUSY: i32 = 1;
export const H_CLOSED: i32 = 2;
export const H_NOT_AVAILABLE: i32 = 3;
export const H_PARTIAL: i32 = 5;
export const H_CONTINUE: i32 = 18;
export const H_LONG_BUSY_ORDER_100_MSEC: i32 = 9902;
export const H_HARDWARE: i32 = -1;
export const H_FUNCTION: i32 = -2;
export const H_PARAMETER: i32 = -4;
export const H_PTEG_FULL: i32 = -6;
export const H_NOT_FOUND: i32 = -7;
export const H_NO_MEM: i32 = -9;
export const H_RESOURCE: i32 = -16;
export const H_TOO_BIG: i32 = -64;
