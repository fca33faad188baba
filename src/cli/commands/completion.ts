/** `hptd completion`: a script that teaches a shell to complete hptd's command lines. */
import { type Command, parseWords } from '../command.ts';
import { completionScript, SHELLS } from '../completion.ts';
import { EXIT, usageError } from '../errors.ts';
import { print } from '../output.ts';
import { unknownWord } from '../suggest.ts';

/** A command like the others, made from them. */
export function completionFor(commands: readonly Command[]): Command {
  return {
    name: 'completion',
    usage: `completion ${SHELLS.join('|')}`,
    summary: 'print a script that completes command lines of hptd',
    help: () => `Prints a script for the shell: commands, options, hcalls, their arguments and the properties of guests are
completed. Its first line says where it belongs.

  hptd completion bash > ~/.local/share/bash-completion/completions/hptd

Exit codes: 0, or 64 for a shell that is not known`,
    run: async (words) => {
      const { positionals } = parseWords('completion', words, {});
      const [name] = positionals;
      if (name === undefined || positionals.length > 1)
        throw usageError(`which shell? There are ${SHELLS.join(', ')}`, 'completion');
      const shell = SHELLS.find((known) => known === name);
      if (shell === undefined) throw usageError(unknownWord('shell', name, SHELLS), 'completion');
      print(completionScript(shell, commands).trimEnd());
      return EXIT.ok;
    },
  };
}
