/** What a replay found, for people and as JSON. */
import { FLAGS } from '../../../schemas/flags.ts';
import { type Argument, operationByName } from '../../../schemas/operations.ts';
import { statusName } from '../../../schemas/statuses.ts';
import { hex } from '../../../schemas/words.ts';
import { differingFields, fieldsOf } from '../entry-fields.ts';
import { grouped, paint, table } from '../output.ts';
import type { Mismatch } from './compare.ts';
import type { Plan } from './plan.ts';
import type { ReplayResult } from './run.ts';

/** One line of `hptd replay --json`; its keys are a fixed interface. */
export interface FileReport {
  readonly file: string;
  readonly name: string;
  readonly hcalls: number;
  readonly events: number;
  readonly mismatches: number;
  readonly skipped: number;
  readonly tableMatches: boolean | null;
  readonly seconds: number;
  readonly hcallsPerSecond: number;
  readonly totalSeconds: number;
}

export function fileReport(
  file: string,
  plan: Plan,
  result: ReplayResult,
  totalSeconds: number,
): FileReport {
  return {
    file,
    name: plan.header.name,
    hcalls: plan.hcalls,
    events: plan.events,
    mismatches: result.mismatches,
    skipped: plan.skipped,
    tableMatches: result.tableMatches,
    seconds: rounded(result.seconds),
    hcallsPerSecond: Math.round(plan.hcalls / Math.max(result.seconds, 1e-6)),
    totalSeconds: rounded(totalSeconds),
  };
}

/** To the microsecond: what follows is noise. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}

export function matches(report: FileReport): boolean {
  return report.mismatches === 0 && report.tableMatches !== false;
}

export function reportTable(reports: readonly FileReport[]): string {
  const columns = [
    { title: 'trace' },
    { title: 'events', right: true },
    { title: 'hcalls', right: true },
    { title: 'mismatches', right: true },
    { title: 'skipped', right: true },
    { title: 'table' },
    { title: 'seconds', right: true },
    { title: 'hcalls/s', right: true },
  ];
  return table(
    columns,
    reports.map((report) => [
      report.name,
      grouped(report.events),
      grouped(report.hcalls),
      paint(report.mismatches === 0 ? 'green' : 'red', grouped(report.mismatches)),
      grouped(report.skipped),
      tableCell(report.tableMatches),
      report.seconds.toFixed(3),
      grouped(report.hcallsPerSecond),
    ]),
  );
}

function tableCell(tableMatches: boolean | null): string {
  if (tableMatches === null) return 'not recorded';
  return tableMatches ? paint('green', 'same') : paint('red', 'differs');
}

/** A mismatch decoded: the call, then one line for each thing that is not as recorded. */
export function describeMismatch(file: string, mismatch: Mismatch): string {
  const { line, op, args, expected, actual } = mismatch;
  const operation = operationByName(op);
  const given = args.map((word, i) => argumentText(operation?.arguments[i], word));
  const lines = [
    `${file} line ${line}: ${paint('bold', [op, ...given].join(' '), process.stderr)}`,
  ];
  if (expected.status !== actual.status) {
    lines.push(`  status ${statusName(actual.status)} instead of ${statusName(expected.status)}`);
  }
  if (expected.words.length !== actual.words.length) {
    lines.push(`  ${actual.words.length} result words instead of ${expected.words.length}`);
  }
  expected.words.forEach((word, i) => {
    const found = actual.words[i];
    if (word === null || found === undefined || found === word) return;
    lines.push(`  ${wordText(operation?.results[i] ?? `word ${i}`, word, found)}`);
  });
  return lines.join('\n');
}

function argumentText(argument: Argument | undefined, word: bigint): string {
  if (argument === undefined) return hex(word);
  return `${argument.name}=${argument.kind === 'flags' ? flagsText(word) : hex(word)}`;
}

/** The flags by name, and what no flag accounts for as a word. */
function flagsText(word: bigint): string {
  const names: string[] = [];
  let rest = word;
  for (const [name, bits] of Object.entries(FLAGS)) {
    if ((rest & bits) !== bits) continue;
    names.push(name);
    rest &= ~bits;
  }
  if (rest !== 0n || names.length === 0) names.push(hex(rest));
  return names.join(',');
}

function wordText(name: string, expected: bigint, actual: bigint): string {
  const fields = fieldsOf(name);
  const detail = fields === undefined ? '' : `: ${differingFields(fields, expected, actual)}`;
  return `${name} ${hex(actual)} instead of ${hex(expected)}${detail}`;
}
