/** `hptd help`: all commands, one of them, or one hcall. */
import { OPERATIONS, operationByName } from '../../../schemas/operations.ts';
import type { Command } from '../command.ts';
import { EXIT, usageError } from '../errors.ts';
import { manualPage } from '../manual.ts';
import { paint, print } from '../output.ts';
import { unknownWord } from '../suggest.ts';
import { operationHelp } from './call.ts';

/** A command like the others, made from them. */
export function helpFor(commands: readonly Command[]): Command {
  return {
    name: 'help',
    usage: 'help [COMMAND|HCALL]',
    summary: 'explain a command or an hcall',
    help: () => `Explains a command as a manual does, or an hcall: its arguments, flags, results and statuses.

  hptd help call
  hptd help H_ENTER

Exit codes: 0, or 64 for a topic that is not known`,
    run: async ([topic]) => {
      print(topic === undefined ? overview(commands) : explain(commands, topic));
      return EXIT.ok;
    },
  };
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return `${paint('bold', 'hptd')}: a POWER guest's hashed page table and its hypercalls, as a daemon

usage: hptd COMMAND [OPTIONS]

${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}

"hptd help COMMAND" explains one; "hptd --version" tells the version.`;
}

function explain(commands: readonly Command[], topic: string): string {
  const command = commands.find(({ name }) => name === topic);
  if (command !== undefined) return manualPage(command);
  const operation = operationByName(topic);
  if (operation !== undefined) return operationHelp(operation);
  const hcalls = OPERATIONS.map(({ name }) => name);
  const known = topic === topic.toUpperCase() ? hcalls : commands.map(({ name }) => name);
  throw usageError(unknownWord('topic', topic, known));
}
