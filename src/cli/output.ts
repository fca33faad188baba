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
