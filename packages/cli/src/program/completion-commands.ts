import { Argument, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { Terminal } from '../terminal/index.ts';

/** Adds `ocm completion`, and `ocm complete`, which its scripts call. */
export function addCompletionCommands(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  program
    .command('completion')
    .summary('complete ocm in a shell')
    .description('Prints a script that makes a shell complete commands, options, run ids and task keys of ocm.')
    .addArgument(new Argument('<shell>', 'for this shell').choices(['bash', 'zsh', 'fish', 'powershell'] as const))
    .addHelpText('after', completionHelp)
    .action(async (shell) => {
      const { completion: action } = await import('../commands/completion.ts');
      finish(action(terminal, shell));
    });
  program
    .command('complete', { hidden: true })
    .argument('[words...]', 'of a command line; the last one is completed')
    .action(async (words) => {
      const { completeWords: action } = await import('../commands/completion.ts');
      finish(await action(terminal, program, words));
    });
}

const completionHelp = `
Examples:
  source <(ocm completion bash)                               in ~/.bashrc
  source <(ocm completion zsh)                                in ~/.zshrc
  ocm completion fish > ~/.config/fish/completions/ocm.fish
  ocm completion powershell | Out-String | Invoke-Expression  in $PROFILE`;
