#!/usr/bin/env node
/**
 * The front door: `hptd COMMAND …`. Finds the command, and alone turns what it throws into a message and an exit code.
 */
import { VERSION } from '../operations/version.ts';
import type { Command } from './command.ts';
import { call } from './commands/call.ts';
import { completionFor } from './commands/completion.ts';
import { copy } from './commands/copy.ts';
import { demo } from './commands/demo.ts';
import { group } from './commands/group.ts';
import { create, guests, remove } from './commands/guests.ts';
import { helpFor } from './commands/help.ts';
import { record } from './commands/record.ts';
import { replay } from './commands/replay.ts';
import { serve } from './commands/serve.ts';
import { snapshot } from './commands/snapshot.ts';
import { dump, load } from './commands/table-stream.ts';
import { token } from './commands/token.ts';
import { stats } from './commands/stats.ts';
import { top } from './commands/top.ts';
import { walk } from './commands/walk.ts';
import { EXIT, explainError, usageError } from './errors.ts';
import { complain, paint, print } from './output.ts';
import { unknownWord } from './suggest.ts';

const COMMANDS: Command[] = [
  serve,
  replay,
  record,
  guests,
  create,
  remove,
  call,
  walk,
  group,
  copy,
  dump,
  load,
  snapshot,
  stats,
  top,
  token,
  demo,
];
const help = helpFor(COMMANDS);
COMMANDS.push(completionFor(COMMANDS), help);

async function run([name, ...words]: readonly string[]): Promise<number> {
  if (name === '--version' || name === '-V') return version();
  if (name === '--help' || name === '-h') return help.run([]);
  if (name === undefined) throw usageError('which command?');
  const command = COMMANDS.find((row) => row.name === name);
  if (command === undefined)
    throw usageError(
      unknownWord(
        'command',
        name,
        COMMANDS.map((row) => row.name),
      ),
    );
  if (words.includes('--help') || words.includes('-h')) return help.run([name]);
  return command.run(words);
}

function version(): number {
  print(`hptd ${VERSION}`);
  return EXIT.ok;
}

// Somebody reads only the first lines of our output (`| head`): that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const { exitCode, message, advice } = explainError(error);
  complain(`${paint('red', 'hptd:', process.stderr)} ${message}; ${advice}`);
  process.exitCode = exitCode;
}
