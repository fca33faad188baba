/**
 * Replays a recorded conversation (hpt-trace/1) through the model and compares every answer.
 *
 * Deviations of the recorder, which the header names in `quirks`, are undone in the recorded answer
 * first.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { FNV_OFFSET_BASIS } from './inspect.ts';
import { type Model, createModel } from './model.ts';

interface Header {
  htabOrder: number;
  ramBytes: number;
  memslots?: { base: string; bytes: number; kind: 'ram' | 'ci' }[];
  hostPageBytes?: number;
  backingPageBytes?: number;
  isa300?: boolean;
  quirks?: { vSoftwareBit?: string; bulkRemoveRcShift?: number };
}

interface TraceEvent {
  op: string;
  args?: string[];
  tags?: string[];
  ret?: number;
  out?: (string | null)[];
  ptex?: number;
  order?: number;
  validEntries?: number;
  tableSha256?: string;
}

export interface ReplayResult {
  events: number;
  mismatches: number;
  /** The first mismatches, one line each. */
  details: string[];
  /** As the conversation left it. */
  model: Model | undefined;
}

const DETAILS_MAX = 10;
const LONG_BUSY_FIRST = 9900;
const LONG_BUSY_LAST = 9905;
const VALID = 1n;
const RC_SHIFT = 51;

const words = (args: readonly string[] | undefined): bigint[] => (args ?? []).map(BigInt);
const hex = (word: bigint): string => `0x${word.toString(16)}`;

function modelFor(header: Header): Model {
  return createModel({
    order: header.htabOrder,
    ramBytes: header.ramBytes,
    memslots: header.memslots?.map(({ base, bytes, kind }) => ({
      base: BigInt(base),
      bytes,
      kind,
    })),
    hostPageBytes: header.hostPageBytes ?? 65536,
    backingPageBytes: header.backingPageBytes ?? 2 ** 24,
    isa300: header.isa300 ?? false,
  });
}

/**
 * The recorded result words with the recorder's own deviations taken out; undefined is not
 * compared.
 */
function expectedOut(event: TraceEvent, header: Header): (bigint | undefined)[] {
  const out = (event.out ?? []).map((word) => (word === null ? undefined : BigInt(word)));
  const softwareBit = BigInt(header.quirks?.vSoftwareBit ?? 0);
  const isDword0 = (i: number): boolean =>
    (event.op === 'H_READ' && i % 2 === 0) || (event.op === 'H_REMOVE' && i === 0);
  const fixed = out.map((word, i) =>
    word !== undefined && isDword0(i) ? word & ~softwareBit : word,
  );
  if (event.op === 'H_READ') {
    // dword 1 of an empty slot is undefined.
    return fixed.map((word, i) =>
      i % 2 === 1 && ((fixed[i - 1] ?? 0n) & VALID) === 0n ? undefined : word,
    );
  }
  if (event.op === 'H_BULK_REMOVE') {
    const shift = header.quirks?.bulkRemoveRcShift ?? RC_SHIFT;
    return fixed.map((word, i) => (word !== undefined && i % 2 === 0 ? moveRc(word, shift) : word));
  }
  return fixed;
}

/** R and C of a successful removal, to where PAPR has them. */
function moveRc(word: bigint, recordedShift: number): bigint {
  if (recordedShift === RC_SHIFT || word >> 60n !== 8n) return word;
  const rc = (word >> BigInt(recordedShift)) & 0x180n;
  return (word & ~(rc << BigInt(recordedShift))) | (rc << BigInt(RC_SHIFT));
}

function compareHcall(model: Model, event: TraceEvent, header: Header): string | undefined {
  let answer = model.call(event.op, words(event.args));
  const isBusy = (status: number): boolean => status >= LONG_BUSY_FIRST && status <= LONG_BUSY_LAST;
  // "Not ready yet" is timing: only the answer that ends the wait is compared.
  if (isBusy(event.ret ?? 0)) {
    return isBusy(answer.status) || answer.status === 0 ? undefined : `status ${answer.status}`;
  }
  if (isBusy(answer.status)) answer = model.call(event.op, words(event.args));
  if (answer.status !== event.ret) return `status ${answer.status}, recorded ${event.ret}`;
  const expected = expectedOut(event, header);
  const same =
    expected.length === answer.out.length &&
    expected.every((word, i) => word === undefined || word === answer.out[i]);
  return same
    ? undefined
    : `out ${answer.out.map(hex).join(',')}, recorded ${JSON.stringify(event.out)}`;
}

function compareResult(
  model: Model,
  event: TraceEvent,
  args: bigint[],
  op = event.op,
): string | undefined {
  const { status, out } = model.call(op, args);
  if (status !== 0) return `status ${status}`;
  const result = Number(BigInt.asIntN(64, out[0] ?? 0n));
  return result === event.ret ? undefined : `ret ${result}, recorded ${event.ret}`;
}

