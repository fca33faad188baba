/** docs/protocol/counterexamples.md: the mistakes, each with the shortest way into it that spin finds. */
import { join } from 'node:path';
import { draw } from './drawing.ts';
import { type Finding, PROTOCOL } from './spin.ts';
import type { Variant } from './variants.ts';

export const COUNTEREXAMPLES = join(PROTOCOL, 'counterexamples.md');
export const COMMAND = 'node test/protocol/draw.ts';

export interface Found {
  readonly variant: Variant;
  readonly finding: Finding;
}

export function document(found: readonly Found[], version: string): string {
  return [
    '# What goes wrong with one mistake in the protocol',
    '',
    `Drawn by \`${COMMAND}\` from the trails of spin ${version}; not to be edited. The model and how to read it:`,
    '[README.md](README.md).',
    '',
    'Time runs down; each line shows the table after its step. `[V ]` is a slot with a VALID entry, `[A ]` with an ABSENT',
    'one, `[- ]` without any; a small letter in it is the process that has its lock, in `( )` the one that has the chain',
    'lock. At the end: the slots that hold no entry or, where the host takes part, whether its page is there.',
    ...found.flatMap(section),
    '',
  ].join('\n');
}

function section({ variant, finding }: Found): string[] {
  const flags = variant.flags.map((flag) => `-D${flag}`).join(' ');
  return [
    '',
    `## ${variant.name[0]!.toUpperCase()}${variant.name.slice(1)}`,
    '',
    `\`${flags}\``,
    '',
    wrapped(variant.conclusion ?? ''),
    '',
    '```text',
    draw(finding.steps, variant.processes),
    '```',
  ];
}

function wrapped(text: string): string {
  return text.replaceAll(/(.{1,118})(?: |$)/g, '$1\n').trimEnd();
}
