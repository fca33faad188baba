/**
 * From a gzip'd trace file to its checked lines, in a stream: a trace is some hundred megabytes of JSON.
 *
 * Whatever is wrong with the file becomes a CliError with exit code 65, the line number and what to do.
 */
import { createReadStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { constants, createGunzip } from 'node:zlib';
import type { z } from 'zod';
import {
  eventSchema,
  TRACE_FORMAT,
  type TraceHeader,
  traceHeader,
} from '../../../schemas/trace.ts';
import { CliError, EXIT } from '../errors.ts';

/** An event line as it was parsed and checked against the schema of its `op`. */
export interface TraceEvent {
  readonly op: string;
  readonly [key: string]: unknown;
}

export interface TraceReader {
  header(header: TraceHeader): void;
  event(event: TraceEvent, line: number): void;
}

interface Position {
  readonly path: string;
  line: number;
  /** The line being read is the last and has no end. */
  cut: boolean;
}

const CHUNK_BYTES = 1024 * 1024;

export async function readTrace(path: string, reader: TraceReader): Promise<void> {
  const position: Position = { path, line: 0, cut: false };
  const decoder = new StringDecoder('utf8');
  let tail = '';
  for await (const chunk of unzipped(position)) {
    const lines = (tail + decoder.write(chunk)).split('\n');
    tail = lines.pop()!;
    for (const line of lines) readLine(position, line, reader);
  }
  position.cut = true;
  if (tail !== '') readLine(position, tail, reader);
  if (position.line === 0)
    throw dataError(position, 'the file is empty', 'record or copy it again');
}

async function* unzipped(position: Position): AsyncGenerator<Buffer> {
  const file = createReadStream(position.path, { highWaterMark: CHUNK_BYTES });
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on('error', (error) => gunzip.destroy(error));
  try {
    yield* file.pipe(gunzip) as AsyncIterable<Buffer>;
  } catch (error) {
    throw await unreadable(position, error as NodeJS.ErrnoException);
  } finally {
    file.destroy();
  }
}

async function unreadable(position: Position, error: NodeJS.ErrnoException): Promise<Error> {
  if (error.code === 'Z_BUF_ERROR') {
    position.line = (await wholeLines(position.path)) + 1;
    return dataError(position, 'the gzip data ends too early', 'copy or record the file again');
  }
  if (error.code?.startsWith('Z_') === true) {
    return NOT_GZIP.test(error.message)
      ? dataError(
          position,
          'the file is not gzip data',
          'give a trace as it was recorded (.jsonl.gz), or compress it with gzip',
        )
      : dataError(
          position,
          `the gzip data is damaged (${error.message})`,
          'copy or record the file again',
        );
  }
  if (error.syscall === undefined) return error;
  return new CliError(
    EXIT.data,
    `${position.path}: cannot be read: ${error.message}`,
    'check the name and the permissions',
  );
}

/** What zlib says of a wrong first byte. */
const NOT_GZIP = /incorrect header check|unknown compression method/;

/** How many lines a file holds whose gzip data ends too early: what zlib had not handed on yet counts too. */
async function wholeLines(path: string): Promise<number> {
  let lines = 0;
  const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
  for await (const chunk of createReadStream(path).pipe(gunzip) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
  }
  return lines;
}

function readLine(position: Position, text: string, reader: TraceReader): void {
  position.line++;
  const value = parse(position, text);
  if (position.line === 1) {
    reader.header(checkHeader(position, value));
    return;
  }
  const op = (value as { op?: unknown } | null)?.op;
  if (typeof op !== 'string') throw dataError(position, 'an event needs an "op"', FORMAT_ADVICE);
  if (isPlainHcall(value as TraceEvent)) {
    reader.event(value as TraceEvent, position.line);
    return;
  }
  const checked = eventSchema(op).safeParse(value);
  if (!checked.success)
    throw dataError(position, `${op}: ${firstIssue(checked.error)}`, FORMAT_ADVICE);
  reader.event(checked.data as TraceEvent, position.line);
}

/**
 * Is it beyond doubt what the schema of an hcall would let through unchanged? Almost every line is, and the schema takes
 * longer than parsing did. Whatever is not is for the schema to judge, and to say what is wrong.
 */
function isPlainHcall(event: TraceEvent): boolean {
  const { op, args, ret, out } = event;
  return (
    op.startsWith('H_') &&
    op !== 'H_REGISTER_PROC_TBL' &&
    Array.isArray(args) &&
    args.every(isWord) &&
    Number.isSafeInteger(ret) &&
    Array.isArray(out) &&
    out.every(isWord)
  );
}

const WORD_CHARACTERS_MAX = 18;
const [ZERO, NINE, LOWER_A, LOWER_F, LOWER_X] = [48, 57, 97, 102, 120];

/** "0x" and 1 to 16 digits, those above 9 in lower case as recorders write them. */
function isWord(word: unknown): boolean {
  if (typeof word !== 'string' || word.length < 3 || word.length > WORD_CHARACTERS_MAX)
    return false;
  if (word.charCodeAt(0) !== ZERO || word.charCodeAt(1) !== LOWER_X) return false;
  for (let i = 2; i < word.length; i++) {
    const digit = word.charCodeAt(i);
    if (digit < ZERO || digit > LOWER_F || (digit > NINE && digit < LOWER_A)) return false;
  }
  return true;
}

const FORMAT_ADVICE = `see the description of the format ${TRACE_FORMAT}`;

function parse(position: Position, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    if (position.cut) {
      throw dataError(
        position,
        'the last line is only half written',
        'delete that line, or record the trace again',
      );
    }
    throw dataError(position, `not JSON: ${text.slice(0, 60)}`, FORMAT_ADVICE);
  }
}

function checkHeader(position: Position, value: unknown): TraceHeader {
  const format = (value as { format?: unknown } | null)?.format;
  if (format !== TRACE_FORMAT) {
    const found = format === undefined ? 'no format' : `format ${JSON.stringify(format)}`;
    throw dataError(
      position,
      `the header names ${found}, not "${TRACE_FORMAT}"`,
      'convert the file, or give a trace',
    );
  }
  const checked = traceHeader.safeParse(value);
  if (!checked.success)
    throw dataError(position, `header: ${firstIssue(checked.error)}`, FORMAT_ADVICE);
  return checked.data;
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]!;
  return issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`;
}

function dataError(position: Position, message: string, advice: string): CliError {
  const line = position.line === 0 ? '' : ` line ${position.line}:`;
  return new CliError(EXIT.data, `${position.path}:${line} ${message}`, advice);
}
