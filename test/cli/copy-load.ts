/** A guest that keeps entering, removing and touching entries, and keeps account of what it was acknowledged. */
import assert from 'node:assert/strict';
import { FLAGS } from '../../schemas/flags.ts';
import { operationByName } from '../../schemas/operations.ts';
import { decodeAnswers, encodeRequests, type RequestRecord } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { streamUrl } from '../../src/client/address.ts';
import { connectStream } from '../../src/client/stream.ts';
import { numbersFrom } from '../transports/htab-support.ts';

const HVLOCK = 0x40n;
const FRAME_CALLS = 64;
/** Frames under way: the processor always has work, the account is never far behind. */
const FRAMES = 4;

export interface Load {
  /** By ptex, as a table stream shows entries: what the table must hold, from every answer so far. */
  readonly expected: Map<number, string>;
  readonly acknowledged: () => number;
  /** Sends nothing more. */
  stop(): void;
  /** Resolves when all is answered; never, while the guest is paused. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

const record = (name: string, ...words: bigint[]): RequestRecord => ({
  opcode: operationByName(name)!.opcode,
  tag: 0,
  words,
});

const text = (v: bigint, r: bigint): string => `${v.toString(16)} ${r.toString(16)}`;

function randomCall(below: (limit: number) => number, slots: number): RequestRecord {
  const ptex = BigInt(below(slots));
  const which = below(5);
  if (which < 2) return record('H_REMOVE', 0n, ptex, 0n);
  if (which === 4) return record('SET_RC', ptex, BigInt(below(3) + 1) << 7n, 0n);
  const pteh = (BigInt(below(2 ** 20)) << 12n) | 1n;
  return record('H_ENTER', FLAGS.H_EXACT, ptex, pteh, (BigInt(below(2 ** 15)) << 12n) | 0x10n);
}

/** Puts what an answer says into `expected`. */
function account(
  expected: Map<number, string>,
  asked: RequestRecord,
  status: number,
  words: readonly bigint[],
): void {
  const [first = 0n, ptex = 0n, v = 0n, r = 0n] = asked.words;
  if (asked.opcode === operationByName('H_ENTER')!.opcode) {
    if (status === STATUSES.H_SUCCESS) expected.set(Number(ptex), text(v | HVLOCK, r));
    else assert.equal(status, STATUSES.H_PTEG_FULL);
  } else if (asked.opcode === operationByName('H_REMOVE')!.opcode) {
    assert.equal(expected.delete(Number(ptex)), status === STATUSES.H_SUCCESS, `${ptex}`);
  } else if (words[0] === 0n) {
    const [dword0, dword1] = expected.get(Number(first))!.split(' ');
    expected.set(Number(first), text(BigInt(`0x${dword0}`), BigInt(`0x${dword1}`) | ptex));
  }
}

/** `expected`: what the table holds before; changed as answers come. */
export async function startLoad(
  daemon: string,
  guest: string,
  slots: number,
  seed: number,
  expected: Map<number, string>,
): Promise<Load> {
  const below = numbersFrom(seed);
  const stream = await connectStream(streamUrl(daemon, guest), { role: 'host' });
  const sent: RequestRecord[] = [];
  let [inFlight, acknowledged, stopped] = [0, 0, false];

  function fill(): void {
    if (stopped) return;
    while (inFlight < FRAMES * FRAME_CALLS) {
      const calls = Array.from({ length: FRAME_CALLS }, () => randomCall(below, slots));
      sent.push(...calls);
      inFlight += calls.length;
      void stream.sendFrame(encodeRequests(calls), calls.length);
    }
  }

  stream.onAnswers((bytes) => {
    for (const { status, words } of decodeAnswers(bytes)) {
      account(expected, sent.shift()!, status, words);
      inFlight--;
      acknowledged++;
    }
    fill();
  });
  fill();
  return {
    expected,
    acknowledged: () => acknowledged,
    stop() {
      stopped = true;
    },
    drained: () => stream.drained(),
    close: () => stream.close(),
  };
}
