/**
 * The main thread as a processor: what it executes, and that it never waits. Whatever it would have to wait for, the hcall is not
 * executed, nothing of it is to be seen, and no lock is left.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeAnswers, encodeRequests } from '../../schemas/records.ts';
import { HCALLS, operationByName } from '../../schemas/operations.ts';
import type { AnswerRecord, RequestRecord } from '../../schemas/records.ts';
import { isShort, openHere } from '../../src/processors/here.ts';
import type { Here } from '../../src/processors/here.ts';
import { compileEngine, openEngine } from '../../src/rings/engine.ts';
import { openTestGuest } from '../engine/harness.ts';
import type { TestGuest } from '../engine/harness.ts';
import { checkTable } from '../engine/invariants.ts';
import { EXACT, HVLOCK, RW, V, enterAt } from '../engine/pages.ts';

const module = await compileEngine();
const INDEX = 5;
const STREAM = 127;
const RMAP_LOCK = 1n << 43n;
const R = 0x100n;
const FRAME = 4;
const GROUP = 80n;

function record(name: string, ...words: bigint[]): RequestRecord {
  return { opcode: operationByName(name)!.opcode, tag: 7, words };
}

/** A guest with an entry that maps FRAME, R set, in each of the first seven slots of a group. */
function openStage() {
  const guest = openTestGuest();
  for (let slot = 0n; slot < 7n; slot++)
    enterAt(guest, GROUP + slot, ((slot + 1n) << 12n) | V, (BigInt(FRAME) << 16n) | RW);
  guest.call('SET_RC', [GROUP, R, 0n]);
  const engine = openEngine(module, guest.memory);
  const here = openHere(engine, guest.memory, INDEX, STREAM, ({ message }) => assert.fail(message));
  return { guest, here };
}

/** As its words would come from a body. */
function executePlain(here: Here, { opcode, words }: RequestRecord) {
  const given = new DataView(new ArrayBuffer(8 * words.length));
  for (const [i, value] of words.entries()) given.setBigUint64(8 * i, value, true);
  const answer = here.executePlain(opcode, given, words.length);
  if (answer === undefined) return undefined;
  const { status, count, words: out, at } = answer;
  return {
    status,
    words: Array.from({ length: count }, (_, i) => out.getBigUint64(at + 8 * i, true)),
  };
}

/** As it would come over a stream. */
function executeFrame(here: Here, request: RequestRecord): AnswerRecord | undefined {
  const answer = here.executeFrame(encodeRequests([request]));
  return answer === undefined ? undefined : decodeAnswers(answer)[0];
}

const rmapOf = (guest: TestGuest, frame: number) =>
  guest.words(guest.word32(guest.exports.MEMSLOTS! + guest.exports.SLOT_RMAP!) + frame * 8, 1);
const word = (guest: TestGuest, name: string) =>
  new Int32Array(guest.memory.buffer, guest.exports[name], 1);
const enterFree = (ptex = GROUP, flags = 0n) =>
  record('H_ENTER', flags, ptex, 0xabc000n | V, (BigInt(FRAME) << 16n) | RW);

/** The table and what is kept about it, as far as an hcall may touch it. */
function seen(guest: TestGuest): string {
  const { PROCESSORS, PROCESSOR_BYTES, ACTIVE } = guest.exports;
  const active = guest.word32(PROCESSORS! + PROCESSOR_BYTES! * INDEX + ACTIVE!);
  const entries = Array.from({ length: 8 }, (_, i) => GROUP + BigInt(i));
  // What is kept about a free slot means nothing.
  const text = entries.flatMap((ptex) => {
    const [v, r] = guest.entry(ptex);
    return v === 0n ? [v] : [v!, r!, ...guest.revmap(ptex)];
  });
  return `${text.map((one) => one.toString(16)).join(' ')} ${rmapOf(guest, FRAME)[0]} ${active}`;
}

