/**
 * Makes a recorded answer what hptd must answer, in place: the recorder's known deviations are undone, and words that
 * mean nothing are told. The numbers are those of the format's rules for comparing.
 */
import { STATUSES } from '../../../schemas/statuses.ts';
import type { TraceHeader } from '../../../schemas/trace.ts';

export interface Quirks {
  /** Rule 1: a bit of dword 0 that is the recorder's own. */
  readonly softwareBit: bigint;
  /** Rule 2: where R (0x100) and C (0x80) stand in the recorded words of H_BULK_REMOVE: shifted left by so much. */
  readonly bulkShift: bigint;
}

const BULK_SHIFT = 51n;
const REFERENCED_CHANGED = 0x180n;
const VALID = 1;

export function quirksOf(header: TraceHeader): Quirks {
  return {
    softwareBit: BigInt(header.quirks.vSoftwareBit ?? '0x0'),
    bulkShift: BigInt(header.quirks.bulkRemoveRcShift ?? Number(BULK_SHIFT)),
  };
}

/** Corrects the `count` words at `at` of an hcall's recorded answer. */
export function undoQuirks(
  quirks: Quirks,
  op: string,
  view: DataView,
  at: number,
  count: number,
): void {
  if (op === 'H_READ' || op === 'H_REMOVE') {
    if (quirks.softwareBit !== 0n) clearInDword0(quirks.softwareBit, view, at, count);
  } else if (op === 'H_BULK_REMOVE' && quirks.bulkShift !== BULK_SHIFT) {
    for (let i = 0; i < count; i += 2) moveReferencedChanged(quirks.bulkShift, view, at + 8 * i);
  }
}

/** Rule 3: is word `i` of the corrected answer at `at` dword 1 of an entry that is not valid? */
export function isUndefinedWord(op: string, view: DataView, at: number, i: number): boolean {
  return op === 'H_READ' && i % 2 === 1 && (view.getUint8(at + 8 * (i - 1)) & VALID) === 0;
}

function clearInDword0(bit: bigint, view: DataView, at: number, count: number): void {
  for (let i = 0; i < count; i += 2) {
    view.setBigUint64(at + 8 * i, view.getBigUint64(at + 8 * i, true) & ~bit, true);
  }
}

/** Only the response word of a removal (type 2, code 0) carries R and C; elsewhere these bits are of the ptex. */
function moveReferencedChanged(from: bigint, view: DataView, at: number): void {
  if (view.getUint8(at + 7) >>> 4 !== 0x8) return;
  const word = view.getBigUint64(at, true);
  const bits = (word >> from) & REFERENCED_CHANGED;
  view.setBigUint64(at, (word & ~(bits << from)) | (bits << BULK_SHIFT), true);
}

/** Rule 4: "not ready yet", whose number is timing. */
export function isLongBusy(status: number): boolean {
  return (
    status >= STATUSES.H_LONG_BUSY_ORDER_1_MSEC && status <= STATUSES.H_LONG_BUSY_ORDER_100_SEC
  );
}
