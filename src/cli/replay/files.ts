/** One trace file from disk to report: read, encode, give the daemon a guest like the recorded one, replay, delete it. */
import { randomUUID } from 'node:crypto';
import type { TraceHeader } from '../../../schemas/trace.ts';
import { streamUrl } from '../../client/address.ts';
import type { Credentials } from '../../client/credentials.ts';
import { connectRest, type Json } from '../../client/rest.ts';
import { connectStream } from '../../client/stream.ts';
import { type Encoder, openEncoder } from './encode.ts';
import { readTrace } from './lines.ts';
import type { Plan } from './plan.ts';
import { type ReplayResult, type RunOptions, runPlan } from './run.ts';

/** A daemon, and what it wants to hear. */
export interface DaemonAt extends Credentials {
  readonly url: string;
}

export async function loadPlan(path: string): Promise<Plan> {
  let encoder: Encoder | undefined;
  await readTrace(path, {
    header: (header) => {
      encoder = openEncoder(header);
    },
    event: (event, line) => encoder!.event(event, line),
  });
  return encoder!.finish();
}

/** What a person should know before the figures: the file may not be what it seems. */
export function planWarnings(plan: Plan): string[] {
  const { header, events, unknown } = plan;
  const warnings: string[] = [];
  if (!header.ordered)
    warnings.push('recorded without an order, so answers may differ without fault');
  if (header.events !== undefined && header.events !== events) {
    warnings.push(
      `the header announces ${header.events} events, the file has ${events}: it may be incomplete`,
    );
  }
  for (const [op, count] of unknown) warnings.push(`${op} is not known to hptd: ${count} skipped`);
  return warnings;
}

/** Takes the guest away again, whatever happens; `onGuest` learns how, for those who are interrupted. */
export async function replayPlan(
  daemon: DaemonAt,
  plan: Plan,
  options: RunOptions & { readonly onGuest?: (remove: () => Promise<void>) => void } = {},
): Promise<ReplayResult> {
  const rest = connectRest(daemon.url, daemon);
  const guest = guestNameFor(plan.header);
  await rest.createGuest(guest, guestConfigFor(plan.header));
  const remove = (): Promise<void> => rest.deleteGuest(guest);
  options.onGuest?.(remove);
  try {
    const stream = await connectStream(streamUrl(daemon.url, guest), {
      ...daemon,
      role: 'host',
    });
    try {
      return await runPlan(plan, stream, options);
    } finally {
      await stream.close();
    }
  } finally {
    // The replay's own outcome counts; a guest that cannot be deleted goes with the daemon.
    await remove().catch(() => {});
  }
}

const NAME_CHARACTERS = 40;

function guestNameFor(header: TraceHeader): string {
  const readable = header.name
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, NAME_CHARACTERS);
  return `${readable === '' ? 'trace' : readable}-${randomUUID().slice(0, 8)}`;
}

export function guestConfigFor(header: TraceHeader): Json {
  return {
    order: header.htabOrder,
    ...(header.ramBytes === undefined ? {} : { ramBytes: header.ramBytes }),
    ...(header.memslots === undefined
      ? {}
      : { memslots: header.memslots.map(({ base, bytes, kind }) => ({ base, bytes, kind })) }),
    hostPageBytes: header.hostPageBytes,
    backingPageBytes: header.backingPageBytes,
    isa300: header.isa300,
  };
}
