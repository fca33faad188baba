/** Web pages: a page that the user of this machine has open must not reach his daemon, under no name. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect } from '../transports/stream-daemon.ts';
import { assertProblem, json, startVictim, type Victim } from './victim.ts';

let victim: Victim;
before(async () => {
  victim = await startVictim({
    allowedOrigins: 'https://app.example',
    allowedHosts: 'hptd.example',
  });
});
after(() => victim?.end());

const FOREIGN = [
  'http://evil.example',
  'null',
  'http://127.0.0.1:1',
  'http://localhost',
  'https://app.example:1',
];

test('a request of a foreign page is refused before it does anything', async () => {
  for (const origin of FOREIGN) {
    const made = await victim.ask('/v1/guests/made', {
      ...json({ order: 18 }),
      method: 'PUT',
      headers: { origin, 'content-type': 'application/json' },
    });
    assertProblem(made, 403, 'origin-forbidden');
    assertProblem(await victim.ask('/healthz', { headers: { origin } }), 403, 'origin-forbidden');
  }
  assert.equal((await victim.ask('/v1/guests/made')).status, 404);
  await victim.unharmed();
});

test('an image, a script or a form of a foreign page, which has no Origin, is refused too', async () => {
  for (const site of ['cross-site', 'same-site']) {
    const headers = { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' };
    assertProblem(await victim.ask('/v1/guests', { headers }), 403, 'origin-forbidden');
    const form = { method: 'POST', headers: { ...headers, 'sec-fetch-mode': 'navigate' } };
    assertProblem(await victim.ask('/v1/guests/g/hcalls/H_READ', form), 403, 'origin-forbidden');
  }
  const typed = { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' };
  assert.equal((await victim.ask('/v1/guests', { headers: typed })).status, 200);
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
  assert.equal((await victim.ask('/', { headers: link })).status, 200);
});

test('a name that somebody else made lead here is refused', async () => {
  for (const host of [
    'evil.example',
    `evil.example:${victim.port}`,
    '127.0.0.1.evil.example',
    'localhost.evil.example',
  ]) {
    const answer = await victim.ask('/v1/guests', { headers: { host } });
    assertProblem(answer, 421, 'host-unknown');
  }
  for (const host of [
    'localhost',
    `LOCALHOST:${victim.port}`,
    '[::1]:80',
    '127.0.0.1',
    'hptd.example:1',
  ])
    assert.equal((await victim.ask('/v1/guests', { headers: { host } })).status, 200, host);
  await victim.unharmed();
});

test("the daemon's own pages and allowed ones may, and browsers are told so", async () => {
  const own = await victim.ask('/v1/guests', { headers: { origin: victim.url } });
  assert.deepEqual([own.status, own.headers['access-control-allow-origin']], [200, undefined]);
  const origin = 'https://app.example';
  const allowed = await victim.ask('/v1/guests', { headers: { origin } });
  assert.deepEqual([allowed.status, allowed.headers['access-control-allow-origin']], [200, origin]);
  const preflight = { 'access-control-request-method': 'PUT' };
  const asked = await victim.ask('/v1/guests/x', {
    method: 'OPTIONS',
    headers: { origin, ...preflight },
  });
  assert.equal(asked.status, 204);
  assert.match(String(asked.headers['access-control-allow-headers']), /authorization/);
  const foreign = { origin: FOREIGN[0]!, ...preflight };
  assertProblem(
    await victim.ask('/v1/guests/x', { method: 'OPTIONS', headers: foreign }),
    403,
    'origin-forbidden',
  );
});

test('the stream of a foreign page is refused before the upgrade', async () => {
  const open = (headers: Record<string, string>): Promise<number> =>
    connect(victim.streamUrl('g'), 'hptd.v1', { headers }).then(
      ({ socket }) => {
        socket.terminate();
        return 101;
      },
      ({ statusCode }: { statusCode: number }) => statusCode,
    );
  for (const origin of FOREIGN) assert.equal(await open({ origin }), 403, origin);
  assert.equal(await open({ host: 'evil.example' }), 421);
  assert.equal(await open({ origin: 'https://app.example' }), 101);
  assert.equal(await open({ origin: victim.url }), 101);
  await victim.unharmed();
});
