/**
 * Where each option's value comes from: the command line, else the environment, else the configuration file, else its
 * default. What is wrong is named with its place. Reads files; called at start, by `hptd serve` and `hptd demo`.
 */
import { readFileSync } from 'node:fs';
import { nearest } from '../../schemas/nearest.ts';
import { OPTIONS, serveOptions } from './config.ts';
import type { OptionFacts, OptionName, ServeOptions } from './config.ts';

export type Source = 'default' | 'file' | 'environment' | 'command line';

export interface Configuration {
  readonly options: ServeOptions;
  readonly sources: Readonly<Record<OptionName, Source>>;
}

/** A configuration that no daemon can run with. `member` is the option at fault, when it is one. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly member: string | undefined;
  readonly source: Source | undefined;
  readonly advice: string;

  constructor(
    message: string,
    advice: string,
    at: { member?: string; source?: Source; cause?: unknown } = {},
  ) {
    super(message, at.cause === undefined ? undefined : { cause: at.cause });
    this.member = at.member;
    this.source = at.source;
    this.advice = advice;
  }
}

type Given = Partial<Record<OptionName, unknown>>;

/** `given`: what the command line says, by option. Throws ConfigurationError. */
export function readConfiguration(
  given: Given,
  environment: NodeJS.ProcessEnv,
  file: string | undefined,
): Configuration {
  const layers: readonly (readonly [Source, Given])[] = [
    ['command line', given],
    ['environment', optionsFromEnvironment(environment)],
    ['file', file === undefined ? {} : optionsFromFile(file)],
  ];
  const values: Given = {};
  const sources = {} as Record<OptionName, Source>;
  for (const { name } of OPTIONS) {
    const found = layers.find(([, layer]) => layer[name] !== undefined);
    sources[name] = found?.[0] ?? 'default';
    if (found !== undefined) values[name] = found[1][name];
  }
  const checked = serveOptions.safeParse(values);
  if (checked.success) return { options: checked.data, sources };
  const issue = checked.error.issues[0]!;
  const facts = OPTIONS.find(({ name }) => name === issue.path[0])!;
  const source = sources[facts.name];
  throw new ConfigurationError(
    `${placeOf(facts, source, file)}: ${issue.message}`,
    'see "hptd help serve"',
    { member: facts.name, source },
  );
}

function placeOf({ name, environment }: OptionFacts, source: Source, file?: string): string {
  if (source === 'file') return `${file}: ${name}`;
  return source === 'environment' ? environment : name;
}

/** Options that the environment sets. An empty variable sets nothing. */
export function optionsFromEnvironment(environment: NodeJS.ProcessEnv): Given {
  const found: Given = {};
  for (const option of OPTIONS) {
    const value = environment[option.environment];
    if (value !== undefined && value !== '') found[option.name] = value;
  }
  return found;
}

function optionsFromFile(path: string): Given {
  const refuse = (why: string, cause?: unknown): never => {
    throw new ConfigurationError(
      `${path} ${why}`,
      'a configuration file is one JSON object whose members "hptd help serve" lists',
      { source: 'file', cause },
    );
  };
  let text = '';
  let parsed: unknown;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    refuse(`cannot be read (${(error as Error).message})`, error);
  }
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    refuse(`is not JSON: ${(error as Error).message}`, error);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    refuse('is not a JSON object');
  const names: readonly string[] = OPTIONS.map(({ name }) => name);
  const strange = Object.keys(parsed as object).find((key) => !names.includes(key));
  if (strange === undefined) return parsed as Given;
  const near = nearest(strange, names);
  throw new ConfigurationError(
    `${path}: there is no option ${JSON.stringify(strange)}`,
    near === undefined ? 'see "hptd help serve"' : `did you mean ${near}?`,
    { member: strange, source: 'file' },
  );
}
