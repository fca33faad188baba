/**
 * One hcall stream (`hptd.v1`, docs/stream.md) from the client's side. Used by the CLI, by tests and by load drivers.
 *
 * Frames go out as the caller encoded them and answers are handed on as they came, so that millions of hcalls a
 * second cost no allocation each; guest-stream.ts offers the comfortable form on top. The stream keeps the credits: a frame
 * that does not fit yet waits, in order, and `sendFrame` gives a promise to wait for.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { HEADER_BYTES } from '../../schemas/records.ts';
import { type BinaryHello, STREAM_PROTOCOL } from '../../schemas/stream.ts';
import { isLocal } from './address.ts';
import { type Credentials, requestOptions } from './credentials.ts';
import { type Credits, openCredits, settle, spend } from './credits.ts';
import { deferred } from './deferred.ts';
import { ProtocolError, StreamEndedError } from './errors.ts';
import { awaitHello } from './hello.ts';

/** Whole answer records in order. The bytes are the listener's, but not aligned: read them through a DataView. */
export type AnswerListener = (answers: Buffer, records: number) => void;

export interface StreamOptions extends Credentials {
  /** host: control records are answered too. */
  readonly role?: 'guest' | 'host';
  readonly connectMillis?: number;
  /** The stream fails when something is unanswered and nothing has been answered for this long. */
  readonly silenceMillis?: number;
}

export interface HcallStream {
  readonly hello: BinaryHello;
  /**
   * Sends a frame of `records` whole records; undefined: it is on its way, else wait for the promise before the next.
   * The bytes must not change until the frame is answered: they are not copied.
   */
  sendFrame(frame: Uint8Array, records: number): Promise<void> | undefined;
  /** Replaces who is given the answers. */
  onAnswers(listener: AnswerListener): void;
  /** Resolves when everything sent has been answered. */
  drained(): Promise<void>;
  /** Bytes that may be sent at once. */
  creditsLeft(): number;
  /** Resolves, never rejects, when the stream is over, with why. */
  readonly ended: Promise<StreamEndedError>;
  close(): Promise<void>;
}

interface Wait {
  resolve(): void;
  reject(error: Error): void;
}

interface WaitingFrame extends Wait {
  readonly frame: Uint8Array;
  readonly records: number;
}

interface State {
  readonly socket: WebSocket;
  readonly wire: Socket;
  /** Frames wait for the end of the turn, to go out in one write. */
  corked: boolean;
  readonly hello: BinaryHello;
  readonly credits: Credits;
  readonly waiting: WaitingFrame[];
  readonly draining: Wait[];
  listener: AnswerListener;
  /** Something was sent or answered since the last look of the silence watch. */
  lively: boolean;
  failure: Error | undefined;
}

const CONNECT_MILLIS = 10_000;
const SILENCE_MILLIS = 60_000;
const CLOSE_MILLIS = 2_000;

export async function connectStream(
  url: string,
  options: StreamOptions = {},
): Promise<HcallStream> {
  const target =
    options.role === undefined ? url : `${url}${url.includes('?') ? '&' : '?'}role=${options.role}`;
  const socket = new WebSocket(target, [STREAM_PROTOCOL], {
    perMessageDeflate: false,
    handshakeTimeout: options.connectMillis ?? CONNECT_MILLIS,
    ...requestOptions(options),
    // RFC 6455 masks against caches between the two ends. Where there is no such thing a key of zero saves both ends
    // a pass over the bytes, and this one a copy of each frame.
    ...(isLocal(url) ? { generateMask: (key: Buffer) => key.fill(0) } : {}),
  });
  let wire: Socket | undefined;
  socket.once('upgrade', (response: IncomingMessage) => {
    wire = response.socket;
  });
  const hello = await awaitHello(socket, options.connectMillis ?? CONNECT_MILLIS);
  return openStream(socket, wire!, hello, options.silenceMillis ?? SILENCE_MILLIS);
}

