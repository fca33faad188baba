/**
 * What a transport may ask of a guest. Everything here runs on the main thread and never blocks it.
 */
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import type { AskedState, GuestState } from '../../schemas/guest-states.ts';
import type { StatusName } from '../../schemas/statuses.ts';
import type { GuestConfig } from '../../schemas/guests.ts';
import type { ProblemError } from '../../schemas/problems.ts';
import type { AnswerHere } from '../processors/here.ts';
import type { State } from '../state/state.ts';
import type { JournalFacts } from './journal/journal.ts';
import type { Recordings } from './recording/recordings.ts';

export type Role = 'guest' | 'host';

/** Why a stream ends from the daemon's side. */
export type StreamEnd =
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'shutdown' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface StreamListener {
  /** Whole answer records, in order. The bytes belong to the listener. False: take no more until `resume`. */
  onAnswers(bytes: Uint8Array): boolean;
  /** The last event of a stream; everything accepted before the cause was answered, unless the guest is paused. */
  onEnd(end: StreamEnd): void;
}

export interface GuestStream {
  readonly processor: number;
  /** Copies a frame into the ring. `over-credit` and `ended`: nothing was taken. */
  submit(frame: Uint8Array): 'accepted' | 'over-credit' | 'ended';
  /** Is the frame one short hcall, and nothing of the stream under way? */
  mayExecute(frame: Uint8Array): boolean;
  /**
   * Executes such a frame at once, instead of submitting it, and gives its answer to the listener. False: it was not
   * executed, because it is another, or something would have to be waited for.
   */
  execute(frame: Uint8Array): boolean;
  /** Takes nothing more; ends with `malformed` when what was submitted is answered. */
  refuse(reason: string): void;
  /** The listener takes answers again. */
  resume(): void;
  /** Gives the stream back once what it submitted has been executed; no more events follow. */
  close(): void;
}

export interface GuestSlot {
  readonly number: number;
  readonly base: bigint;
  readonly bytes: number;
  readonly kind: 'ram' | 'ci';
}

/** A table in preparation beside the active one: RESIZE_STATE, its order, bytes zeroed of all bytes. */
export interface ResizeProgress {
  readonly state: number;
  readonly order: number;
  readonly zeroedBytes: number;
  readonly bytes: number;
}

/** What a processor has done for a guest, its dead predecessors' share included. */
export interface ProcessorCounters {
  readonly processor: number;
  readonly records: number;
  /** Waits for an entry's lock and for a chain's, and H_ENTERs that needed a second pass. */
  readonly lockWaits: number;
  readonly chainWaits: number;
  readonly secondPasses: number;
  readonly tlbies: number;
  readonly tlbsyncs: number;
}

export interface AnswerCount {
  readonly hcall: string;
  readonly status: StatusName;
  readonly count: number;
}

/** Bucket i: runs of at most 2^i microseconds, or records; the last bucket: longer ones; behind it the sum. */
export interface RunTotals {
  readonly micros: readonly number[];
  readonly records: readonly number[];
}

/** What lies in the rings of a guest's streams now. */
export interface RingFill {
  /** Frames that are not executed, with their overheads; the most a stream may have is CREDIT_BYTES. */
  readonly submittedBytes: number;
  /** Answers that the sockets have not taken. */
  readonly answerBytes: number;
}

export interface ProcessorStatus {
  readonly index: number;
  readonly alive: boolean;
  readonly streams: number;
  readonly deaths: number;
}

export interface Guest {
  readonly name: string;
  readonly config: GuestConfig;
  readonly createdAt: Date;
  /** Facts that change: order of the active table (0: none), streams of clients open, and where in its life it is. */
  status(): { order: number; streams: number; state: GuestState };
  /**
   * Resolves when it is in that state; `paused`: when no hcall is being executed. Throws guest-state, or what ended the
   * guest meanwhile.
   */
  changeState(to: AskedState): Promise<void>;
  /** The slots that are there now. RACE: one that is being added or removed may be told as before or after. */
  memslots(): GuestSlot[];
  resize(): ResizeProgress;
  /** Of every processor that the guest has been on. */
  counters(): ProcessorCounters[];
  /** Resolves when no hcall is executed any more that had begun before the call. */
  allPassed(): Promise<void>;
  /** hcalls that were answered; control records are not among them. */
  answers(): AnswerCount[];
  runs(): RunTotals;
  ringFill(): RingFill;
  /** Undefined: it keeps none. */
  journal(): JournalFacts | undefined;
  readonly recordings: Recordings;
  openStream(role: Role, listener: StreamListener): GuestStream;
  /** Throws the problem with which `openStream` would refuse now. */
  checkStream(): void;
  /**
   * Runs records in order on one processor, host records allowed, and gives their answers. Throws guest-paused for hcalls
   * to a guest that is paused; control records are run all the same.
   */
  run(records: readonly RequestRecord[]): Promise<AnswerRecord[]>;
  /** One record, as `run`; the answer is there at once if the main thread could execute it itself. */
  runOne(record: RequestRecord): AnswerRecord | Promise<AnswerRecord>;
  /**
   * An hcall whose `count` words lie at the beginning of `words`, little-endian, executed at once. The answer is good until
   * the next call. Undefined: it was not executed, and `runOne` is to be asked.
   */
  runPlain(opcode: number, words: DataView, count: number): AnswerHere | undefined;
}

/** What may be asked of the state of the daemon. `snapshot` throws a problem. */
export interface GuestsState
  extends Pick<State, 'directory' | 'durability' | 'snapshot' | 'images' | 'status'> {
  /** The problem of whoever asks for a guest that is kept and cannot be started. */
  refusal(name: string): ProblemError | undefined;
}

export interface Guests {
  /** Undefined: guests end with the daemon. */
  readonly state: GuestsState | undefined;
  create(name: string, config: GuestConfig): Promise<Guest>;
  get(name: string): Guest | undefined;
  list(): Guest[];
  processors(): ProcessorStatus[];
  /** Answers what is in flight, ends the guest's streams with `deleted`, frees its memory; a damaged one's files too. */
  remove(name: string): Promise<void>;
  /** Answers what is in flight, ends every stream with `shutdown`, stops the processors, and keeps what is to be kept. */
  close(): Promise<void>;
}
