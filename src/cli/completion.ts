/**
 * Completion for shells, from the table of commands: which words may come where, then that in each shell's language. The
 * scripts ask nobody while somebody types: starting hptd for every key would be felt. Pure.
 */
import { guestConfig } from '../../schemas/guests.ts';
import { OPERATIONS } from '../../schemas/operations.ts';
import type { Command } from './command.ts';
import { sectionsOf } from './manual.ts';

interface Option {
  readonly flag: string;
  readonly takesValue: boolean;
}

/** What may stand in a place: these words, a file, or NAME= of the operation named before. */
type Place = readonly string[] | 'file' | 'arguments';

interface Plan {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly Option[];
  readonly places: readonly Place[];
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const OPERATION_NAMES = OPERATIONS.map(({ name }) => name);

export function completionScript(shell: Shell, commands: readonly Command[]): string {
  const plans = commands.map((command) => planOf(command, commands));
  if (shell === 'bash') return bashScript(plans);
  return shell === 'zsh' ? zshScript(plans) : fishScript(plans);
}

function planOf(command: Command, commands: readonly Command[]): Plan {
  const names = commands.map(({ name }) => name);
  return {
    name: command.name,
    summary: command.summary,
    options: optionsOf(command),
    places: placesOf(command.usage, names),
  };
}

/** The options that a command's help explains. */
export function optionsOf(command: Command): Option[] {
  const text = sectionsOf(command).options.join('\n');
  const found = [...text.matchAll(/^ {2}(--[a-z][a-z-]*)( [^\s[(]\S*)?(?: \[(--[a-z-]+)\])?/gm)];
  const options = found.flatMap(([, flag, value, another]) => [
    { flag: flag!, takesValue: value !== undefined },
    ...(another === undefined ? [] : [{ flag: another, takesValue: false }]),
  ]);
  return [...new Map(options.map((option) => [option.flag, option])).values()];
}

/** From the words of the usage that are no options. The last place stands for all behind it. */
function placesOf(usage: string, commands: readonly string[]): Place[] {
  if (usage.includes(' | ')) return [usage.match(/(?<=^\S+ |\| )[a-z]+\b/g) ?? []];
  const [, ...words] = usage.replaceAll(/\[-[^\]]*\]…?/g, '').split(/\s+/);
  return words.filter((word) => word !== '').map((word) => placeOf(word, commands));
}

function placeOf(word: string, commands: readonly string[]): Place {
  const bare = word.replaceAll(/[[\]…]/g, '');
  if (bare === 'FILE') return 'file';
  if (bare === 'NAME=VALUE') return 'arguments';
  if (bare === 'HCALL') return OPERATION_NAMES;
  if (bare === 'COMMAND|HCALL') return [...commands, ...OPERATION_NAMES];
  if (bare === 'order=N' || bare === 'PROPERTY=VALUE')
    return Object.keys(guestConfig.shape).map((name) => `${name}=`);
  return /^[a-z|]+$/.test(bare) ? bare.split('|') : [];
}

const FIRST_LINES = {
  bash: 'hptd, for bash: put  source <(hptd completion bash)  into ~/.bashrc',
  zsh: 'hptd, for zsh: put  source <(hptd completion zsh)  into ~/.zshrc, behind compinit',
  fish: 'hptd, for fish: hptd completion fish > ~/.config/fish/completions/hptd.fish',
} as const;

/** bash and zsh: which options take a value, so that the value is not counted as a place. */
function valueOptions(plans: readonly Plan[]): string {
  const flags = plans.flatMap(({ options }) => options.filter((row) => row.takesValue));
  return [...new Set(flags.map(({ flag }) => flag))].join('|');
}

function argumentCases(indent: string): string {
  return OPERATIONS.filter((row) => row.arguments.length > 0)
    .map(
      (row) =>
        `${indent}${row.name}) words="${row.arguments.map(({ name }) => `${name}=`).join(' ')}" ;;`,
    )
    .join('\n');
}

/** `case` branches by command and place: `call/1`, and `call/*` for the last. */
function placeCases(plans: readonly Plan[], indent: string): string {
  return plans
    .flatMap(({ name, places }) =>
      places.map((place, i) => {
        const isLast = i === places.length - 1 && (place === 'file' || hasEquals(place));
        return { where: `${name}/${isLast ? '*' : i}`, place };
      }),
    )
    .filter(({ place }) => place.length > 0)
    .map(({ where, place }) => {
      if (place === 'file') return `${indent}${where}) files=1 ;;`;
      if (place === 'arguments')
        return `${indent}${where}) case "\${placed[1]}" in\n${argumentCases(`${indent}  `)}\n${indent}esac ;;`;
      return `${indent}${where}) words="${place.join(' ')}" ;;`;
    })
    .join('\n');
}

function hasEquals(place: Place): boolean {
  return place === 'arguments' || (typeof place !== 'string' && (place[0]?.endsWith('=') ?? false));
}

/** What bash and zsh share: from `before` (the words between the command and the one being typed) to `words`. */
function choice(plans: readonly Plan[]): string {
  return `  local -a placed
  local word="" skip=0 words="" files=0
  for word in "\${before[@]}"; do
    if [[ $skip == 1 ]]; then skip=0; continue; fi
    case "$word" in
      ${valueOptions(plans)}) skip=1 ;;
      -*) ;;
      *) placed+=("$word") ;;
    esac
  done
  if [[ $skip == 1 ]]; then
    files=1
  elif [[ "$current" == -* ]]; then
    case "$command" in
${plans.map(({ name, options }) => `      ${name}) words="${[...options.map(({ flag }) => flag), '--help'].join(' ')}" ;;`).join('\n')}
    esac
  else
    case "$command/\${#placed[@]}" in
${placeCases(plans, '      ')}
    esac
  fi`;
}

function bashScript(plans: readonly Plan[]): string {
  return `# ${FIRST_LINES.bash}
_hptd() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}"
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "${plans.map(({ name }) => name).join(' ')}" -- "$current"))
    return
  fi
  local -a before=("\${COMP_WORDS[@]:2:COMP_CWORD-2}")
${choice(plans)}
  if [[ $files == 1 ]]; then
    compopt -o filenames 2> /dev/null
    COMPREPLY=($(compgen -f -- "$current"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ "$words" == *=* ]]; then compopt -o nospace 2> /dev/null; fi
}
complete -F _hptd hptd
`;
}

function zshScript(plans: readonly Plan[]): string {
  const described = plans.map(
    ({ name, summary }) => `    '${name}:${summary.replaceAll("'", "'\\''")}'`,
  );
  return `# ${FIRST_LINES.zsh}
_hptd() {
  setopt localoptions
  if [[ $CURRENT -eq 2 ]]; then
    local -a commands=(
${described.join('\n')}
    )
    _describe command commands
    return
  fi
  setopt ksharrays
  local current="\${words[CURRENT-1]}" command="\${words[1]}"
  local -a before=("\${words[@]:2:$((CURRENT-3))}")
${choice(plans).replaceAll('words="', 'found="')}
  unsetopt ksharrays
  if [[ $files == 1 ]]; then _files; return; fi
  if [[ "$found" == *=* ]]; then compadd -S '' -- \${=found}; else compadd -- \${=found}; fi
}
compdef _hptd hptd
`;
}

function fishScript(plans: readonly Plan[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;
  const lines = plans.flatMap(({ name, summary, options, places }) => [
    `complete -c hptd -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
    ...options.map(
      ({ flag, takesValue }) =>
        `complete -c hptd -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}${takesValue ? ' -r -F' : ''}`,
    ),
    ...places.flatMap((place) => {
      if (place === 'file') return [`complete -c hptd -n '__fish_seen_subcommand_from ${name}' -F`];
      if (place === 'arguments') return OPERATIONS.map((row) => argumentsInFish(name, row));
      return place.length === 0
        ? []
        : [`complete -c hptd -n '__fish_seen_subcommand_from ${name}' -a '${place.join(' ')}'`];
    }),
  ]);
  return `# ${FIRST_LINES.fish}
complete -c hptd -f
${lines.filter((line) => line !== '').join('\n')}
`;
}

function argumentsInFish(
  command: string,
  { name, arguments: args }: (typeof OPERATIONS)[number],
): string {
  if (args.length === 0) return '';
  const words = args.map((argument) => `${argument.name}=`).join(' ');
  return `complete -c hptd -n '__fish_seen_subcommand_from ${command}; and __fish_seen_subcommand_from ${name}' -a '${words}'`;
}
