/**
 * Turns the events of a trace into a plan (plan.ts). Everything that can be done before the clock starts is done here.
 *
 * hcalls are sent as recorded, by the table of operations; host events become control records. An hcall that hptd does
 * not know is not sent, and counted.
 */
import { type Operation, operationByName } from '../../../schemas/operations.ts';
import { HEADER_BYTES, RECORD_VERSION } from '../../../schemas/records.ts';
import { PIECE_ENTRIES_MAX } from '../../../schemas/limits.ts';
import type { CallEvent, EndEvent, HtabReadEvent, TraceHeader } from '../../../schemas/trace.ts';
import { extend, openSink, type Sink, writeHexWord, writeIntegerWord } from './bytes.ts';
import type { TraceEvent } from './lines.ts';
import type { Plan, Run, Step } from './plan.ts';
import { isUndefinedWord, type Quirks, quirksOf, undoQuirks } from './quirks.ts';

export interface Encoder {
  event(event: TraceEvent, line: number): void;
  finish(): Plan;
}

interface State {
  readonly header: TraceHeader;
  readonly quirks: Quirks;
  readonly requests: Sink;
  readonly expected: Sink;
  readonly undefinedAt: number[];
  readonly steps: Step[];
  readonly hashLines: Set<number>;
  readonly unknown: Map<string, number>;
  /** Order of the table after the events so far; 0: none. */
  order: number;
  events: number;
  hcalls: number;
  skipped: number;
}

const FNV_OFFSET_BASIS = '0xcbf29ce484222325';
const REFERENCED = '0x100';
const CHANGED = '0x80';
/** What stands for registers that were not recorded: H_BULK_REMOVE's end marker, else zero. */
const END_MARKER = '0xc000000000000000';

export function openEncoder(header: TraceHeader): Encoder {
  const state: State = {
    header,
    quirks: quirksOf(header),
    requests: openSink(),
    expected: openSink(),
    undefinedAt: [],
    steps: [],
    hashLines: new Set(),
    unknown: new Map(),
    order: header.htabOrder,
    events: 0,
    hcalls: 0,
    skipped: 0,
  };
  return { event: (event, line) => addEvent(state, event, line), finish: () => finish(state) };
}

function finish(state: State): Plan {
  const { header, undefinedAt, steps, hashLines, unknown, events, hcalls, skipped } = state;
  return {
    header,
    undefinedAt,
    steps,
    hashLines,
    unknown,
    events,
    hcalls,
    skipped,
    requests: state.requests.bytes.subarray(0, state.requests.length),
    expected: Buffer.from(state.expected.bytes.buffer, 0, state.expected.length),
  };
}

function addEvent(state: State, event: TraceEvent, line: number): void {
  const { op } = event;
  if (op !== 'END') state.events++;
  if (op.startsWith('H_')) state.hcalls++;
  const encode = EVENTS[op];
  if (encode !== undefined) {
    encode(state, event, line);
    return;
  }
  const operation = operationByName(op);
  if (operation?.kind === 'hcall') addHcall(state, operation, event as unknown as CallEvent, line);
  else skip(state, op);
}

