/**
 * The front door of the load drivers: `npm run -s load -- PROFILE [--json] [options]`. load/README.md tells what
 * each profile does and what its figures mean.
 */
import { complain, print } from '../src/cli/output.ts';
import { unknownWord } from '../src/cli/suggest.ts';
import { check } from './check.ts';
import { contention } from './contention.ts';
import { durability } from './durability.ts';
import { engine } from './engine.ts';
import { oversubscription } from './oversubscription.ts';
import { EXIT, UsageError, type Profile } from './profile.ts';
import { replay } from './replay.ts';
import { report } from './report.ts';
import { rest } from './rest.ts';
import { soak } from './soak.ts';
import { snapshots } from './snapshots.ts';
import { stream } from './stream.ts';
import { tables } from './tables.ts';

const PROFILES: readonly Profile[] = [
  engine,
  stream,
  rest,
  replay,
  contention,
  oversubscription,
  soak,
  snapshots,
  durability,
  tables,
];
/** They run profiles and are called as those are. */
const COMMANDS: readonly Profile[] = [...PROFILES, check, report];

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const rows = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Load drivers of hptd: measure on this machine, print a table or one JSON object, and end.

usage: npm run -s load -- PROFILE [--json] [OPTIONS]

${rows.join('\n')}

"npm run -s load -- PROFILE --help" explains one; load/README.md tells what the figures mean.`;
}

async function run([name, ...words]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    print(overview());
    return EXIT.ok;
  }
  if (name === undefined) throw new UsageError('which profile?');
  const profile = COMMANDS.find((row) => row.name === name);
  if (profile === undefined) {
    const known = COMMANDS.map((row) => row.name);
    throw new UsageError(unknownWord('profile', name, known));
  }
  if (words.includes('--help') || words.includes('-h')) {
    print(`usage: npm run -s load -- ${profile.name} [--json] [OPTIONS]\n\n${profile.help}`);
    return EXIT.ok;
  }
  return profile.run(words);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    complain(`load: ${error.message}; see "npm run -s load -- --help"`);
    process.exitCode = EXIT.usage;
  } else {
    complain(`load: ${error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = EXIT.internal;
  }
}
