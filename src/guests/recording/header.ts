/** The first line of a recording, as a gzip member that goes before the others. Pure. */
import { gzipSync } from 'node:zlib';
import { TRACE_FORMAT } from '../../../schemas/trace.ts';
import { hex } from '../../../schemas/words.ts';
import { VERSION } from '../../operations/version.ts';
import type { RecordedGuest } from './recorded-guest.ts';

interface Contents {
  readonly guest: Pick<RecordedGuest, 'name' | 'config' | 'memslots'>;
  readonly startedAt: Date;
  /** Of the table at the start; 0: none. */
  readonly order: number;
  readonly ordered: boolean;
  readonly vcpus: number;
  readonly events: number;
  readonly hcalls: number;
  readonly lost: number;
  readonly notes: readonly string[];
}

export function createGzipHeader(contents: Contents): Uint8Array {
  const { guest, startedAt, order, ordered, vcpus, events, hcalls, lost, notes } = contents;
  const { ramBytes, hostPageBytes, backingPageBytes, isa300 } = guest.config;
  const header = {
    format: TRACE_FORMAT,
    name: guest.name,
    hypervisor: `hptd ${VERSION}`,
    startedAt: startedAt.toISOString(),
    vcpus,
    ordered,
    htabOrder: order,
    ...(ramBytes === undefined ? {} : { ramBytes }),
    memslots: guest.memslots().map(({ base, bytes, kind }) => ({ base: hex(base), bytes, kind })),
    hostPageBytes,
    backingPageBytes,
    isa300,
    events,
    hcalls,
    lost,
    notes,
  };
  return gzipSync(`${JSON.stringify(header)}\n`);
}