/** Every event that is not simply an hcall. */
const EVENTS: Record<string, (state: State, event: TraceEvent, line: number) => void> = {
  SET_R: (state, event, line) => addReference(state, event, REFERENCED, line),
  SET_C: (state, event, line) => addReference(state, event, CHANGED, line),
  SET_RC: (state, event, line) =>
    addHostEvent(state, 'SET_RC', event as unknown as CallEvent, line),
  HPT_RESET: addReset,
  HPT_FREE: (state, _event, line) => {
    startRecord(state, 'HPT_FREE', [], line);
    expectUncompared(state, line);
    state.order = 0;
  },
  H_REGISTER_PROC_TBL: (state) => {
    state.skipped++;
  },
  TABLE_HASH: (state, event, line) => addTableHash(state, event as unknown as CallEvent, line),
  HOST_UNMAP: (state, event, line) =>
    addHostEvent(state, 'HOST_UNMAP', event as unknown as CallEvent, line),
  HOST_SET_PTE: (state, event, line) =>
    addHostEvent(state, 'HOST_SET_PTE', event as unknown as CallEvent, line),
  HOST_AGE: (state, event, line) =>
    addHostEvent(state, 'HOST_AGE', event as unknown as CallEvent, line),
  HOST_PAGE_FAULT: (state, event, line) =>
    addHostEvent(state, 'HOST_PAGE_FAULT', event as unknown as CallEvent, line),
  HPT_RESIZE: (state, event, line) => {
    addHostEvent(state, 'HPT_RESIZE', event as unknown as CallEvent, line);
    noteResize(state, event as unknown as CallEvent, 0);
  },
  H_RESIZE_HPT_PREPARE: (state, event, line) =>
    addAsked(state, 'prepare', event as unknown as CallEvent, line),
  H_RESIZE_HPT_COMMIT: (state, event, line) => {
    addHcall(state, operationByName('H_RESIZE_HPT_COMMIT')!, event as unknown as CallEvent, line);
    noteResize(state, event as unknown as CallEvent, 1);
  },
  HTAB_OPEN: (state, event, line) => addAsked(state, 'open', event as unknown as CallEvent, line),
  HTAB_READ: (state, event, line) => addHtabRead(state, event as unknown as HtabReadEvent, line),
  HTAB_CLOSE: (state, event, line) => {
    addReaderRecord(state, 'HTAB_CLOSE', [], line);
    expectInteger(state, (event as unknown as CallEvent).ret, line);
  },
  END: addEnd,
};

function skip(state: State, op: string): void {
  state.skipped++;
  state.unknown.set(op, (state.unknown.get(op) ?? 0) + 1);
}

function addHcall(state: State, operation: Operation, event: CallEvent, line: number): void {
  const { op, args, out } = event;
  startRecord(state, op, registers(operation, args), line);
  const at = expectAnswer(state, event.ret, out.length, line);
  const { view } = state.expected;
  for (let i = 0; i < out.length; i++) writeHexWord(view, at + 8 * i, out[i] ?? '0x0');
  undoQuirks(state.quirks, op, view, at, out.length);
  for (let i = 0; i < out.length; i++) {
    if (out[i] === null || isUndefinedWord(op, view, at, i)) state.undefinedAt.push(at + 8 * i);
  }
}

/** The argument words as the operation takes them: recorders may show more registers, or fewer. */
function registers(operation: Operation, args: readonly string[]): readonly string[] {
  if (args.length > operation.arguments.length) return args.slice(0, operation.arguments.length);
  if (args.length >= operation.wordsMin) return args;
  const missing = operation.name === 'H_BULK_REMOVE' ? END_MARKER : '0x0';
  return [...args, ...Array<string>(operation.wordsMin - args.length).fill(missing)];
}

/** The hardware set R or C in an entry: whether it was there to be set is not compared. */
function addReference(state: State, event: TraceEvent, bits: string, line: number): void {
  startRecord(state, 'SET_RC', [`0x${(event['ptex'] as number).toString(16)}`, bits, '0x1'], line);
  expectUncompared(state, line);
}

function addReset(state: State, event: TraceEvent, line: number): void {
  state.order = event['order'] as number;
  startRecord(state, 'HPT_RESET', [`0x${state.order.toString(16)}`], line);
  expectUncompared(state, line);
}

/** A host event whose `ret` is the first result word. */
function addHostEvent(state: State, op: string, event: CallEvent, line: number): void {
  startRecord(state, op, registers(operationByName(op)!, event.args), line);
  expectInteger(state, event.ret, line);
}

function noteResize(state: State, event: CallEvent, argument: number): void {
  if (event.ret === 0) state.order = Number(event.args[argument] ?? state.order);
}

