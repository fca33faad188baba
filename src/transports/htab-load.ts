/**
 * Loads a table stream into a paused guest: HTAB_WRITE records over a host stream of its own, as many under way as its
 * credits allow; while they are used up nothing more is read from the socket. Main thread.
 */
import type { Readable } from 'node:stream';
import { problem, type ProblemError } from '../../schemas/problems.ts';
import { HEADER_BYTES } from '../../schemas/records.ts';
import { STATUSES, statusName } from '../../schemas/statuses.ts';
import { hex } from '../../schemas/words.ts';
import { endProblem } from '../guests/caller.ts';
import type { Guest, GuestStream } from '../guests/types.ts';
import { openCutter, type Part, type Piece, type Totals } from './htab-cut.ts';

const ENTRY_BYTES = 16n;

interface Load {
  readonly guest: Guest;
  readonly order: number;
  readonly stream: GuestStream;
  /** Of the pieces under way, in order. */
  readonly waiting: (readonly Part[])[];
  failure: ProblemError | undefined;
  /** There are fewer under way, or it failed. */
  onNews: () => void;
}

/** Resolves when all of it is in the table. Throws guest-state, htab-invalid, table-changed, request-too-slow, or what ended the guest. */
export async function loadTable(guest: Guest, body: Readable, idleMillis: number): Promise<Totals> {
  const load: Load = {
    guest,
    order: guest.status().order,
    stream: guest.openStream('host', {
      onAnswers: (bytes) => takeAnswers(load, bytes),
      onEnd: (end) => fail(load, endProblem(end)),
    }),
    waiting: [],
    failure: undefined,
    onNews: () => {},
  };
  const cutter = openCutter(2 ** (load.order - 4));
  try {
    for await (const chunk of withinTime(body, idleMillis)) {
      for (const piece of cutter.cut(chunk)) await write(load, piece);
    }
    const last = cutter.end();
    if (last !== undefined) await write(load, last);
    while (load.waiting.length > 0 && load.failure === undefined) await news(load);
    if (load.failure !== undefined) throw load.failure;
    return cutter.totals;
  } finally {
    load.stream.close();
  }
}

/**
 * The chunks; a sender that is silent for too long is refused. Whatever stops it early leaves the connection alone: the
 * answer must still go over it.
 */
async function* withinTime(body: Readable, idleMillis: number): AsyncGenerator<Uint8Array> {
  const chunks = body.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const next = chunks.next();
      // It may fail when nobody waits for it any more: when the connection is closed behind the answer.
      next.catch(() => {});
      const { done, value } = await inTime(next, idleMillis);
      if (done === true) return;
      yield value as Uint8Array;
    }
  } finally {
    chunks.return?.().catch(() => {});
  }
}

async function inTime<T>(chunk: Promise<T>, idleMillis: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const idle = setTimeout(() => late.reject(tooLate(idleMillis)), idleMillis).unref();
  return Promise.race([chunk, late.promise]).finally(() => clearTimeout(idle));
}

/** What comes after the answer is no request: the connection ends with it. */
function tooLate(idleMillis: number): ProblemError {
  return problem('request-too-slow', `nothing came for ${idleMillis} ms`, {
    headers: { connection: 'close' },
  });
}

async function write(load: Load, { frame, parts }: Piece): Promise<void> {
  for (;;) {
    if (load.failure !== undefined) throw load.failure;
    mayLoad(load);
    const answer = load.stream.submit(frame);
    if (answer === 'accepted') {
      load.waiting.push(parts);
      return;
    }
    await news(load);
  }
}

function news(load: Load): Promise<void> {
  return new Promise((resolve) => {
    load.onNews = resolve;
  });
}

/** Somebody may let the guest run, or replace its table, while the stream comes in. */
function mayLoad({ guest, order }: Load): void {
  throwUnlessPaused(guest);
  if (guest.status().order !== order)
    throw problem('table-changed', `the table of ${guest.name} was replaced while it was loaded`);
}

export function throwUnlessPaused(guest: Guest): void {
  const { state } = guest.status();
  if (state === 'paused') return;
  throw problem(
    'guest-state',
    `${guest.name} is ${state}: a table is loaded into a paused guest; PATCH it with {"state":"paused"}`,
  );
}

function fail(load: Load, failure: ProblemError): void {
  load.failure ??= failure;
  load.onNews();
}

function takeAnswers(load: Load, bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += HEADER_BYTES + 8 * view.getUint16(at + 2, true)) {
    const parts = load.waiting.shift()!;
    const status = view.getInt16(at, true);
    if (status !== STATUSES.H_SUCCESS) fail(load, refusal(load, view, at, parts));
  }
  load.onNews();
  return true;
}

const REASONS: Readonly<Record<number, string>> = {
  [STATUSES.H_PARAMETER]: 'is no entry: VALID is missing, or L and LP name no page size',
  [STATUSES.H_HARDWARE]:
    "cannot be entered: H_ENTER refuses it, as it does pages larger than the host's, or cache-inhibited memory",
};

/** The answer is: bytes taken, then the rule, with the entry's ptex as its second detail. */
function refusal({ guest }: Load, view: DataView, answer: number, parts: readonly Part[]) {
  const status = view.getInt16(answer, true);
  if (status === STATUSES.H_NOT_AVAILABLE)
    return problem('no-table', `the guest ${guest.name} has no table any more`);
  const words = answer + HEADER_BYTES;
  const taken = Number(view.getBigUint64(words, true));
  const ptex = view.getBigUint64(words + 24, true);
  const part = parts.find(({ at }) => at === taken)!;
  const offset = BigInt(part.offset) + (ptex - BigInt(part.ptex)) * ENTRY_BYTES;
  const reason = REASONS[status] ?? `is answered ${statusName(status)}`;
  return problem(
    'htab-invalid',
    `record ${part.record}, byte ${offset}: entry ${hex(ptex)} ${reason}`,
  );
}
