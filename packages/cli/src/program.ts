import { Command, Help } from '@commander-js/extra-typings';
import type { ExitCode } from './exit-codes.ts';
import { addBatchCommands } from './program/batch-commands.ts';
import { addCareCommands } from './program/care-commands.ts';
import { addCompletionCommands } from './program/completion-commands.ts';
import { addManagerCommands } from './program/manager-commands.ts';
import { addRunCommands } from './program/run-commands.ts';
import { rootHelp } from './program/root-help.ts';
import type { Terminal } from './terminal/index.ts';
import { version } from './version.ts';

/**
 * The tree of commands. Each action loads its own module when it is called, so that help and version start at once.
 * `finish` receives the exit code of the command that ran.
 */
export function createProgram(terminal: Terminal, finish: (exitCode: ExitCode) => void): Command {
  const { stdout, draw } = terminal;
  const program = new Command('ocm')
    .description('Many opencode sessions on one server.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => draw(withoutValues(text)) })
    .configureHelp({
      subcommandTerm: (command) => command.name(),
      formatHelp: (command, help) =>
        command.parent ? Help.prototype.formatHelp.call(help, command, help) : rootHelp(command, help.helpWidth ?? 80),
    })
    .showHelpAfterError('(add --help for usage)');
  addBatchCommands(program, terminal, finish);
  addRunCommands(program, terminal, finish);
  addManagerCommands(program, terminal, finish);
  addCareCommands(program, terminal, finish);
  addCompletionCommands(program, terminal, finish);
  return program;
}

/** commander repeats an option that it does not know, and the value with it, which may be a key. */
function withoutValues(text: string): string {
  return text.replaceAll(/'(--?[\w-]+=)[^']*'/g, "'$1...'");
}