function addTableHash(state: State, event: CallEvent, line: number): void {
  state.hashLines.add(line);
  const entries = state.order === 0 ? 0 : 2 ** (state.order - 4);
  const [hash, valid] = [event.out[0] ?? '0x0', event.out[1] ?? '0x0'];
  if (entries > PIECE_ENTRIES_MAX) {
    state.steps.push({ kind: 'hash', line, entries, hash: BigInt(hash), valid: BigInt(valid) });
    return;
  }
  startRecord(
    state,
    'TABLE_HASH',
    ['0x0', `0x${entries.toString(16)}`, FNV_OFFSET_BASIS, '0x0'],
    line,
  );
  const at = expectAnswer(state, 0, 3, line);
  writeHexWord(state.expected.view, at, hash);
  writeHexWord(state.expected.view, at + 8, valid);
  // Where to go on with.
  state.undefinedAt.push(at + 16);
}

function addAsked(state: State, kind: 'prepare' | 'open', event: CallEvent, line: number): void {
  const operation = operationByName(event.op)!;
  const words = registers(operation, event.args).map(BigInt);
  state.steps.push({
    kind,
    record: { opcode: operation.opcode, tag: line, words },
    status: event.ret,
  });
}

function addHtabRead(state: State, event: HtabReadEvent, line: number): void {
  addReaderRecord(state, 'HTAB_READ', event.args, line);
  const data = Buffer.from(event.out[0] ?? '', 'hex');
  const at = expectAnswer(state, 0, 1 + Math.ceil(data.length / 8), line);
  writeIntegerWord(state.expected.view, at, event.ret);
  state.expected.bytes.set(data, at + 8);
}

/** A record whose first word is the open reader's number, written when it is known. */
function addReaderRecord(state: State, op: string, args: readonly string[], line: number): void {
  const at = startRecord(state, op, ['0x0', ...args], line);
  (state.steps.at(-1) as Run).readerAt.push(at + HEADER_BYTES);
}

function addEnd(state: State, event: TraceEvent, line: number): void {
  const { order, validEntries, tableSha256 } = event as unknown as EndEvent;
  state.steps.push({
    kind: 'end',
    line,
    order: order ?? state.order,
    ...(validEntries === undefined ? {} : { validEntries }),
    ...(tableSha256 === undefined ? {} : { tableSha256 }),
  });
}

/** Appends a request to the current run of records and returns its offset. */
function startRecord(state: State, op: string, words: readonly string[], line: number): number {
  const { opcode } = operationByName(op)!;
  const run = currentRun(state);
  const at = extend(state.requests, HEADER_BYTES + 8 * words.length);
  const { view } = state.requests;
  view.setUint16(at, opcode, true);
  view.setUint16(at + 2, words.length | (RECORD_VERSION << 12), true);
  view.setUint32(at + 4, line, true);
  for (let i = 0; i < words.length; i++) writeHexWord(view, at + HEADER_BYTES + 8 * i, words[i]!);
  run.requestEnd = state.requests.length;
  return at;
}

function currentRun(state: State): Run {
  const last = state.steps.at(-1);
  if (last?.kind === 'run') return last;
  const run: Run = {
    kind: 'run',
    requestStart: state.requests.length,
    requestEnd: state.requests.length,
    expectedStart: state.expected.length,
    expectedEnd: state.expected.length,
    readerAt: [],
  };
  state.steps.push(run);
  return run;
}

/** Appends the answer to the request just started and returns where its `count` words go. */
function expectAnswer(state: State, status: number, count: number, line: number): number {
  const at = extend(state.expected, HEADER_BYTES + 8 * count);
  const { view } = state.expected;
  view.setInt16(at, status, true);
  view.setUint16(at + 2, count, true);
  view.setUint32(at + 4, line, true);
  currentRun(state).expectedEnd = state.expected.length;
  return at + HEADER_BYTES;
}

function expectInteger(state: State, value: number, line: number): void {
  const at = expectAnswer(state, 0, 1, line);
  writeIntegerWord(state.expected.view, at, value);
}

/** H_SUCCESS and one result word, whatever it is. */
function expectUncompared(state: State, line: number): void {
  state.undefinedAt.push(expectAnswer(state, 0, 1, line));
}
