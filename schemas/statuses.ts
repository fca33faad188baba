/**
 * Every value an hcall may leave in r3, by its name.
 *
 * SPEC: PAPR, "Hypervisor Call Return Codes". A status is an answer, not an error of the daemon.
 */
export const STATUSES = {
  H_SUCCESS: 0,
  H_BUSY: 1,
  H_CLOSED: 2,
  H_NOT_AVAILABLE: 3,
  H_CONSTRAINED: 4,
  H_PARTIAL: 5,
  H_CONTINUE: 18,
  H_LONG_BUSY_ORDER_1_MSEC: 9900,
  H_LONG_BUSY_ORDER_10_MSEC: 9901,
  H_LONG_BUSY_ORDER_100_MSEC: 9902,
  H_LONG_BUSY_ORDER_1_SEC: 9903,
  H_LONG_BUSY_ORDER_10_SEC: 9904,
  H_LONG_BUSY_ORDER_100_SEC: 9905,
  H_HARDWARE: -1,
  H_FUNCTION: -2,
  H_PRIVILEGE: -3,
  H_PARAMETER: -4,
  H_BAD_MODE: -5,
  H_PTEG_FULL: -6,
  H_NOT_FOUND: -7,
  H_NO_MEM: -9,
  H_AUTHORITY: -10,
  H_PERMISSION: -11,
  H_RESOURCE: -16,
  H_TOO_BIG: -64,
} as const;

export type StatusName = keyof typeof STATUSES;

const NAMES = new Map<number, StatusName>(
  Object.entries(STATUSES).map(([name, value]) => [value, name as StatusName]),
);

/** The status's name, or its decimal number where PAPR gives it none that hptd answers. */
export function statusName(value: number): StatusName | `${number}` {
  return NAMES.get(value) ?? `${value}`;
}
