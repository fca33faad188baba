/**
 * The thread that writes a recording: pairs answers with their requests, makes lines, compresses them in blocks. A
 * worker thread of its own, so that neither the main thread nor a processor pays for it; the file lies in its memory.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { constants, gzipSync } from 'node:zlib';
import { RECORDING_BLOCK_BYTES } from '../../../schemas/limits.ts';
import { CONTROL_BIT, HEADER_BYTES } from '../../../schemas/records.ts';
import type { RecordingEnd } from '../../../schemas/recordings.ts';
import { entryLine, hashLine, lineOf, pageLine } from './lines.ts';
import type { FromWriter, Last, ToWriter, WriterBirth } from './messages.ts';

const HTAB_HEADER_BYTES = 8;
const HTAB_ENTRY_BYTES = 16;
const LOCK_BIT = 0x40n;
/** The reverse map's own bit, which no guest sees. */
const MODIFIED_BIT = 1n << 62n;
/** Half-words: a record's word count is its low 12 bits. */
const COUNT_MASK = 0xfff;

if (parentPort === null) throw new Error('writer-thread.ts runs as a worker thread');
const port = parentPort;
const { bytesMax, eventsMax } = workerData as WriterBirth;

/** Requests of a stream that are not answered yet: whole frames, and where in the first the next record is. */
interface Asked {
  readonly frames: Uint8Array[];
  at: number;
}

const asked = new Map<number, Asked>();
const file: Uint8Array<ArrayBuffer>[] = [];
const state = {
  begun: false,
  /** What came before the table was written. */
  early: [] as ToWriter[],
  text: [] as string[],
  textBytes: 0,
  fileBytes: 0,
  events: 0,
  hcalls: 0,
  lost: 0,
  eventsAtHash: -1,
  full: undefined as RecordingEnd | undefined,
  note: undefined as string | undefined,
};

port.on('message', (messages: readonly ToWriter[]) => {
  let bytesTaken = 0;
  for (const message of messages) {
    if ('bytes' in message) bytesTaken += message.bytes.byteLength;
    take(message);
  }
  const { events, fileBytes, full } = state;
  tell({ kind: 'written', bytesTaken, events, fileBytes, full });
});

function tell(message: FromWriter): void {
  port.postMessage(message);
}

function take(message: ToWriter): void {
  switch (message.kind) {
    case 'table':
      return writeTable(message.bytes);
    case 'page':
      return addEvent(pageLine(message.gpa, message.state));
    case 'begun':
      state.begun = true;
      for (const early of state.early.splice(0)) take(early);
      return;
    case 'end':
      return end(message.last);
    default:
      if (!state.begun) state.early.push(message);
      else if (message.kind === 'hashing') state.eventsAtHash = state.events;
      else if (message.kind === 'frame') askedBy(message.cpu).frames.push(message.bytes);
      else takeAnswers(message.cpu, message.bytes);
  }
}

function askedBy(cpu: number): Asked {
  let found = asked.get(cpu);
  if (found === undefined) asked.set(cpu, (found = { frames: [], at: 0 }));
  return found;
}

function takeAnswers(cpu: number, bytes: Uint8Array): void {
  const answers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const requests = askedBy(cpu);
  for (let at = 0; at < bytes.byteLength; ) {
    const count = answers.getUint16(at + 2, true);
    takePair(cpu, requests, answers, at, count);
    at += HEADER_BYTES + 8 * count;
  }
}

/** One answer and the record that it belongs to. */
function takePair(
  cpu: number,
  requests: Asked,
  answers: DataView,
  at: number,
  count: number,
): void {
  const frame = requests.frames[0]!;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const head = view.getUint16(requests.at, true);
  const argCount = view.getUint16(requests.at + 2, true) & COUNT_MASK;
  const args = wordsAt(view, requests.at + HEADER_BYTES, argCount);
  requests.at += HEADER_BYTES + 8 * argCount;
  if (requests.at >= frame.byteLength) {
    requests.frames.shift();
    requests.at = 0;
  }
  const status = answers.getInt16(at, true);
  const out = wordsAt(answers, at + HEADER_BYTES, count);
  const line = lineOf({ cpu, head, args, status, out });
  if (line === 'nothing') return;
  if (state.full !== undefined) {
    state.lost++;
    return;
  }
  if ('notRecordable' in line) {
    state.full = 'not-recordable';
    state.note = `${line.notRecordable} has no event in the format: the file ends before it`;
    state.lost++;
    return;
  }
  if ((head & CONTROL_BIT) === 0) state.hcalls++;
  addEvent(line.text);
}

function wordsAt(view: DataView, at: number, count: number): bigint[] {
  const words: bigint[] = [];
  for (let i = 0; i < count; i++) words.push(view.getBigUint64(at + 8 * i, true));
  return words;
}

function writeTable(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HTAB_HEADER_BYTES <= bytes.byteLength; ) {
    const first = view.getUint32(at, true);
    const valid = view.getUint16(at + 4, true);
    at += HTAB_HEADER_BYTES;
    for (let i = 0; i < valid; i++, at += HTAB_ENTRY_BYTES) {
      const v = view.getBigUint64(at) & ~LOCK_BIT;
      addEvent(entryLine(first + i, v, view.getBigUint64(at + 8) & ~MODIFIED_BIT));
    }
  }
}

function addEvent(text: string): void {
  if (state.full !== undefined) {
    state.lost++;
    return;
  }
  addText(text);
  state.events++;
  if (state.events >= eventsMax) state.full = 'events';
  if (state.fileBytes >= bytesMax) state.full = 'bytes';
}

function addText(text: string): void {
  state.text.push(text);
  state.textBytes += text.length;
  if (state.textBytes >= RECORDING_BLOCK_BYTES) compress();
}

/** Members of gzip may follow one another: a reader sees one file. */
function compress(): void {
  const block = gzipSync(state.text.join(''), { level: constants.Z_BEST_SPEED });
  state.text = [];
  state.textBytes = 0;
  const copy = Uint8Array.from(block);
  file.push(copy);
  state.fileBytes += copy.byteLength;
}

function end({ end: why, order, lost, hash }: Last): void {
  const lostAll = lost + state.lost;
  const tableHash = hash !== undefined && lostAll === 0 && state.events === state.eventsAtHash;
  if (tableHash) addText(hashLine(hash.fnv1a64, hash.valid));
  addText(`${JSON.stringify({ op: 'END', order, lost: lostAll, ended: state.full ?? why })}\n`);
  compress();
  const events = state.events + (tableHash ? 1 : 0);
  const { hcalls, full, note } = state;
  tell({ kind: 'ended', file, events, hcalls, lost: state.lost, tableHash, full, note });
}