describe('what is free is executed at once', () => {
  const cases: readonly (readonly [RequestRecord, Partial<AnswerRecord>])[] = [
    [enterFree(), { status: 0, words: [GROUP + 7n] }],
    [record('H_READ', 0n, GROUP + 1n), { status: 0 }],
    [record('H_REMOVE', 0n, GROUP + 1n, 0n), { status: 0 }],
    [record('H_PROTECT', 3n, GROUP + 1n, 0n), { status: 0, words: [] }],
    [record('H_CLEAR_REF', 0n, GROUP), { status: 0 }],
    [record('H_CLEAR_MOD', 0n, GROUP), { status: 0 }],
    [record('H_READ', 0n, 1n << 60n), { status: -4, words: [] }],
  ];
  for (const [request, expected] of cases) {
    const { name } = HCALLS.find(({ opcode }) => opcode === request.opcode)!;
    test(`${name} answers ${expected.status}`, () => {
      const { guest, here } = openStage();
      const answer = here.execute(request)!;
      assert.deepEqual({ ...answer, ...expected }, answer);
      assert.equal(answer.tag, 7);
      checkTable(guest);
    });

    test(`a plain ${name} answers the same and does the same`, () => {
      const [one, other] = [openStage(), openStage()];
      const { tag: _own, ...answer } = one.here.execute(request)!;
      const plain = executePlain(other.here, request)!;
      assert.deepEqual(plain, answer);
      assert.deepEqual(seen(other.guest), seen(one.guest));
    });

    test(`a frame of one ${name} answers the same and does the same`, () => {
      const [one, other] = [openStage(), openStage()];
      assert.deepEqual(executeFrame(other.here, request), one.here.execute(request)!);
      assert.deepEqual(seen(other.guest), seen(one.guest));
    });
  }

  test('thousands of calls in a row', () => {
    const { guest, here } = openStage();
    for (let i = 0; i < 5000; i++) {
      assert.deepEqual(here.execute(enterFree())!.words, [GROUP + 7n]);
      assert.equal(executePlain(here, record('H_REMOVE', 0n, GROUP + 7n, 0n))!.status, 0);
    }
    checkTable(guest);
  });
});

test('nothing but short hcalls is executed', () => {
  const { guest, here } = openStage();
  const before = seen(guest);
  for (const { name, opcode, wordsMin } of HCALLS) {
    if (/^H_(ENTER|REMOVE|READ|PROTECT|CLEAR_REF|CLEAR_MOD)$/.test(name)) continue;
    const words = Array<bigint>(wordsMin).fill(0n);
    assert.equal(here.execute({ opcode, tag: 0, words }), undefined, name);
    assert.equal(executePlain(here, { opcode, tag: 0, words }), undefined, name);
    assert.equal(executeFrame(here, { opcode, tag: 0, words }), undefined, name);
  }
  assert.equal(here.execute(record('HOST_UNMAP', BigInt(FRAME) << 16n)), undefined);
  assert.equal(seen(guest), before);
});

test('a frame that is anything but one short hcall, whole and well formed, is left to a processor', () => {
  const { guest, here } = openStage();
  const before = seen(guest);
  const remove = record('H_REMOVE', 0n, GROUP + 1n, 0n);
  const frame = encodeRequests([remove]);
  const changed = (at: number, value: number) => frame.map((byte, i) => (i === at ? value : byte));
  for (const [name, other] of Object.entries({
    'two hcalls': encodeRequests([remove, remove]),
    nothing: frame.subarray(0, 0),
    'less than a header': frame.subarray(0, 7),
    'a header': frame.subarray(0, 8),
    'a word too few': frame.subarray(0, 24),
    'a word too few, as the header says': encodeRequests([record('H_REMOVE', 0n, GROUP + 1n)]),
    'a word too many': encodeRequests([record('H_REMOVE', 0n, GROUP + 1n, 0n, 0n)]),
    'a byte too many': Uint8Array.from([...frame, 0]),
    'another version': changed(3, 0x20),
    'an explanation is asked for': encodeRequests([{ ...remove, explain: true }]),
    'a control record': changed(1, 0x80),
  })) {
    assert.equal(isShort(other), false, name);
    assert.equal(here.executeFrame(other), undefined, name);
  }
  assert.equal(seen(guest), before);
  // None of it is remembered.
  assert.equal(isShort(frame), true);
  assert.equal(executeFrame(here, remove)!.status, 0);
});

