/** What the stream profile tells: a row of JSON for each setting, and tables of them for people. */
import { grouped, table } from '../../src/cli/output.ts';
import type { FairnessRow } from './fairness.ts';

export interface StreamResult {
  readonly mode: 'closed' | 'round-trip' | 'open';
  readonly batch: number;
  readonly connections: number;
  readonly window: number | null;
  readonly rate: number | null;
  readonly hcallsPerSecond: number;
  readonly spread: number;
  readonly ratioToEngine: number;
  readonly echoHcallsPerSecond: number;
  readonly echoSpread: number;
  readonly ratioToEcho: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly echoP50: number;
  readonly echoP99: number;
  readonly p50RatioToEcho: number;
  readonly p50Spread: number;
  readonly serverCpuMicrosPerHcall: number;
  readonly clientCpuMicrosPerHcall: number;
  readonly echoServerCpuMicrosPerHcall: number;
}

export function report(results: readonly StreamResult[], fairness: readonly FairnessRow[]): string {
  const tables: string[] = [];
  if (results.length > 0) tables.push(throughputTable(results), latencyTable(results));
  if (fairness.length > 0) tables.push(fairnessTable(fairness));
  return tables.join('\n\n');
}

function label({ mode, rate }: StreamResult): string {
  return rate === null ? mode : `${mode} at ${grouped(rate)}`;
}

function throughputTable(results: readonly StreamResult[]): string {
  const columns = [
    'batch',
    'connections',
    'hcalls/s',
    'spread',
    'to engine',
    'echo hcalls/s',
  ].concat(['to echo', 'server us/hcall', 'client us/hcall']);
  const rows = results.map((row) => [
    label(row),
    `${row.batch}`,
    `${row.connections}`,
    grouped(row.hcallsPerSecond),
    row.spread.toFixed(2),
    row.ratioToEngine.toFixed(3),
    grouped(row.echoHcallsPerSecond),
    row.ratioToEcho.toFixed(2),
    row.serverCpuMicrosPerHcall.toFixed(3),
    row.clientCpuMicrosPerHcall.toFixed(3),
  ]);
  return table([{ title: 'mode' }, ...columns.map((title) => ({ title, right: true }))], rows);
}

function latencyTable(results: readonly StreamResult[]): string {
  const columns = ['batch', 'connections', 'p50 us', 'p99', 'p99.9', 'echo p50', 'echo p99'].concat(
    ['p50 to echo', 'spread of p50'],
  );
  const rows = results.map((row) => [
    label(row),
    `${row.batch}`,
    `${row.connections}`,
    ...[row.p50, row.p99, row.p999, row.echoP50, row.echoP99].map((micros) => micros.toFixed(1)),
    row.p50RatioToEcho.toFixed(2),
    row.p50Spread.toFixed(2),
  ]);
  return table([{ title: 'mode' }, ...columns.map((title) => ({ title, right: true }))], rows);
}

function fairnessTable(rows: readonly FairnessRow[]): string {
  const columns = [
    { title: 'server' },
    { title: 'one hcall at a time, beside' },
    ...['p50 us', 'p99', 'p99.9', 'hcalls/s', 'others, hcalls/s', 'daemon grew by MiB'].map(
      (title) => ({ title, right: true }),
    ),
  ];
  const cells = rows.map((row) => [
    row.server,
    row.beside,
    ...[row.p50, row.p99, row.p999].map((micros) => micros.toFixed(1)),
    grouped(row.hcallsPerSecond),
    row.othersHcallsPerSecond === null ? '-' : grouped(row.othersHcallsPerSecond),
    row.grownMebibytes === null ? '-' : row.grownMebibytes.toFixed(1),
  ]);
  return table(columns, cells);
}
