/** What comes and goes in a soak: REST requests, guests that are made, resized and deleted, peers that behave badly. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { FLAGS } from '../../schemas/flags.ts';
import { operationByName } from '../../schemas/operations.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { STREAM_PROTOCOL } from '../../schemas/stream.ts';
import { hex } from '../../schemas/words.ts';
import { streamUrl } from '../../src/client/address.ts';
import { type Call, connect } from '../../src/client/index.ts';
import { expectEqual, HANG_MILLIS, inTime, type Soak } from './state.ts';

export const GUEST = { order: 18, ramBytes: 2 ** 24, backingPageBytes: 65536 };
/** Groups of a steady guest that REST has for itself. */
const REST_FIRST_PTEX = 2000 * 8;
const REST_PAUSE_MILLIS = 50;
const BATCH = 20;
const GUEST_PAUSE_MILLIS = 300;
const RAM_BYTES = 2 ** 28;
const [SMALL_ORDER, LARGE_ORDER] = [18, 20];
const BOLTED_ENTRIES = 64;
const GROUPS_APART = 16;
const BOLTED_VALID = 0x11n;
const PTEL = 0x12n;
const POLL_MILLIS = 5;
const READ_FRAME = 1000;
const SLOW_MILLIS = 1500;
const PEER_PAUSE_MILLIS = 400;
const LONG_BUSY_MIN = 9900;

/** An entry put in, seen, taken out; a batch; what a host does to a page, which no guest may notice. */
export async function restCaller(soak: Soak, guest: string): Promise<void> {
  const ptex = hex(BigInt(REST_FIRST_PTEX));
  const pteh = hex((0x1234n << 12n) | 1n);
  const ptel = hex(0x10000n | PTEL);
  const { rest } = soak;
  while (!soak.over) {
    const entered = await rest.call(guest, 'H_ENTER', { flags: ['H_EXACT'], ptex, pteh, ptel });
    expectEqual(
      'H_ENTER over REST',
      [entered['status'], entered['ptex']].join(' '),
      `H_SUCCESS ${ptex}`,
    );
    await rest.control(guest, 'HOST_UNMAP', { gpa: '0x10000' });
    await rest.control(guest, 'HOST_SET_PTE', { gpa: '0x10000', state: '0x3' });
    const calls = Array.from({ length: BATCH }, () => ({ hcall: 'H_READ', ptex }));
    const batch = await rest.send('POST', `/v1/guests/${guest}/hcalls`, { calls });
    for (const answer of (batch as { answers: Record<string, unknown>[] }).answers)
      expectEqual(
        'H_READ in a batch',
        [answer['status'], answer['pteh0']].join(' '),
        `H_SUCCESS ${pteh}`,
      );
    const removed = await rest.call(guest, 'H_REMOVE', { ptex, avpn: '0x0' });
    expectEqual(
      'H_REMOVE over REST',
      [removed['status'], removed['pteh']].join(' '),
      `H_SUCCESS ${pteh}`,
    );
    soak.done.requests += 5;
    await sleep(REST_PAUSE_MILLIS);
  }
}

/** Guests that grow and shrink: made, filled with bolted entries, resized there and back, deleted. */
export async function guestMaker(soak: Soak): Promise<void> {
  while (!soak.over) {
    const name = `grows-${randomUUID().slice(0, 8)}`;
    await soak.rest.createGuest(name, { ...GUEST, order: SMALL_ORDER, ramBytes: RAM_BYTES });
    await growAndShrink(soak, name);
    await soak.rest.deleteGuest(name);
    soak.done.guests++;
    await sleep(GUEST_PAUSE_MILLIS);
  }
}

