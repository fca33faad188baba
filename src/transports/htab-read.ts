/**
 * One pass of a table stream as a Readable: HTAB_READ records over a host stream of its own, many under way, so that the
 * processor never waits for the socket's round trip. Main thread; what is read goes from the completion ring to the socket
 * uncopied and unlooked at, and never more than READS_IN_FLIGHT pieces of it are in memory.
 *
 * The reader in the engine stops at the end of a pass (HTAB_STOPS), so reads that were under way then give nothing.
 */
import { Readable } from 'node:stream';
import { HTAB_READ_BYTES_MAX } from '../../schemas/limits.ts';
import { operationByName } from '../../schemas/operations.ts';
import { problem } from '../../schemas/problems.ts';
import { HEADER_BYTES, encodeRequests } from '../../schemas/records.ts';
import type { RequestRecord } from '../../schemas/records.ts';
import { STATUSES, statusName } from '../../schemas/statuses.ts';
import { endProblem } from '../guests/caller.ts';
import type { Guest, GuestStream, StreamEnd } from '../guests/types.ts';

/** What fits into the completion ring with room to spare. */
const READS_IN_FLIGHT = 12;
/** Passed on and not yet taken by the socket above which reading waits. */
const AHEAD_BYTES = 512 * 1024;

export interface PassOptions {
  readonly guest: Guest;
  /** Number of the engine's reader; nobody else reads it meanwhile. */
  readonly reader: bigint;
  /** Closes the reader at the pass's end. */
  readonly onlyPass: boolean;
  /** How long nothing may be taken. */
  readonly idleMillis: number;
  /** Called once, before the end is seen. `whole`: the next pass may begin; else the reader is closed, or the guest gone. */
  readonly onEnd: (whole: boolean) => void;
}

interface Pass extends PassOptions {
  readonly order: number;
  readonly readable: Readable;
  readonly stream: GuestStream;
  inFlight: number;
  /** The answer to the record that begins the pass has come. */
  begun: boolean;
  /** The engine is at the end. */
  atEnd: boolean;
  /** The consumer has enough. */
  full: boolean;
  over: boolean;
}

/** Throws what openStream throws. */
export function readPass(options: PassOptions): Readable {
  const { guest, idleMillis } = options;
  const readable = new Readable({
    highWaterMark: AHEAD_BYTES,
    read() {
      idle.refresh();
      if (pass.over) return;
      pass.full = false;
      ask(pass);
      pass.stream.resume();
    },
    destroy(error, done) {
      clearTimeout(idle);
      leave(pass, false);
      done(error);
    },
  });
  const pass: Pass = {
    ...options,
    order: guest.status().order,
    readable,
    stream: guest.openStream('host', {
      onAnswers: (bytes) => takeAnswers(pass, bytes),
      onEnd: (end) => cutShort(pass, end),
    }),
    inFlight: 0,
    begun: false,
    atEnd: false,
    full: false,
    over: false,
  };
  const idle = setTimeout(() => readable.destroy(tooSlow(idleMillis)), idleMillis).unref();
  send(pass, [record('HTAB_READ', options.reader, 0n)]);
  return readable;
}

function record(name: 'HTAB_READ' | 'HTAB_CLOSE', ...words: bigint[]): RequestRecord {
  return { opcode: operationByName(name)!.opcode, tag: 0, words };
}

function send(pass: Pass, records: readonly RequestRecord[]): void {
  pass.inFlight += records.length;
  pass.stream.submit(encodeRequests(records));
}

/** Keeps as many reads under way as may be. */
function ask(pass: Pass): void {
  if (pass.atEnd || pass.full) return;
  const missing = READS_IN_FLIGHT - pass.inFlight;
  if (missing <= 0) return;
  const read = record('HTAB_READ', pass.reader, BigInt(HTAB_READ_BYTES_MAX));
  send(
    pass,
    Array.from({ length: missing }, () => read),
  );
}

/** Whole answers; false: enough for now. */
function takeAnswers(pass: Pass, bytes: Uint8Array): boolean {
  if (pass.over) return true;
  const { readable } = pass;
  if (pass.guest.status().order !== pass.order) {
    readable.destroy(replaced(pass.guest));
    return true;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; ) {
    const status = view.getInt16(at, true);
    const length = 8 * view.getUint16(at + 2, true);
    const data = at + HEADER_BYTES + 8;
    at += HEADER_BYTES + length;
    pass.inFlight--;
    if (status !== STATUSES.H_SUCCESS && status !== STATUSES.H_CONTINUE) {
      readable.destroy(refused(pass.guest, status));
      return true;
    }
    if (!pass.begun) pass.begun = true;
    else if (data < at) pass.full = !readable.push(bytes.subarray(data, at));
    else if (status === STATUSES.H_SUCCESS) pass.atEnd = true;
  }
  if (pass.atEnd && pass.inFlight === 0) {
    leave(pass, true);
    readable.push(null);
    return true;
  }
  ask(pass);
  return !pass.full || pass.atEnd;
}

/** Gives the stream back, and closes the reader unless there will be a next pass: behind the reads that are under way. */
function leave(pass: Pass, whole: boolean): void {
  if (pass.over) return;
  pass.over = true;
  if (!whole || pass.onlyPass) send(pass, [record('HTAB_CLOSE', pass.reader)]);
  pass.stream.close();
  pass.onEnd(whole);
}

function cutShort(pass: Pass, end: StreamEnd): void {
  pass.readable.destroy(endProblem(end));
}

function replaced({ name }: Guest) {
  return problem('table-changed', `the table of ${name} was replaced while it was being read`);
}

function refused({ name }: Guest, status: number) {
  return problem(
    'table-changed',
    `the table of ${name} can be read no further: HTAB_READ answers ${statusName(status)}`,
  );
}

function tooSlow(idleMillis: number) {
  return problem('request-too-slow', `nothing was taken for ${idleMillis} ms`);
}
