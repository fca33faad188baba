/** What `hptd help COMMAND` prints: the command's help, set as a manual page is. Pure but for the terminal's colours. */
import type { Command } from './command.ts';
import { EXIT, EXIT_MEANINGS } from './errors.ts';
import { paint } from './output.ts';

const INDENT = '    ';

/** Of every command whose help says nothing else about it. */
const USUAL_EXITS = ['ok', 'usage', 'data', 'unavailable', 'internal', 'permission'] as const;

/** A command's help by its paragraphs: options begin with `--`, examples with `hptd`, each two spaces in. */
export interface Sections {
  readonly description: readonly string[];
  readonly options: readonly string[];
  readonly examples: readonly string[];
  /** What it says of its exit codes; undefined: the usual. */
  readonly exits: string | undefined;
}

export function sectionsOf(command: Command): Sections {
  const paragraphs = command.help().split(/\n{2,}/);
  const isOption = (text: string): boolean => /^ {2}--/.test(text);
  const isExample = (text: string): boolean =>
    text.split('\n').every((line) => /^ {2}hptd /.test(line));
  const isExit = (text: string): boolean => /^Exit codes?:/.test(text);
  return {
    description: paragraphs.filter((text) => !isOption(text) && !isExample(text) && !isExit(text)),
    options: paragraphs.filter(isOption),
    examples: paragraphs.filter(isExample),
    exits: paragraphs.find(isExit),
  };
}

export function manualPage(command: Command): string {
  const { description, options, examples, exits } = sectionsOf(command);
  return [
    section('NAME', [`hptd ${command.name} - ${command.summary}`]),
    section('SYNOPSIS', [`hptd ${command.usage}`]),
    section('DESCRIPTION', description),
    section('OPTIONS', options.map(moved)),
    section('EXIT STATUS', [
      exits === undefined ? usualExits() : exits.replace(/^Exit codes?: /, ''),
    ]),
    section('EXAMPLES', examples.map(moved)),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

/** Two spaces to the left: the section has its own indent. */
function moved(text: string): string {
  return text.replaceAll(/^ {2}/gm, '');
}

function section(title: string, paragraphs: readonly string[]): string {
  if (paragraphs.length === 0) return '';
  const text = paragraphs.join('\n\n').replaceAll(/^(?=.)/gm, INDENT);
  return `${paint('bold', title)}\n${text}`;
}

function usualExits(): string {
  return USUAL_EXITS.map((name) => `${String(EXIT[name]).padEnd(4)}${EXIT_MEANINGS[name]}`).join(
    '\n',
  );
}