async function growAndShrink(soak: Soak, guest: string): Promise<void> {
  const stream = await connect(soak.url).stream(guest, {
    silenceMillis: HANG_MILLIS,
    reconnect: false,
  });
  const call = async (call: Call): Promise<number> => {
    const [answer] = await inTime(`${call.hcall} of ${guest}`, stream.callMany([call]));
    soak.done.hcalls++;
    return answer.code;
  };
  for (let i = 0; i < BOLTED_ENTRIES; i++) {
    const ptex = BigInt(i * GROUPS_APART * 8);
    const status = await call({
      hcall: 'H_ENTER',
      ptex,
      pteh: (BigInt(i) << 12n) | BOLTED_VALID,
      ptel: PTEL,
    });
    expectEqual('H_ENTER of a bolted entry', status, 0);
  }
  for (const order of [LARGE_ORDER, SMALL_ORDER]) {
    const shift = BigInt(order);
    let status = await call({ hcall: 'H_RESIZE_HPT_PREPARE', shift });
    while (status >= LONG_BUSY_MIN) {
      await sleep(POLL_MILLIS);
      status = await call({ hcall: 'H_RESIZE_HPT_PREPARE', shift });
    }
    expectEqual('H_RESIZE_HPT_PREPARE', status, 0);
    expectEqual('H_RESIZE_HPT_COMMIT', await call({ hcall: 'H_RESIZE_HPT_COMMIT', shift }), 0);
    const table = await soak.rest.send('GET', `/v1/guests/${guest}/hpt/hash`);
    const { order: now, validEntries } = table as { order: number; validEntries: number };
    expectEqual('the order after a resize', now, order);
    expectEqual('the bolted entries after a resize', validEntries, BOLTED_ENTRIES);
    soak.done.resizes++;
  }
  await stream.close();
}

/** Asks for as much as credits allow, reads nothing for a while, then everything: it must all be there. */
export async function slowReader(soak: Soak, guest: string): Promise<void> {
  while (!soak.over) {
    const stream = await openPeer(soak, guest);
    let answered = 0;
    stream.on('message', (bytes: Buffer) => (answered += bytes.length));
    stream.pause();
    const { frame, answerBytes } = readFrame();
    const frames = Math.floor((512 * 1024) / (frame.length + 8));
    for (let i = 0; i < frames; i++) stream.send(frame);
    await sleep(SLOW_MILLIS);
    stream.resume();
    await inTime(
      'a slow reader: what it left unread',
      until(() => answered >= frames * answerBytes),
    );
    expectEqual('bytes that a slow reader got', answered, frames * answerBytes);
    soak.done.hcalls += frames * READ_FRAME;
    await closePeer(stream);
    soak.done.slowReaders++;
    await sleep(PEER_PAUSE_MILLIS);
  }
}

/** Sends and is gone: sometimes before it is read, sometimes in the middle of the answers. */
export async function vanishingPeer(soak: Soak, guest: string): Promise<void> {
  while (!soak.over) {
    const stream = await openPeer(soak, guest);
    const { frame } = readFrame();
    for (let i = 0; i < 8; i++) stream.send(frame);
    await sleep(soak.done.vanished % 20);
    stream.terminate();
    soak.done.vanished++;
    await sleep(PEER_PAUSE_MILLIS);
  }
}

async function openPeer(soak: Soak, guest: string): Promise<WebSocket> {
  const socket = new WebSocket(streamUrl(soak.url, guest), [STREAM_PROTOCOL], {
    perMessageDeflate: false,
  });
  const failed = once(socket, 'error').then(([error]) => Promise.reject(error as Error));
  failed.catch(() => {});
  await inTime(`the hello of ${guest}`, Promise.race([once(socket, 'message'), failed]));
  return socket;
}

async function closePeer(socket: WebSocket): Promise<void> {
  const closed = once(socket, 'close');
  socket.close(1000);
  await inTime('closing a stream', closed);
}

/** H_READ with H_READ_4 of a part of the table that nobody writes: much is answered to little. */
function readFrame(): { frame: Uint8Array; answerBytes: number } {
  const { opcode } = operationByName('H_READ')!;
  const record = { opcode, tag: 0, words: [FLAGS.H_READ_4, BigInt(REST_FIRST_PTEX + 64)] };
  const frame = encodeRequests(Array.from({ length: READ_FRAME }, () => record));
  return { frame, answerBytes: READ_FRAME * (8 + 8 * 8) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(POLL_MILLIS);
}