interface Obstacle {
  readonly name: string;
  readonly request: RequestRecord;
  /** Puts it in the way, and gives how to take it out. */
  readonly put: (guest: TestGuest) => () => void;
}

const entryLocked = (ptex: bigint) => (guest: TestGuest) => {
  guest.entry(ptex)[0]! |= HVLOCK;
  return () => void (guest.entry(ptex)[0]! &= ~HVLOCK);
};
const chainLocked = (guest: TestGuest) => {
  rmapOf(guest, FRAME)[0]! |= RMAP_LOCK;
  return () => void (rmapOf(guest, FRAME)[0]! &= ~RMAP_LOCK);
};
const stored = (name: string, value: number) => (guest: TestGuest) => {
  word(guest, name)[0] = value;
  return () => void (word(guest, name)[0] = 0);
};

const OBSTACLES: readonly Obstacle[] = [
  ...['H_READ', 'H_REMOVE', 'H_PROTECT', 'H_CLEAR_REF', 'H_CLEAR_MOD'].map(
    (name): Obstacle => ({
      name: `${name}, whose entry is locked`,
      request: record(name, ...[0n, GROUP, 0n].slice(0, operationByName(name)!.wordsMin)),
      put: entryLocked(GROUP),
    }),
  ),
  {
    name: 'H_ENTER with H_EXACT, whose slot is locked',
    request: enterFree(GROUP + 7n, EXACT),
    put: entryLocked(GROUP + 7n),
  },
  {
    name: 'H_ENTER, which holds seven slots and waits for the eighth',
    request: enterFree(),
    put: entryLocked(GROUP + 7n),
  },
  { name: 'H_ENTER, whose chain is locked', request: enterFree(), put: chainLocked },
  {
    name: 'H_REMOVE, whose chain is locked',
    request: record('H_REMOVE', 0n, GROUP + 1n, 0n),
    put: chainLocked,
  },
  {
    name: 'H_CLEAR_REF, whose chain is locked',
    request: record('H_CLEAR_REF', 0n, GROUP),
    put: chainLocked,
  },
  { name: 'a closed gate', request: enterFree(), put: stored('GATE', 1) },
  { name: 'a recovery', request: enterFree(), put: stored('RECOVERY', 1) },
  { name: 'a pause', request: enterFree(), put: stored('PAUSED', 1) },
  { name: 'a recording without turns', request: enterFree(), put: stored('RECORDING', 1) },
  { name: 'a recording in turns', request: enterFree(), put: stored('RECORDING', 2) },
];

describe('what is in the way is not waited for', () => {
  for (const { name, request, put } of OBSTACLES) {
    test(name, () => {
      const { guest, here } = openStage();
      const takeAway = put(guest);
      const before = seen(guest);
      // Again and again: nothing adds up.
      for (let i = 0; i < 5; i++) {
        assert.equal(here.execute(request), undefined);
        assert.equal(executeFrame(here, request), undefined);
        assert.equal(seen(guest), before);
      }
      takeAway();
      checkTable(guest);
      assert.equal(here.execute(request)!.status, 0);
      checkTable(guest);
    });
  }
});

test('another processor goes on where the main thread stepped back', () => {
  const { guest, here } = openStage();
  const unlock = chainLocked(guest);
  assert.equal(here.execute(record('H_REMOVE', 0n, GROUP + 1n, 0n)), undefined);
  unlock();
  const { status, out } = guest.call('H_REMOVE', [0n, GROUP + 1n, 0n]);
  assert.deepEqual([status, out], [0, [(2n << 12n) | V, (BigInt(FRAME) << 16n) | RW]]);
  checkTable(guest);
});

test('a defect of the engine is not taken for a stop', () => {
  const { guest, here } = openStage();
  word(guest, 'TABLE_BASE')[0] = -16;
  assert.throws(() => here.execute(record('H_READ', 0n, 0n)), /memory access out of bounds/);
});
