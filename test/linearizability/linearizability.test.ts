/**
 * Histories of hcalls on real threads are linearizable: for the answers of all calls there is an order, one at a time
 * and each between its call's beginning and end, in which the reference model gives the same.
 *
 * HPTD_OPERATIONS: how many calls (two million). HPTD_SEED fixes the worlds, what every thread calls, and where a
 * stumbling thread stumbles; how threads meet it cannot fix, so a seed may have to be tried more than once. A history
 * that fails is saved; HPTD_HISTORY=FILE checks it again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { OPERATIONS } from '../../schemas/operations.ts';
import { CONTROL_BIT } from '../../schemas/records.ts';
import { firstImpossible, openSearch } from './checker.ts';
import { historyOf } from './history.ts';
import type { History } from './history.ts';
import { closeRecorder, openRecorder, record } from './recorder.ts';
import { load, save, shrunkText } from './report.ts';
import { shrink } from './shrink.ts';
import { makeWorld } from './worlds.ts';
import type { World } from './worlds.ts';

const CALLS = Number(process.env.HPTD_OPERATIONS ?? 2_000_000);
/** Worlds of every kind, with and without stumbling, so often. */
const WORLDS = 16;
const ROUND_CALLS = 12_000;

interface Totals {
  calls: number;
  met: number;
  checkMicros: number;
  readonly names: Map<string, number>;
}

function count(totals: Totals, history: History, met: number): void {
  totals.calls += history.thread.length;
  totals.met += met;
  for (const request of history.request) {
    const { name } = history.requests[request]!;
    totals.names.set(name, (totals.names.get(name) ?? 0) + 1);
  }
}

/** Calls of each thread, round by round. */
function roundsOf(calls: number, threads: number): number[] {
  const rounds = Math.ceil(calls / ROUND_CALLS);
  return Array.from({ length: rounds }, () => Math.ceil(calls / rounds / threads));
}

async function checkWorld(seed: number, calls: number, totals: Totals): Promise<void> {
  const world = makeWorld(seed);
  const recorder = openRecorder(world, seed);
  try {
    const lengths = roundsOf(calls, world.threads);
    const begin = (round: number) => record(recorder, seed * 4096 + round, lengths[round]!);
    let recorded = await begin(0);
    for (let round = 1; round <= lengths.length; round++) {
      const history = await recorded();
      // The next round is performed while this one is checked.
      if (round < lengths.length) recorded = await begin(round);
      const from = process.threadCpuUsage();
      const search = openSearch(history, world);
      const impossible = firstImpossible(search);
      const { user, system } = process.threadCpuUsage(from);
      totals.checkMicros += user + system;
      if (impossible !== undefined) await complain(seed, world, history, impossible);
      count(totals, history, search.met);
    }
  } finally {
    await closeRecorder(recorder);
  }
}

async function complain(
  seed: number,
  world: World,
  history: History,
  impossible: number,
): Promise<never> {
  const file = await save(seed, history);
  assert.fail(
    [
      `HPTD_SEED=${seed}: ${world.text}: a history of ${history.thread.length} calls is not linearizable.`,
      shrunkText(shrink(history, world, impossible)),
      `The whole history is in ${file}; HPTD_HISTORY=${file} checks it again.`,
    ].join('\n'),
  );
}

async function checkSaved(file: string, context: TestContext): Promise<void> {
  const { seed, rows } = await load(file);
  const world = makeWorld(seed);
  const reads = world.universe.ptexes.map((ptex) => ({ name: 'H_READ', args: [0n, BigInt(ptex)] }));
  const history = historyOf([...world.requests, ...reads], rows);
  context.diagnostic(`${rows.length} calls, ${world.text}`);
  const impossible = firstImpossible(openSearch(history, world));
  if (impossible === undefined) return;
  assert.fail(shrunkText(shrink(history, world, impossible)));
}

test('histories of real threads are linearizable', { timeout: 12 * 3600_000 }, async (context) => {
  if (process.env.HPTD_HISTORY !== undefined) return checkSaved(process.env.HPTD_HISTORY, context);
  const given = process.env.HPTD_SEED;
  const seed = Number(given ?? Math.floor(Math.random() * 2 ** 20) * WORLDS);
  context.diagnostic(`HPTD_SEED=${seed} HPTD_OPERATIONS=${CALLS}`);
  const totals: Totals = { calls: 0, met: 0, checkMicros: 0, names: new Map() };
  const from = performance.now();
  const callsOfWorld = Math.ceil(CALLS / WORLDS);
  for (let i = 0; totals.calls < CALLS; i++) await checkWorld(seed + i, callsOfWorld, totals);
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  context.diagnostic(
    `${totals.calls} calls in ${seconds} s (checking: ${(totals.checkMicros / 1e6).toFixed(1)} s of one core), ` +
      `${((totals.met / totals.calls) * 100).toFixed(0)} of 100 met another on their slot`,
  );
  const names = [...totals.names].sort(([, a], [, b]) => b - a);
  context.diagnostic(names.map(([name, calls]) => `${name} ${calls}`).join(', '));
  if (CALLS < 1_000_000) return;
  const hcalls = OPERATIONS.filter(({ opcode }) => (opcode & CONTROL_BIT) === 0);
  const missing = hcalls.filter(({ name }) => !totals.names.has(name));
  assert.deepEqual(missing, [], 'hcalls that never came up');
});
