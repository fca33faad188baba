/** Every rule of the engine has a sentence, and the sentences say what somebody would look for. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { RULES, explain } from '../../schemas/rules.ts';
import { STATUSES } from '../../schemas/statuses.ts';

const ENGINE = readFileSync(new URL('../../src/engine/rules.ts', import.meta.url), 'utf8');

/** `export const RULE_ANDCOND_HIT: u32 = 18; // dword 0 as locked, mask` */
function engineRules(): [number, string, number][] {
  const lines = ENGINE.matchAll(/^export const RULE_(\w+): u32 = (\d+);(?: \/\/ (.+))?$/gm);
  return [...lines].map(([, name, number, facts]) => [
    Number(number),
    name!,
    facts === undefined ? 0 : facts.split(', ').length,
  ]);
}

test('the sentences and the engine have the same rules, by number', () => {
  const engine = engineRules();
  assert.ok(engine.length > 40);
  assert.deepEqual(
    RULES.map(({ number, name }) => [number, name]),
    engine.map(([number, name]) => [number, name]),
  );
  RULES.forEach((rule, index) => assert.equal(rule.number, index));
});

test('each rule names as many details as the engine leaves', () => {
  for (const [number, name, facts] of engineRules()) {
    const expected = name === 'GROUP_FULL' ? 9 : facts;
    assert.equal(RULES[number]!.details.length, expected, name);
  }
});

test('every sentence is whole: a known status, no fact left in braces', () => {
  for (const { number, status, name } of RULES) {
    assert.ok(status === '' || Object.hasOwn(STATUSES, status), name);
    for (const fact of [0n, 1n, 3n, 12n, 0x190b8n, 0xffff_ffff_ffff_ffffn]) {
      const { text, rule } = explain([BigInt(number), ...Array.from({ length: 9 }, () => fact)]);
      assert.equal(rule, name);
      assert.doesNotMatch(text, /[{}]|undefined|NaN/, name);
      if (status !== '') assert.ok(text.startsWith(`${status} because `), text);
    }
  }
});

test('the answer says the status, and a rule of a later version is no error', () => {
  assert.match(explain([3n], 'H_NOT_AVAILABLE').text, /^H_NOT_AVAILABLE because the guest has no/);
  assert.deepEqual(explain([999n]).rule, 'RULE_999');
  assert.equal(explain([]).rule, 'NONE');
});

test('a full group: eight AVPNs, the bolted ones marked', () => {
  const avpns = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n].map((n) => (n << 7n) | 1n);
  avpns[2]! |= 0x10n;
  const { text, details } = explain([11n, 0x1a2n, ...avpns]);
  assert.match(text, /^H_PTEG_FULL because slots 0-7 of group 0x1a2 held AVPNs 0x80, 0x100, /);
  assert.match(text, /0x180 \(bolted\), 0x200, .* 0x400,/);
  assert.equal(details.group, '0x1a2');
  assert.equal(details.slot2, '0x191');
});

test('an AVPN that does not match: which field differs', () => {
  const differs = (entry: bigint, caller: bigint) => explain([17n, entry, caller]).text;
  assert.match(
    differs(0x400ea1b217000000n, 0x000ea1b217000000n),
    /B differs, 1 in the entry, 0 asked for$/,
  );
  assert.match(differs(0x400ea1b217000000n, 0x400ea1b217000080n), /the AVPN differs in bits 0x80$/);
  assert.match(differs(0x400ea1b217000000n, 0x400ea1b217000015n), /low seven bits are 0x15/);
  assert.match(
    differs(0x80n, 0xc000000000000101n),
    /B differs.*; the AVPN differs.*; the caller's low/,
  );
});

test('H_ANDCOND: the bits that hit, by name', () => {
  const hit = (dword0: bigint, mask: bigint) => explain([18n, dword0, mask]).text;
  assert.match(hit(0x400ea1b217000055n, 0x10n), /the mask 0x10 clear, .* has BOLTED \(0x10\) set$/);
  assert.match(
    hit(0x400ea1b217000055n, 0x51n),
    /HVLOCK \(0x40, always set while.*\), BOLTED.*, VALID/,
  );
  assert.match(hit(0x400ea1b217000055n, 0x4000000000000080n), /has B bits 0x4000000000000000 set$/);
  assert.match(hit(0x180n, 0x100n), /has AVPN bits 0x100 set$/);
});

test('an unknown page size: the field, and what is known', () => {
  const { text } = explain([6n, 4n, 0x35n]);
  assert.match(
    text,
    /^H_PARAMETER because the LP field 0x35 .* with L=1 is no page size; known are 4K/,
  );
  assert.match(
    text,
    /0x0 16M, 0x\?1 64K, 0x3 16G, 0x\?7 64K in a 4K segment, 0x8 16M in a 64K segment/,
  );
});

test('places, sizes and alternatives are spelled for people', () => {
  assert.match(
    explain([12n, 0xd13n, 0x191n]).text,
    /slot 3 of group 0x1a2 \(ptex 0xd13\), which holds AVPN 0x180 \(bolted\)/,
  );
  assert.match(explain([8n, 16n, 24n]).text, /the page has 16M, but .* pages of 64K$/);
  assert.match(explain([9n, 2n, 0x1000n]).text, /WIMG is --M- \(0010\)/);
  assert.match(explain([2n, 0x800en]).text, /^H_FUNCTION because WALK is a control operation/);
  assert.match(explain([39n, 20n, 0n]).text, /none was prepared$/);
  assert.match(explain([39n, 20n, 21n]).text, /the prepared one has order 21/);
  assert.match(
    explain([44n, 0n, 1n], 'H_SUCCESS').text,
    /1 entry was removed, and the table is done/,
  );
  assert.match(explain([19n, 8n, 0n]).text, /was ABSENT, so there was no translation/);
});
