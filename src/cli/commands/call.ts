/** `hptd call`: one hcall, or one control operation of the host, by name. Checked here before anything is sent. */
import { parseCall } from '../../../schemas/calls.ts';
import { HCALLS, type Operation, OPERATIONS } from '../../../schemas/operations.ts';
import { ProblemError } from '../../../schemas/problems.ts';
import type { Explanation } from '../../../schemas/rules.ts';
import type { Json } from '../../client/rest.ts';
import {
  assignments,
  type Command,
  DAEMON_OPTIONS,
  DAEMON_OPTIONS_HELP,
  daemonOf,
  parseWords,
} from '../command.ts';
import { EXIT, usageError } from '../errors.ts';
import { paint, print, printJson } from '../output.ts';

export const call: Command = {
  name: 'call',
  usage: 'call GUEST HCALL [NAME=VALUE]… [--explain] [--json]',
  summary: 'make one hcall of a guest and show the answer',
  help: () => `Makes one hcall, or one control operation, and shows the answer.

  hptd call g H_ENTER flags=H_EXACT ptex=0x190b8 pteh=0x400ea1b217000015 ptel=0x1190

Words are written 0x… or as decimal numbers; flags by name, separated by commas, or as a word.

  --explain           say which rule gave the answer, and why
${DAEMON_OPTIONS_HELP}

hcalls ("hptd help H_ENTER" tells more of one):
${rows(HCALLS)}

control operations, which stand for what the host does:
${rows(OPERATIONS.filter((operation) => operation.kind === 'control'))}`,
  run,
};

function rows(operations: readonly Operation[]): string {
  const width = Math.max(...operations.map(({ name }) => name.length));
  return operations.map(({ name, meaning }) => `  ${name.padEnd(width)}  ${meaning}`).join('\n');
}

/** What `hptd help H_ENTER` prints. */
export function operationHelp(operation: Operation): string {
  const { name, arguments: args, results, flags, statuses, meaning, source } = operation;
  const width = Math.max(0, ...args.map((argument) => argument.name.length));
  return [
    `${name}: ${meaning}`,
    `usage: hptd call GUEST ${[name, ...args.map((argument) => `${argument.name}=…`)].join(' ')}`,
    ...args.map((argument) => `  ${argument.name.padEnd(width)}  ${argument.meaning}`),
    ...(flags.length === 0 ? [] : [`flags: ${flags.join(', ')}`]),
    ...(results.length === 0 ? [] : [`results: ${results.join(', ')}`]),
    `statuses: ${statuses.join(', ')}`,
    `source: ${source}`,
  ].join('\n');
}

async function run(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseWords('call', words, {
    ...DAEMON_OPTIONS,
    explain: { type: 'boolean', default: false },
  });
  const [guest, name, ...given] = positionals;
  if (guest === undefined || name === undefined)
    throw usageError('which guest, and which hcall?', 'call');
  const body: Json = {
    ...argumentsOf(assignments('call', given)),
    ...(values.explain ? { explain: true } : {}),
  };
  const operation = checked(name, body);
  const rest = daemonOf('call', values);
  const answer =
    operation.kind === 'hcall'
      ? await rest.call(guest, name, body)
      : await rest.control(guest, name, body);
  if (values.json) printJson(answer);
  else print(answerText(answer));
  return EXIT.ok;
}

function argumentsOf(given: Record<string, string>): Json {
  return Object.fromEntries(
    Object.entries(given).map(([name, text]) => {
      if (/^\d{1,15}$/.test(text)) return [name, Number(text)];
      if (name !== 'flags' || text.startsWith('0x')) return [name, text];
      return [name, text.split(',').filter((flag) => flag !== '')];
    }),
  );
}

/** The daemon would say the same, but a misspelt name is the command line's fault, whatever daemon runs. */
function checked(name: string, body: Json): Operation {
  try {
    return parseCall(body, name, { control: true }).operation;
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const parts = error.errors ?? [];
    const detail =
      parts.length > 1
        ? `${name}: ${parts.map((part) => `${part.path} ${part.message}`).join('; ')}`
        : error.detail;
    throw usageError(detail, error.code === 'hcall-unknown' ? 'call' : name);
  }
}

function answerText(answer: Json): string {
  const { hcall, status, code, explanation, ...results } = answer;
  const lines = [
    `${String(hcall)} answers ${paint(code === 0 ? 'green' : 'yellow', String(status))} (${String(code)})`,
  ];
  const width = Math.max(0, ...Object.keys(results).map((name) => name.length));
  for (const [name, value] of Object.entries(results)) {
    lines.push(
      `  ${name.padEnd(width)}  ${Array.isArray(value) ? value.join(' ') : String(value)}`,
    );
  }
  const why = explanation as Explanation | undefined;
  if (why !== undefined) lines.push(`  ${why.text} (rule ${why.rule})`);
  return lines.join('\n');
}
