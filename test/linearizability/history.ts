/**
 * A history: which calls threads made on one table, when each was invoked and when it had its answer, and the answers.
 *
 * Times are stamps of one counter that all threads add to, before and after each call. So if one call's response has a
 * smaller stamp than another's invocation, it really ended before the other began.
 */
import { STATUSES } from '../../schemas/statuses.ts';

export interface Request {
  readonly name: string;
  readonly args: readonly bigint[];
}

/** Columns, one row a call. */
export interface Columns {
  /** Index into `requests`. */
  readonly request: Int32Array;
  readonly invoked: Int32Array;
  readonly responded: Int32Array;
  /** Where a call's answer starts in `answers`: a record as in schemas/records.ts, in 32-bit words. */
  readonly answerAt: Int32Array;
  readonly answers: Uint32Array;
  /** How many attempts of the call to take a lock were made to fail. */
  readonly stumbles: Uint8Array;
}

/** The calls of a thread stand together and in order. */
export interface History extends Columns {
  readonly threads: number;
  readonly requests: readonly Request[];
  readonly thread: Uint8Array;
}

/** One call of a history made by hand, or read back from a file. */
export interface Row {
  readonly thread: number;
  readonly request: number;
  readonly invoked: number;
  readonly responded: number;
  readonly status: number;
  readonly out: readonly bigint[];
  readonly stumbles?: number;
}

export const statusOf = ({ answers, answerAt }: History, call: number): number =>
  (answers[answerAt[call]!]! << 16) >> 16;

/** 64-bit words behind the status. */
export const wordCount = ({ answers, answerAt }: History, call: number): number =>
  answers[answerAt[call]!]! >>> 16;

export function wordOf({ answers, answerAt }: History, call: number, word: number): bigint {
  const at = answerAt[call]! + 2 + 2 * word;
  return (BigInt(answers[at + 1]!) << 32n) | BigInt(answers[at]!);
}

/** Rows in any order; stamps must all differ. */
export function historyOf(requests: readonly Request[], rows: readonly Row[]): History {
  const sorted = [...rows].sort((a, b) => a.thread - b.thread || a.invoked - b.invoked);
  const answers: number[] = [];
  const answerAt = sorted.map(({ status, out }) => {
    const at = answers.length;
    answers.push((out.length << 16) | (status & 0xffff), 0);
    for (const word of out) answers.push(Number(word & 0xffff_ffffn), Number(word >> 32n));
    return at;
  });
  return {
    threads: Math.max(0, ...sorted.map(({ thread }) => thread + 1)),
    requests,
    thread: Uint8Array.from(sorted, ({ thread }) => thread),
    request: Int32Array.from(sorted, ({ request }) => request),
    invoked: Int32Array.from(sorted, ({ invoked }) => invoked),
    responded: Int32Array.from(sorted, ({ responded }) => responded),
    answerAt: Int32Array.from(answerAt),
    answers: Uint32Array.from(answers),
    stumbles: Uint8Array.from(sorted, ({ stumbles }) => stumbles ?? 0),
  };
}

/** One history of what each thread did. */
export function joined(requests: readonly Request[], threads: readonly Columns[]): History {
  const calls = threads.reduce((sum, { request }) => sum + request.length, 0);
  const words = threads.reduce((sum, { answers }) => sum + answers.length, 0);
  const history: History = {
    threads: threads.length,
    requests,
    thread: new Uint8Array(calls),
    request: new Int32Array(calls),
    invoked: new Int32Array(calls),
    responded: new Int32Array(calls),
    answerAt: new Int32Array(calls),
    answers: new Uint32Array(words),
    stumbles: new Uint8Array(calls),
  };
  let [call, word] = [0, 0];
  for (const [thread, columns] of threads.entries()) {
    const { length } = columns.request;
    history.thread.fill(thread, call, call + length);
    history.request.set(columns.request, call);
    history.invoked.set(columns.invoked, call);
    history.responded.set(columns.responded, call);
    history.stumbles.set(columns.stumbles, call);
    for (let i = 0; i < length; i++) history.answerAt[call + i] = columns.answerAt[i]! + word;
    history.answers.set(columns.answers, word);
    call += length;
    word += columns.answers.length;
  }
  return history;
}

export function rowOf(history: History, call: number): Row {
  return {
    thread: history.thread[call]!,
    request: history.request[call]!,
    invoked: history.invoked[call]!,
    responded: history.responded[call]!,
    status: statusOf(history, call),
    out: Array.from({ length: wordCount(history, call) }, (_, i) => wordOf(history, call, i)),
    stumbles: history.stumbles[call]!,
  };
}

/** Invocations and responses in the order in which they happened: 2 * call, and 1 more for a response. */
export function eventsOf({ invoked, responded }: History): Int32Array {
  const end = responded.reduce((most, stamp) => Math.max(most, stamp), -1) + 1;
  const byStamp = new Int32Array(end).fill(-1);
  for (let call = 0; call < invoked.length; call++) {
    byStamp[invoked[call]!] = 2 * call;
    byStamp[responded[call]!] = 2 * call + 1;
  }
  return byStamp.filter((event) => event !== -1);
}

const STATUS_NAMES = new Map<number, string>(
  Object.entries(STATUSES).map(([name, number]) => [number, name]),
);

const hex = (word: bigint): string => (word < 10n ? String(word) : `0x${word.toString(16)}`);

export const requestText = ({ name, args }: Request): string =>
  `${name}(${args.map(hex).join(', ')})`;

export function answerText({ status, out }: Pick<Row, 'status' | 'out'>): string {
  const name = STATUS_NAMES.get(status) ?? String(status);
  return out.length === 0 ? name : `${name} [${out.map(hex).join(', ')}]`;
}
