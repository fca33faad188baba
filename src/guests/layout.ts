/**
 * Lays a new guest out in its memory: checks what the schema cannot, then writes the guest block, the memory slots
 * and the first table. Main thread only, before any processor knows the guest.
 */
import { SLOT_SEARCHES, tableBytesMost } from '../../schemas/guests.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import { BACKED_RAM_BYTES_MAX, GPA_LIMIT } from '../../schemas/limits.ts';
import { problem } from '../../schemas/problems.ts';
import type { ProblemPart } from '../../schemas/problems.ts';
import { hex } from '../../schemas/words.ts';
import type { Engine } from '../rings/engine.ts';

interface Slot {
  readonly path: string;
  readonly base: bigint;
  readonly bytes: bigint;
  readonly kind: 'ram' | 'ci';
}

/**
 * Throws a problem that names every member at fault. `boundTables`: tables get only the room that they count with for a
 * quota.
 */
export function layOut(
  config: GuestConfig,
  engine: Engine,
  memoryBytes: number,
  boundTables = false,
): void {
  const slots = slotsOf(config);
  const faults = [...faultsOf(config, slots)];
  if (faults.length > 0) {
    throw problem('guest-config-invalid', faults.map((fault) => fault.message).join('; '), {
      errors: faults,
    });
  }
  const { calls, map } = engine;
  calls.startGuest(
    memoryBytes,
    ramBytesOf(config, slots),
    Math.log2(config.hostPageBytes),
    config.isa300 ? 1 : 0,
  );
  calls.setSlotSearch(SLOT_SEARCHES.indexOf(config.slotSearch));
  for (const slot of slots) {
    const kind = slot.kind === 'ci' ? map.MEMSLOT_CI : map.MEMSLOT_RAM;
    const backed = config.memory === 'backed' && slot.kind === 'ram' ? 1 : 0;
    if (
      calls.addMemslot(slot.base, slot.bytes, kind, Math.log2(config.backingPageBytes), backed) ===
      0
    ) {
      throw noRoom(
        slot.path,
        `what is kept about ${hex(slot.bytes)} bytes of guest memory does not fit beside the other slots`,
      );
    }
  }
  if (calls.openTable(config.order) === 0) {
    throw noRoom(
      'order',
      `a table of order ${config.order} and its reverse map do not fit beside the memory slots`,
    );
  }
  if (boundTables) calls.boundTables(BigInt(tableBytesMost(config)));
}

function noRoom(path: string, message: string): Error {
  return problem('guest-config-invalid', `${message}: a guest has 4 GiB for all of it`, {
    errors: [{ path, message }],
  });
}

function slotsOf(config: GuestConfig): Slot[] {
  if (config.memslots !== undefined) {
    return config.memslots.map((slot, i) => ({
      ...slot,
      bytes: BigInt(slot.bytes),
      path: `memslots[${i}]`,
    }));
  }
  if (config.ramBytes === undefined) return [];
  return [{ path: 'ramBytes', base: 0n, bytes: BigInt(config.ramBytes), kind: 'ram' }];
}

function ramBytesOf(config: GuestConfig, slots: readonly Slot[]): bigint {
  return config.ramBytes === undefined ? ramSum(slots) : BigInt(config.ramBytes);
}

function ramSum(slots: readonly Slot[]): bigint {
  return slots.reduce((sum, slot) => sum + (slot.kind === 'ram' ? slot.bytes : 0n), 0n);
}

function* faultsOf(config: GuestConfig, slots: readonly Slot[]): Generator<ProblemPart> {
  const page = BigInt(config.hostPageBytes);
  if (config.backingPageBytes < config.hostPageBytes) {
    yield {
      path: 'backingPageBytes',
      message: `backing pages of ${config.backingPageBytes} bytes are smaller than host pages of ${config.hostPageBytes}`,
    };
  }
  if (config.memory === 'backed' && ramSum(slots) > BigInt(BACKED_RAM_BYTES_MAX)) {
    yield {
      path: 'memory',
      message: `at most ${BACKED_RAM_BYTES_MAX} bytes of guest memory can be backed`,
    };
  }
  for (const slot of slots) {
    if (slot.base % page !== 0n || slot.bytes % page !== 0n) {
      yield {
        path: slot.path,
        message: `${slot.path} is not made of whole host pages of ${page} bytes`,
      };
    }
    if (slot.base + slot.bytes > GPA_LIMIT) {
      yield { path: slot.path, message: `${slot.path} ends beyond ${hex(GPA_LIMIT)}` };
    }
  }
  const ordered = slots.toSorted((a, b) => Number(a.base - b.base));
  for (const [i, slot] of ordered.entries()) {
    const before = ordered[i - 1];
    if (before !== undefined && before.base + before.bytes > slot.base) {
      yield { path: slot.path, message: `${slot.path} overlaps ${before.path}` };
    }
  }
}