export function wholeTableHash(model: Model): [hash: bigint, valid: bigint] {
  let state = [FNV_OFFSET_BASIS, 0n, 0n];
  while (Number(state[2]) < model.entryCount()) {
    state = model.call('TABLE_HASH', [state[2] ?? 0n, 65536n, state[0] ?? 0n, state[1] ?? 0n]).out;
  }
  return [state[0] ?? 0n, state[1] ?? 0n];
}

function compareTableHash(model: Model, event: TraceEvent): string | undefined {
  const found = wholeTableHash(model).map(hex).join(' ');
  const recorded = (event.out ?? []).join(' ');
  return found === recorded ? undefined : `table ${found}, recorded ${recorded}`;
}

function compareHtabRead(model: Model, event: TraceEvent, reader: bigint): string | undefined {
  const { out } = model.call('HTAB_READ', [reader, ...words(event.args)]);
  const [count = 0n, ...data] = out;
  const text = Buffer.from(new BigUint64Array(data).buffer).toString('hex', 0, Number(count));
  if (Number(count) !== event.ret) return `${count} bytes, recorded ${event.ret}`;
  return text === (event.out?.[0] ?? '') ? undefined : `bytes ${text}, recorded ${event.out?.[0]}`;
}

function compareEnd(model: Model, event: TraceEvent): string | undefined {
  const sha = createHash('sha256');
  let valid = 0;
  for (let ptex = 0; ptex < model.entryCount(); ptex++) {
    const { pteh, ptel } = model.entry(ptex);
    if ((pteh & VALID) === 0n) continue;
    valid++;
    const record = Buffer.alloc(24);
    [BigInt(ptex), pteh & ~0x40n, ptel].forEach((word, i) => record.writeBigUInt64BE(word, 8 * i));
    sha.update(record);
  }
  const found = `order ${model.order()}, ${valid} valid, ${sha.digest('hex')}`;
  const recorded = `order ${event.order}, ${event.validEntries} valid, ${event.tableSha256}`;
  return found === recorded ? undefined : `${found}; recorded ${recorded}`;
}

/** What a recorded event and the model disagree in, or undefined. Readers: the last one opened. */
function compare(
  model: Model,
  event: TraceEvent,
  header: Header,
  readers: bigint[],
): string | undefined {
  const reader = readers.at(-1) ?? 0n;
  switch (event.op) {
    case 'H_REGISTER_PROC_TBL':
      return undefined;
    case 'SET_R':
    case 'SET_C': {
      const bit = event.op === 'SET_R' ? 0x100n : 0x80n;
      return compareResult(
        model,
        { ...event, ret: 0 },
        [BigInt(event.ptex ?? 0), bit, 1n],
        'SET_RC',
      );
    }
    case 'SET_RC':
      return compareResult(model, event, [...words(event.args), 0n]);
    case 'HPT_RESET':
      return compareResult(model, { ...event, ret: 0 }, [BigInt(event.order ?? 0)]);
    case 'HPT_FREE':
      return compareResult(model, { ...event, ret: 0 }, []);
    case 'TABLE_HASH':
      return compareTableHash(model, event);
    case 'HTAB_OPEN':
      readers.push(model.call('HTAB_OPEN', words(event.args)).out[0] ?? 0n);
      return undefined;
    case 'HTAB_READ':
      return compareHtabRead(model, event, reader);
    case 'HTAB_CLOSE':
      readers.pop();
      return compareResult(model, event, [reader]);
    case 'END':
      return compareEnd(model, event);
    default:
      return event.op.startsWith('H_')
        ? compareHcall(model, event, header)
        : compareResult(model, event, words(event.args));
  }
}

/** Replays a file, or the first `eventsMax` events of it. */
export async function replay(
  path: string,
  eventsMax = Number.POSITIVE_INFINITY,
): Promise<ReplayResult> {
  const lines = createInterface({ input: createReadStream(path).pipe(createGunzip()) });
  const result: ReplayResult = { events: 0, mismatches: 0, details: [], model: undefined };
  const readers: bigint[] = [];
  let header: Header | undefined;
  let model: Model | undefined;
  for await (const line of lines) {
    if (header === undefined || model === undefined) {
      header = JSON.parse(line) as Header;
      model = modelFor(header);
      result.model = model;
      continue;
    }
    if (result.events >= eventsMax) break;
    result.events++;
    const event = JSON.parse(line) as TraceEvent;
    const difference = compare(model, event, header, readers);
    if (difference === undefined) continue;
    result.mismatches++;
    if (result.details.length < DETAILS_MAX) {
      const call = `${event.op}(${(event.args ?? []).join(', ')}) ${(event.tags ?? []).join(' ')}`;
      result.details.push(`line ${result.events + 1}: ${call}: ${difference}`);
    }
  }
  return result;
}
