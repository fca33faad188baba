/** `hptd walk` against a daemon: each outcome in words, its bits, what a translation leaves in the entry, and JSON. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { connectRest } from '../../src/client/rest.ts';
import { serve } from '../../src/main.ts';
import { node } from '../end-to-end/child.ts';
import { ROOT } from '../end-to-end/fresh-tree.ts';

const FRONT_DOOR = 'src/cli/hptd.ts';
const daemon = await serve({ listen: '127.0.0.1:0', processors: 1, logLevel: 'silent' });
after(() => daemon.close());
const rest = connectRest(daemon.url);
await rest.createGuest('g', { order: 18, ramBytes: 2 ** 28 });

const SEGMENT = 0x400n;
const SLBV = `0x${(SEGMENT << 12n).toString(16)}`;
const MMIO_GPA = 2 ** 29;

/** Enters page `page` of the segment: a guest address and the low bits of dword 1. Gives its EA and ptex. */
async function enter(page: number, gpa: number, low: number) {
  const ptex = 8 * (Number(SEGMENT) ^ page);
  const ptel = `0x${(gpa + low).toString(16)}`;
  const { status } = await rest.call('g', 'H_ENTER', { ptex, pteh: '0x400001', ptel });
  assert.equal(status, 'H_SUCCESS');
  return { ea: `0x${(page * 4096).toString(16)}`, ptex: `0x${ptex.toString(16)}` };
}

const hptd = (...words: string[]) => node([FRONT_DOOR, ...words, '--url', daemon.url], ROOT);

async function walked(ea: string, ...words: string[]): Promise<string> {
  const { code, out, err } = await hptd('walk', 'g', ea, '--slbv', SLBV, ...words);
  assert.deepEqual([code, err], [0, '']);
  return out;
}

const ptel = async (ptex: string) => (await rest.call('g', 'H_READ', { ptex }))['ptel0'];

test('a translation says where to, and sets R; a store sets C too', async () => {
  const { ea, ptex } = await enter(1, 0x7000, 0x12);
  const load = await walked(`${ea.slice(0, -3)}123`);
  assert.equal(
    load,
    `load from 0x1123: translated
  guest address  0x7123
  ptex           ${ptex}, slot 0 of group 0x401
  page           4K, WIMG --M-
  Referenced set in the entry
`,
  );
  assert.equal(await ptel(ptex), '0x7112');
  assert.match(
    await walked(ea, '--store'),
    /^store to [^]*Referenced and Changed set in the entry/,
  );
  assert.equal(await ptel(ptex), '0x7192');
});

test('every fault by its name, with its bits and what it comes from', async () => {
  const readOnly = await enter(2, 0x8000, 0x13);
  const keyed = await enter(3, 0x9000, 0x212);
  const data = await enter(4, 0xa000, 0x16);
  const away = await enter(5, 0x100_0000, 0x12);
  const mmio = await enter(6, MMIO_GPA, 0x2a);
  await rest.control('g', 'HOST_UNMAP', { gpa: '0x1000000' });
  const KEY_1_LOADS = '0x1000000000000000';
  const faults: [given: string[], words: RegExp, bits: RegExp][] = [
    [['0x77000', '--store'], /^store to 0x77000: no-entry\n {2}DSISR [^]*H_ENTER/, /0x42000000/],
    [[readOnly.ea, '--store'], /: protection\n[^]*slot 0 of group 0x402[^]*PP bits/, /0xa000000/],
    [[keyed.ea, '--amr', KEY_1_LOADS], /: storage-key\n[^]*the AMR denies/, /DSISR .* 0x200000\n/],
    [[data.ea, '--fetch'], /^fetch from 0x4000: no-execute\n[^]*SRR1/, /0x10000000/],
    [[away.ea], /: entry-absent\n[^]*HOST_PAGE_FAULT/, /0x40000000/],
    [[mmio.ea], /: mmio\n[^]*no memory/, /0x40000000/],
  ];
  const outs = await Promise.all(faults.map(([[ea, ...words]]) => walked(ea!, ...words)));
  faults.forEach(([, says, bits], i) => {
    assert.match(outs[i]!, says);
    assert.match(outs[i]!, bits);
  });
  assert.match(await walked(readOnly.ea), /translated/);
  assert.match(await walked(keyed.ea, '--amr', '0x2000000000000000'), /translated/);
});

test('Kp counts in problem state, Ks otherwise', async () => {
  // PP 0 and a key of 1 in problem state: nothing is allowed there.
  const { ea } = await enter(7, 0xb000, 0x10);
  const keyed = ['walk', 'g', ea, '--slbv', `0x${((SEGMENT << 12n) | 0x400n).toString(16)}`];
  assert.match((await hptd(...keyed)).out, /translated/);
  assert.match((await hptd(...keyed, '--problem-state')).out, /protection/);
});

test('with --json it is what the daemon says', async () => {
  const { ea, ptex } = await enter(8, 0xc000, 0x12);
  const given = { ea, slbv: SLBV };
  const said = JSON.parse(await walked(ea, '--json')) as object;
  assert.deepEqual(said, await rest.send('POST', '/v1/guests/g/hpt/walk', given));
  assert.equal((said as { ptex: string }).ptex, ptex);
});

test('what is wrong with it is said before or by the daemon', async () => {
  const wrong: [words: string[], code: number, says: RegExp][] = [
    [['walk', 'g'], 64, /name a guest and an effective address/],
    [['walk', 'g', '0'], 64, /--slbv; see "hptd help walk"/],
    [['walk', 'g', 'zero', '--slbv', '1'], 64, /EA takes a word of 64 bits/],
    [['walk', 'g', '0', '--slbv', '0x1ffffffffffffffff'], 64, /--slbv takes a word/],
    [['walk', 'g', '0', '--slbv', '0', '--amr', '-1'], 64, /amr/],
    [['walk', 'g', '0', '--slbv', '0', '--store', '--fetch'], 64, /not both/],
    [['walk', 'g', '0', '--slbv', '0x10'], 65, /name no page size/],
    [['walk', 'nobody', '0', '--slbv', '0'], 65, /guest-not-found/],
  ];
  const outcomes = await Promise.all(wrong.map(([words]) => hptd(...words)));
  wrong.forEach(([, code, says], i) => {
    const outcome = outcomes[i]!;
    assert.equal(outcome.code, code, outcome.err);
    assert.match(outcome.err, says);
    assert.equal(outcome.out, '');
  });
});
