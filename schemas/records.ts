/**
 * The binary records of the `hptd.v1` stream. docs/stream.md describes them for people.
 *
 *   request   63            32 31  28 27        16 15 14 13           0
 *            +----------------+------+------------+--+--+--------------+
 *            |      tag       | ver. | word count |ct|ex|    opcode    |   then that many words
 *            +----------------+------+------------+--+--+--------------+
 *   answer    63            32 31        16 15                        0
 *            +----------------+------------+---------------------------+
 *            |      tag       | word count |      status (signed)      |   then that many words
 *            +----------------+------------+---------------------------+
 *
 * ct: a control record, not an hcall. ex: explain, the answer ends with EXPLAIN_WORDS more words.
 * Every word is little-endian. A frame is any number of whole records.
 */

export const RECORD_VERSION = 1;
export const HEADER_BYTES = 8;
export const CONTROL_BIT = 0x8000;
export const EXPLAIN_BIT = 0x4000;
/** A rule number (schemas/rules.ts) and nine words of detail. */
export const EXPLAIN_WORDS = 10;

export interface RequestRecord {
  opcode: number;
  tag: number;
  words: readonly bigint[];
  explain?: boolean;
}

export interface AnswerRecord {
  tag: number;
  /** r3 on return, signed. */
  status: number;
  /** r4 on, explanation words included where they were asked for. */
  words: bigint[];
}

export function requestBytes(record: RequestRecord): number {
  return HEADER_BYTES + 8 * record.words.length;
}

/** Writes the header of a record of `count` words at `offset` and returns where its words belong. */
export function writeRequestHeader(
  view: DataView,
  offset: number,
  opcode: number,
  tag: number,
  count: number,
): number {
  view.setUint16(offset, opcode, true);
  view.setUint16(offset + 2, count | (RECORD_VERSION << 12), true);
  view.setUint32(offset + 4, tag, true);
  return offset + HEADER_BYTES;
}

/** Writes a record at `offset` and returns the offset behind it. */
export function writeRequest(view: DataView, offset: number, record: RequestRecord): number {
  const opcode = record.opcode | (record.explain === true ? EXPLAIN_BIT : 0);
  let at = writeRequestHeader(view, offset, opcode, record.tag, record.words.length);
  for (const word of record.words) {
    view.setBigUint64(at, word, true);
    at += 8;
  }
  return at;
}

export function encodeRequests(records: readonly RequestRecord[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + requestBytes(record), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const record of records) at = writeRequest(view, at, record);
  return bytes;
}

/** Answers of a frame in order. A frame that ends inside a record throws RangeError. */
export function decodeAnswers(bytes: Uint8Array): AnswerRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const answers: AnswerRecord[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const answer = readAnswer(view, at);
    answers.push(answer);
    at += HEADER_BYTES + 8 * answer.words.length;
  }
  return answers;
}

/** The answer at `offset`. One that is not whole throws RangeError. */
export function readAnswer(view: DataView, offset: number): AnswerRecord {
  const count = view.getUint16(offset + 2, true);
  const words: bigint[] = [];
  for (let i = 0; i < count; i++)
    words.push(view.getBigUint64(offset + HEADER_BYTES + 8 * i, true));
  return { tag: view.getUint32(offset + 4, true), status: view.getInt16(offset, true), words };
}
