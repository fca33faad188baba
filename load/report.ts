/** `report`: the short form of every profile as one page with plots, and what the budgets say. */
import { writeFile } from 'node:fs/promises';
import { complain, print } from '../src/cli/output.ts';
import { VERSION } from '../src/operations/version.ts';
import { readBudgets } from './budgets/budgets.ts';
import { measureBudgets } from './check.ts';
import { machine } from './machine.ts';
import { EXIT, parseOptions, type Profile, UsageError } from './profile.ts';
import { type Measured, pageOf } from './report/page.ts';
import { type Section, SECTIONS } from './report/sections.ts';
import { type Json, runProfile } from './run-profile.ts';

export const report: Profile = {
  name: 'report',
  summary: 'the short form of every profile as one HTML page with plots',
  help: `Runs the budgets and the short form of every profile, ten to fifteen minutes, and writes one HTML page that needs
nothing else. Exit code 1: a run failed; the page says which.

  --out FILE          where to (load-report.html)`,
  run,
};

async function run(words: readonly string[]): Promise<number> {
  const { out } = parseOptions(words, { out: { type: 'string', default: 'load-report.html' } });
  // A page that cannot be written should not cost ten minutes.
  await writeFile(out, '', { flag: 'a' }).catch((error: Error) => {
    throw new UsageError(`--out ${out}: ${error.message}`);
  });
  const measuredAt = new Date();
  const judgements = await measureBudgets(readBudgets());
  const measured: Measured[] = [];
  for (const [i, section] of SECTIONS.entries()) {
    complain(`section ${i + 1} of ${SECTIONS.length}: ${section.title}`);
    measured.push(await measure(section));
  }
  const facts = { version: VERSION, measuredAt, machine: machine(), judgements };
  await writeFile(out, pageOf(facts, measured));
  print(`written to ${out}`);
  const failures = measured.flatMap((one) => one.failures);
  for (const failure of failures) complain(failure);
  return failures.length === 0 ? EXIT.ok : EXIT.failed;
}

async function measure(section: Section): Promise<Measured> {
  const rows: Json[] = [];
  const commands: string[] = [];
  const failures: string[] = [];
  for (const { options, add = {} } of section.runs) {
    const { command, json, failure } = await runProfile([section.profile, ...options.split(' ')]);
    commands.push(command);
    if (failure !== undefined) failures.push(`${command}: ${failure}`);
    const results = json?.[section.rows ?? 'results'];
    if (Array.isArray(results))
      rows.push(...(results as Json[]).map((row) => ({ ...row, ...add })));
  }
  return { section, rows, commands, failures };
}
