/**
 * A daemon on loopback that answers as a test tells it, and watches the client as docs/stream.md says a daemon does:
 * frames made of whole records, within the limits, within the credits. For tests of the client and the CLI only.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { type AnswerRecord, HEADER_BYTES } from '../../schemas/records.ts';

export interface FakeRequest {
  readonly opcode: number;
  readonly tag: number;
  readonly words: readonly bigint[];
}

export interface FakeOptions {
  readonly answer?: (request: FakeRequest) => Pick<AnswerRecord, 'status' | 'words'>;
  readonly limits?: { frameBytes: number; creditBytes: number; frameOverheadBytes: number };
  /** Records in a frame of answers; frames of requests are cut up by it. */
  readonly answersPerFrame?: number;
  readonly hello?: (text: string) => string | Buffer;
  /** When the guest was created, asked at each connection. */
  readonly createdAt?: () => string;
  /** Answers REST; undefined: as a daemon that has every guest. */
  readonly rest?: (
    method: string,
    path: string,
    body: unknown,
  ) => { status: number; body?: unknown } | undefined;
}

export interface FakeDaemon {
  readonly url: string;
  /** What the client did that a daemon would not stand. */
  readonly faults: string[];
  readonly requests: string[];
  /** Every record of every stream, in the order of its coming. */
  readonly received: FakeRequest[];
  frames: number;
  /** The most bytes that were unanswered at once, as credits count them. */
  mostInFlight: number;
  /** Sends nothing until `release`. */
  hold(): void;
  release(): void;
  readonly sockets: Set<WebSocket>;
  close(): Promise<void>;
}

const LIMITS = { frameBytes: 262144, creditBytes: 524288, frameOverheadBytes: 8 };

export async function startFakeDaemon(options: FakeOptions = {}): Promise<FakeDaemon> {
  const limits = options.limits ?? LIMITS;
  const server = createServer((request, response) => {
    void answerRest(daemon, options, request, response);
  });
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: false,
    handleProtocols: () => 'hptd.v1',
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let held = false;
  const pump: (() => void)[] = [];
  const daemon: FakeDaemon = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: [],
    requests: [],
    received: [],
    frames: 0,
    mostInFlight: 0,
    sockets: sockets.clients,
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
      for (const send of pump) send();
    },
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  sockets.on('connection', (socket, request) => {
    const role = new URL(request.url!, daemon.url).searchParams.get('role') ?? 'guest';
    const text = JSON.stringify({
      type: 'hello',
      protocol: 'hptd.v1',
      version: '0',
      guest: 'g',
      role,
      processor: 0,
      order: 18,
      createdAt: options.createdAt?.() ?? '2026-01-01T00:00:00.000Z',
      limits,
    });
    socket.send(options.hello?.(text) ?? text);
    pump.push(serveStream(daemon, socket, options, () => held));
  });
  return daemon;
}

/** Returns what sends the answers that wait. */
function serveStream(
  daemon: FakeDaemon,
  socket: WebSocket,
  options: FakeOptions,
  held: () => boolean,
): () => void {
  const limits = options.limits ?? LIMITS;
  const frames: { cost: number; unanswered: number }[] = [];
  const answers: AnswerRecord[] = [];
  let inFlight = 0;
  let scheduled = false;
  const send = (): void => {
    scheduled = false;
    if (held() || answers.length === 0) return;
    const batch = answers.splice(0, options.answersPerFrame ?? 1000);
    // A daemon gives credits back no later than the answer is on its way.
    for (const _ of batch) {
      if (--frames[0]!.unanswered === 0) inFlight -= frames.shift()!.cost;
    }
    socket.send(encodeAnswers(batch));
    schedule();
  };
  const schedule = (): void => {
    if (scheduled || answers.length === 0) return;
    scheduled = true;
    setImmediate(send);
  };
  socket.on('message', (data: Buffer) => {
    const requests = decodeRequests(daemon, data);
    const cost = data.length + limits.frameOverheadBytes;
    frames.push({ cost, unanswered: requests.length });
    inFlight += cost;
    daemon.frames++;
    daemon.mostInFlight = Math.max(daemon.mostInFlight, inFlight);
    if (data.length > limits.frameBytes) daemon.faults.push(`a frame of ${data.length} bytes`);
    if (inFlight > limits.creditBytes) daemon.faults.push(`${inFlight} bytes in flight`);
    for (const request of requests) {
      daemon.received.push(request);
      answers.push({
        tag: request.tag,
        ...(options.answer?.(request) ?? { status: 0, words: [] }),
      });
    }
    schedule();
  });
  return schedule;
}

function decodeRequests(daemon: FakeDaemon, data: Buffer): FakeRequest[] {
  const requests: FakeRequest[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= data.length) {
    const count = data.readUInt16LE(at + 2);
    if (count >> 12 !== 1) daemon.faults.push(`record version ${count >> 12}`);
    const end = at + HEADER_BYTES + 8 * (count & 0xfff);
    const words: bigint[] = [];
    for (let word = at + HEADER_BYTES; word < end && word + 8 <= data.length; word += 8)
      words.push(data.readBigUInt64LE(word));
    requests.push({ opcode: data.readUInt16LE(at), tag: data.readUInt32LE(at + 4), words });
    at = end;
  }
  if (at !== data.length || data.length === 0)
    daemon.faults.push(`a frame of ${data.length} bytes ends inside a record`);
  return requests;
}

function encodeAnswers(answers: readonly AnswerRecord[]): Buffer {
  return Buffer.concat(
    answers.map(({ tag, status, words }) => {
      const bytes = Buffer.alloc(HEADER_BYTES + 8 * words.length);
      bytes.writeInt16LE(status, 0);
      bytes.writeUInt16LE(words.length, 2);
      bytes.writeUInt32LE(tag, 4);
      words.forEach((word, i) => bytes.writeBigUInt64LE(word, HEADER_BYTES + 8 * i));
      return bytes;
    }),
  );
}

async function answerRest(
  daemon: FakeDaemon,
  options: FakeOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const [method, path] = [request.method!, request.url!];
  daemon.requests.push(`${method} ${path}`);
  const body: unknown = text === '' ? undefined : JSON.parse(text);
  const answer = options.rest?.(method, path, body) ?? {
    status: method === 'DELETE' ? 204 : 200,
    body: {},
  };
  response.writeHead(answer.status, {
    'content-type': answer.status >= 400 ? 'application/problem+json' : 'application/json',
  });
  response.end(
    answer.body === undefined || answer.status === 204 ? undefined : JSON.stringify(answer.body),
  );
}
