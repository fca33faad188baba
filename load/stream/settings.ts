/** The stream profile's command line, and the rows that its modes give. */
import { availableParallelism } from 'node:os';
import { unknownWord } from '../../src/cli/suggest.ts';
import { UsageError, numberWithin, parseOptions, wholeNumber, wholeNumbers } from '../profile.ts';

export const MODES = ['closed', 'round-trip', 'open', 'fairness'] as const;
export type Mode = (typeof MODES)[number];

/** The longest frame holds 6,553 H_ENTERs. */
const BATCH_MAX = 4096;
/** A guest has 128 streams; REST keeps one of each processor. */
const CONNECTIONS_MAX = 64;
const RATE_MAX = 100_000_000;

export interface Options {
  readonly modes: readonly Mode[];
  readonly batches: readonly number[];
  readonly connections: readonly number[];
  readonly order: number;
  readonly processors: number;
  readonly window: number;
  readonly rates: readonly number[];
  readonly openBatch: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly within: number;
}

export const HELP = `Sends hcalls over binary streams to a daemon in a process of its own and checks every byte of the answers; in turns
with a bare ws server that sends the same frames back, and with the engine alone.

  --modes NAMES       of closed, round-trip, open, fairness, with commas between (all)
  --batches LIST      hcalls in a frame, 1 to ${BATCH_MAX} (1,8,64,512,1600,4096)
  --connections LIST  streams at the same time, 1 to ${CONNECTIONS_MAX} (1,4,64)
  --window N          frames that a connection keeps in flight in closed loop, as credits allow (16)
  --rate LIST         hcalls a second of all connections together in open loop (10000,50000,200000,1000000)
  --open-batch N      hcalls in a frame in open loop (64)
  --order N           log2 of the table's bytes, 18 to 30 (24)
  --processors N      of the daemon (as many as there are cores)
  --seconds S         of each measurement (0.25)
  --rounds N          measurements of each figure; their median is told (3)
  --within S          begin no further round after so many seconds, on a busy machine (60)
  --json              one JSON object instead of the tables

Latencies are microseconds; in open loop from the instant at which a frame should have been sent.`;

export function readOptions(words: readonly string[]): { options: Options; json: boolean } {
  const given = parseOptions(words, {
    modes: { type: 'string', default: MODES.join(',') },
    batches: { type: 'string', default: '1,8,64,512,1600,4096' },
    connections: { type: 'string', default: '1,4,64' },
    window: { type: 'string', default: '16' },
    rate: { type: 'string', default: '10000,50000,200000,1000000' },
    'open-batch': { type: 'string', default: '64' },
    order: { type: 'string', default: '24' },
    processors: { type: 'string', default: `${availableParallelism()}` },
    seconds: { type: 'string', default: '0.25' },
    rounds: { type: 'string', default: '3' },
    within: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  });
  return {
    json: given.json,
    options: {
      modes: given.modes.split(',').map(knownMode),
      batches: wholeNumbers('--batches', given.batches, 1, BATCH_MAX),
      connections: wholeNumbers('--connections', given.connections, 1, CONNECTIONS_MAX),
      window: wholeNumber('--window', given.window, 1, 4096),
      rates: wholeNumbers('--rate', given.rate, 1, RATE_MAX),
      openBatch: wholeNumber('--open-batch', given['open-batch'], 1, BATCH_MAX),
      order: wholeNumber('--order', given.order, 18, 30),
      processors: wholeNumber('--processors', given.processors, 1, 64),
      seconds: numberWithin('--seconds', given.seconds, 0.01, 60),
      rounds: wholeNumber('--rounds', given.rounds, 1, 1000),
      within: numberWithin('--within', given.within, 1, 86_400),
    },
  };
}

function knownMode(name: string): Mode {
  const mode = MODES.find((one) => one === name);
  if (mode === undefined) throw new UsageError(unknownWord('mode', name, [...MODES]));
  return mode;
}
