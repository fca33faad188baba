/** A quota of table bytes holds after a guest's creation too: whoever asks for a larger table, and by whatever way. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { guestConfig, tableBytesMost } from '../../schemas/guests.ts';
import { operationByName } from '../../schemas/operations.ts';
import { encodeRequests } from '../../schemas/records.ts';
import { STATUSES } from '../../schemas/statuses.ts';
import { connectRest } from '../../src/client/rest.ts';
import { serve, type Daemon } from '../../src/main.ts';
import { connect } from '../transports/stream-daemon.ts';

const MIB = 2 ** 20;
/** Its hcalls may make a table of order 20 of the one of order 18. */
const CONFIG = { order: 18, ramBytes: 2 ** 26 };
const ROOM = tableBytesMost(guestConfig.parse(CONFIG));
const ENOMEM = '0xfffffffffffffff4';

let daemon: Daemon;
let rest: ReturnType<typeof connectRest>;
before(async () => {
  daemon = await serve({
    listen: '127.0.0.1:0',
    processors: 1,
    logLevel: 'silent',
    tableBytesPerClientMax: 2 * ROOM,
  });
  rest = connectRest(daemon.url);
});
after(() => daemon.close());

async function openGuest(name: string): Promise<void> {
  await rest.createGuest(name, CONFIG);
  await rest.call(name, 'H_ENTER', { ptex: 8, pteh: '0x1', ptel: '0x190' });
}
const hashOf = (name: string) => rest.send('GET', `/v1/guests/${name}/hpt/hash`);

test('what a guest counts with is the largest table of its own and one beside it', () => {
  assert.equal(ROOM, 4 * 2 ** 20);
  const of = (config: object): number => tableBytesMost(guestConfig.parse(config));
  assert.equal(of({ order: 24 }), 64 * MIB);
  assert.equal(of({ order: 18, ramBytes: 2 ** 36 }), 4 * 2 ** 30);
  assert.equal(of({ order: 0, memslots: [{ base: '0x0', bytes: 2 ** 31 }] }), 4 * 2 ** 25);
});

test('the host gets no larger table over REST or a stream, and the old one stays as it is', async () => {
  await openGuest('g');
  const table = await hashOf('g');
  assert.equal((await rest.control('g', 'HPT_RESET', { order: 22 }))['status'], 'H_NO_MEM');
  assert.equal((await rest.control('g', 'HPT_RESIZE', { order: 21 }))['result'], ENOMEM);
  const stream = await connect(`${daemon.url.replace('http', 'ws')}/v1/guests/g/stream?role=host`);
  const record = (name: string, order: bigint, tag: number) => ({
    opcode: operationByName(name)!.opcode,
    tag,
    words: [order],
  });
  stream.socket.send(encodeRequests([record('HPT_RESET', 30n, 1), record('HPT_RESIZE', 30n, 2)]));
  const [reset, resize] = await stream.answers(2);
  assert.equal(reset!.status, STATUSES.H_NO_MEM);
  assert.deepEqual(resize!.words, [BigInt(ENOMEM)]);
  stream.socket.terminate();
  assert.deepEqual(await hashOf('g'), table);
});

test('what it counts with it may have: a resize by hcall, and tables one after the other', async () => {
  await openGuest('h');
  await assert.rejects(rest.createGuest('third', CONFIG), { code: 'client-guest-limit' });
  const prepare = (shift: number) => rest.call('h', 'H_RESIZE_HPT_PREPARE', { shift });
  assert.equal((await prepare(21))['status'], 'H_RESOURCE');
  for (const shift of [20, 19, 20, 18, 20]) {
    let status: unknown;
    do status = (await prepare(shift))['status'];
    while (status === 'H_LONG_BUSY_ORDER_100_MSEC');
    assert.equal(status, 'H_SUCCESS');
    const done = await rest.call('h', 'H_RESIZE_HPT_COMMIT', { shift });
    assert.equal(done['status'], 'H_SUCCESS');
  }
  assert.equal((await rest.control('h', 'HPT_RESET', { order: 20 }))['status'], 'H_SUCCESS');
  const statistics = await rest.send('GET', '/v1/guests/h/hpt/statistics');
  assert.equal((statistics as { order: number }).order, 20);
});

test('memory that is added later makes no larger table', async () => {
  const slot = { base: '0x100000000', bytes: 2 ** 34 };
  await rest.send('PUT', '/v1/guests/h/memslots/1', slot);
  await assert.rejects(rest.send('POST', '/v1/guests/h/hpt/resize', { order: 21 }), {
    code: 'resize-refused',
  });
  assert.equal((await rest.control('h', 'HPT_RESET', { order: 22 }))['status'], 'H_NO_MEM');
});
