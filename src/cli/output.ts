/** What people see: plain tables and colours, the latter only on a terminal that wants them (NO_COLOR). */
import { stripVTControlCharacters, styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** `stream` decides: a terminal gets colour, a file or NO_COLOR does not. */
export function paint(
  format: Format,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return styleText(format, text, { stream, validateStream: true });
}

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Columns as wide as their widest cell; numbers to the right. Cells may carry colour. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, i) =>
    Math.max(
      column.title.length,
      ...rows.map((row) => stripVTControlCharacters(row[i] ?? '').length),
    ),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, i) => pad(cells[i] ?? '', widths[i]!, column.right === true))
      .join('  ')
      .trimEnd();
  return [paint('bold', line(columns.map((column) => column.title))), ...rows.map(line)].join('\n');
}

/** Text in lines that fit a terminal, each behind `indent`. */
export function wrapped(text: string, indent: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > LINE_CHARACTERS)
      lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

const LINE_CHARACTERS = 110;

function pad(cell: string, width: number, right: boolean): string {
  const space = ' '.repeat(width - stripVTControlCharacters(cell).length);
  return right ? space + cell : cell + space;
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** 1234567 as "1,234,567". */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
