/**
 * The model of the locking protocol (docs/protocol), searched by spin: nothing to be found in the protocol as it is,
 * each mistake found, and the drawings of how it is found as they are committed.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMAND, COUNTEREXAMPLES, document, type Found } from './counterexamples.ts';
import { freeSlots, readStep, stepsOfFullCall } from './drawing.ts';
import { type Finding, MODEL, missingTools, spinVersion, verify } from './spin.ts';
import { BROKEN, SOUND, type Variant } from './variants.ts';

const ENGINE = fileURLToPath(new URL('../../src/engine/', import.meta.url));
/** All together. They take ten seconds of two cores, but a machine may be busy. */
const SEARCH_MILLIS = 240_000;

const skip = (await missingTools()) ?? false;

/** Each variant is searched once; the drawings use what the tests found. */
const findings = new Map<Variant, Promise<Finding>>();
function search(variant: Variant): Promise<Finding> {
  const finding = findings.get(variant) ?? verify(variant);
  findings.set(variant, finding);
  return finding;
}

describe('the protocol', { skip, timeout: SEARCH_MILLIS, concurrency: 2 }, () => {
  for (const variant of SOUND) {
    test(variant.name, async (t) => {
      const { errors, states, seconds, report } = await search(variant);
      assert.equal(errors, 0, report);
      assert.doesNotMatch(report, /max search depth too small|out of memory/);
      t.diagnostic(`${states} states, ${seconds.toFixed(1)} s`);
      if (variant.processes.includes('H_ENTER')) {
        assert.doesNotMatch(unreachedBy('enterer', report), /wasFull/, 'never answers H_PTEG_FULL');
      }
    });
  }

  for (const variant of BROKEN) {
    test(variant.name, async (t) => {
      const { errors, states, seconds, report, steps } = await search(variant);
      assert.ok(errors >= 1, report);
      assert.match(report, variant.error!);
      assert.ok(steps.length > 0, 'spin left no trail');
      t.diagnostic(`${states} states, ${seconds.toFixed(1)} s, ${steps.length} steps`);
    });
  }

  for (const variant of BROKEN.filter(({ error }) => error?.source.includes('wasFull'))) {
    test(`in the counterexample a slot is free at every instant: ${variant.name}`, async () => {
      const steps = stepsOfFullCall((await search(variant)).steps.map(readStep));
      assert.ok(steps.length > 3);
      for (const step of steps) assert.notDeepEqual(freeSlots(step), [], JSON.stringify(step));
    });
  }

  test('the drawings are those of these counterexamples', async (t) => {
    const committed = readFileSync(COUNTEREXAMPLES, 'utf8');
    const version = await spinVersion();
    if (!committed.includes(`spin ${version};`)) {
      t.skip(`drawn with another version of spin than ${version}, which may go another way`);
      return;
    }
    const found: Found[] = [];
    for (const variant of BROKEN) found.push({ variant, finding: await search(variant) });
    assert.equal(committed, document(found, version), `to draw them anew: ${COMMAND}`);
  });
});

/** What spin says that a kind of process never came to. */
function unreachedBy(kind: string, report: string): string {
  const [, section] = report.split(`unreached in proctype ${kind}\n`);
  assert.ok(section !== undefined, `no process is called ${kind}`);
  return section.split('unreached in')[0]!;
}

test('every part of the model is named after a function of the file it stands under', () => {
  const [, ...sections] = readFileSync(MODEL, 'utf8').split('\n/* ---- ');
  let compared = 0;
  for (const section of sections) {
    const file = /^([\w/-]+\.ts)\b/.exec(section)?.[1];
    if (file === undefined) continue;
    assert.ok(existsSync(ENGINE + file), `src/engine/${file} is gone: name its heir in the model`);
    const source = readFileSync(ENGINE + file, 'utf8');
    for (const [, name] of section.matchAll(/^inline (\w+)\(/gm)) {
      assert.ok(source.includes(`function ${name}(`), `src/engine/${file} has no ${name}()`);
      compared++;
    }
  }
  assert.ok(compared > 10, 'no section of the model names a file');
});
