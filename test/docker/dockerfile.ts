/** Reads a Dockerfile as far as ours goes; what it does not know it refuses, so that nothing is skipped in silence. */

export type Step =
  | { readonly kind: 'workdir'; readonly path: string }
  | {
      readonly kind: 'copy';
      readonly from: string | undefined;
      readonly owner: string | undefined;
      readonly sources: readonly string[];
      readonly target: string;
    }
  | { readonly kind: 'run'; readonly command: string }
  | { readonly kind: 'env'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'user'; readonly name: string };

export interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly steps: Step[];
  readonly volumes: string[];
  readonly ports: number[];
  healthCheck: readonly string[] | undefined;
  entryPoint: readonly string[] | undefined;
}

export function parseDockerfile(text: string): Stage[] {
  const stages: Stage[] = [];
  for (const { instruction, rest } of instructions(text)) {
    if (instruction === 'FROM') {
      stages.push(startStage(rest));
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) throw new Error(`${instruction} stands before any FROM`);
    const add = INSTRUCTIONS[instruction];
    if (add === undefined)
      throw new Error(`the replay does not know ${instruction}: teach it, or do without`);
    add(stage, rest);
  }
  return stages;
}

function instructions(text: string): { instruction: string; rest: string }[] {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => {
      const match = /^([A-Z]+)\s+(.+)$/.exec(line);
      if (match === null) throw new Error(`no instruction: ${line}`);
      return { instruction: match[1]!, rest: match[2]! };
    });
}

function startStage(rest: string): Stage {
  const match = /^(\S+)(?: AS (\S+))?$/.exec(rest);
  if (match === null) throw new Error(`FROM ${rest} has neither the form IMAGE nor IMAGE AS NAME`);
  return {
    base: match[1]!,
    name: match[2],
    steps: [],
    volumes: [],
    ports: [],
    healthCheck: undefined,
    entryPoint: undefined,
  };
}

const INSTRUCTIONS: Record<string, (stage: Stage, rest: string) => void> = {
  WORKDIR: ({ steps }, path) => steps.push({ kind: 'workdir', path }),
  RUN: ({ steps }, command) => steps.push({ kind: 'run', command }),
  USER: ({ steps }, name) => steps.push({ kind: 'user', name }),
  ENV: ({ steps }, rest) =>
    steps.push({ kind: 'env', values: Object.fromEntries(rest.split(/\s+/).map(assignment)) }),
  COPY: addCopy,
  VOLUME: ({ volumes }, rest) => volumes.push(rest),
  EXPOSE: ({ ports }, rest) => ports.push(Number(rest)),
  ENTRYPOINT: (stage, rest) => {
    stage.entryPoint = JSON.parse(rest) as string[];
  },
  HEALTHCHECK: (stage, rest) => {
    const at = rest.indexOf('CMD ');
    stage.healthCheck = JSON.parse(rest.slice(at + 4)) as string[];
  },
};

function assignment(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new Error(`ENV ${text} is no NAME=VALUE`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function addCopy({ steps }: Stage, rest: string): void {
  const words = rest.split(/\s+/);
  const option = (name: string): string | undefined =>
    words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
  const paths = words.filter((word) => !word.startsWith('--'));
  steps.push({
    kind: 'copy',
    from: option('from'),
    owner: option('chown'),
    sources: paths.slice(0, -1),
    target: paths.at(-1)!,
  });
}