function openStream(
  socket: WebSocket,
  wire: Socket,
  hello: BinaryHello,
  silenceMillis: number,
): HcallStream {
  const state: State = {
    socket,
    wire,
    corked: false,
    hello,
    credits: openCredits(hello.limits.creditBytes),
    waiting: [],
    draining: [],
    listener: () => {},
    lively: false,
    failure: undefined,
  };
  const ended = deferred<StreamEndedError>();
  const watch = watchSilence(state, silenceMillis);
  socket.on('message', (data: Buffer, isBinary: boolean) => receive(state, data, isBinary));
  // The close event follows and tells more.
  socket.on('error', () => {});
  socket.on('close', (code: number, reason: Buffer) => {
    clearInterval(watch);
    const end = new StreamEndedError(code, reason.toString());
    fail(state, end);
    ended.resolve(end);
  });
  return {
    hello,
    sendFrame: (frame, records) => sendFrame(state, frame, records),
    onAnswers: (listener) => {
      state.listener = listener;
    },
    drained: () => drained(state),
    creditsLeft: () => state.credits.left,
    ended: ended.promise,
    close: async () => {
      socket.close(1000);
      const impatience = setTimeout(() => socket.terminate(), CLOSE_MILLIS);
      await ended.promise;
      clearTimeout(impatience);
    },
  };
}

function sendFrame(state: State, frame: Uint8Array, records: number): Promise<void> | undefined {
  const { frameBytes, creditBytes } = state.hello.limits;
  if (frame.byteLength > frameBytes || frameCost(state, frame) > creditBytes) {
    throw new RangeError(
      `a frame of ${frame.byteLength} bytes is longer than the daemon's limit of ${frameBytes}`,
    );
  }
  if (state.failure !== undefined) return Promise.reject(state.failure);
  if (state.waiting.length === 0 && trySend(state, frame, records)) return undefined;
  return new Promise((resolve, reject) => {
    state.waiting.push({ frame, records, resolve, reject });
  });
}

function frameCost(state: State, frame: Uint8Array): number {
  return frame.byteLength + state.hello.limits.frameOverheadBytes;
}

function trySend(state: State, frame: Uint8Array, records: number): boolean {
  const cost = frameCost(state, frame);
  if (cost > state.credits.left) return false;
  spend(state.credits, cost, records);
  state.lively = true;
  if (!state.corked) {
    state.corked = true;
    state.wire.cork();
    process.nextTick(uncork, state);
  }
  state.socket.send(frame);
  return true;
}

function uncork(state: State): void {
  state.corked = false;
  state.wire.uncork();
}

/** Everything is caught: a throw in a socket's listener would end the process. */
function receive(state: State, data: Buffer, isBinary: boolean): void {
  if (state.failure !== undefined) return;
  try {
    if (!isBinary) throw new ProtocolError('a text message came after the hello');
    const records = countAnswers(data);
    settle(state.credits, records);
    state.lively = true;
    // Before the listener's work, so that the daemon has something to do meanwhile.
    sendWaiting(state);
    state.listener(data, records);
    if (state.credits.unanswered === 0 && state.waiting.length === 0) {
      for (const wait of state.draining.splice(0)) wait.resolve();
    }
  } catch (error) {
    fail(state, error as Error);
    state.socket.terminate();
  }
}

/** How many records a frame of answers holds. */
function countAnswers(frame: Buffer): number {
  let records = 0;
  let at = 0;
  while (at + HEADER_BYTES <= frame.length) {
    at += HEADER_BYTES + 8 * (frame[at + 2]! | (frame[at + 3]! << 8));
    records++;
  }
  if (at !== frame.length) throw new ProtocolError('a frame of answers ends inside a record');
  return records;
}

function sendWaiting(state: State): void {
  while (state.waiting.length > 0) {
    const next = state.waiting[0]!;
    if (!trySend(state, next.frame, next.records)) return;
    state.waiting.shift();
    next.resolve();
  }
}

function drained(state: State): Promise<void> {
  if (state.failure !== undefined) return Promise.reject(state.failure);
  if (state.credits.unanswered === 0 && state.waiting.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    state.draining.push({ resolve, reject });
  });
}

/** The first failure counts: what follows is its consequence. */
function fail(state: State, error: Error): void {
  if (state.failure !== undefined) return;
  state.failure = error;
  for (const wait of [...state.waiting.splice(0), ...state.draining.splice(0)]) wait.reject(error);
}

function watchSilence(state: State, silenceMillis: number): NodeJS.Timeout {
  const timer = setInterval(() => {
    if (state.credits.unanswered > 0 && !state.lively) {
      fail(
        state,
        new StreamEndedError(1006, `no answer for ${Math.round(silenceMillis / 1000)} s`),
      );
      state.socket.terminate();
    }
    state.lively = false;
  }, silenceMillis);
  return timer.unref();
}
