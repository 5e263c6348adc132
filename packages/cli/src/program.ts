import { Command } from '@commander-js/extra-typings';
import type { ExitCode } from './exit-codes.ts';
import { addBatchCommands } from './program/batch-commands.ts';
import { addCareCommands } from './program/care-commands.ts';
import { addManagerCommands } from './program/manager-commands.ts';
import { addRunCommands } from './program/run-commands.ts';
import type { Terminal } from './terminal/index.ts';
import { version } from './version.ts';

/**
 * The tree of commands. Each action loads its own module when it is called, so that help and version start at once.
 * `finish` receives the exit code of the command that ran.
 */
export function createProgram(terminal: Terminal, finish: (exitCode: ExitCode) => void): Command {
  const { stdout, draw } = terminal;
  const program = new Command('ocm')
    .description('Many opencode sessions at once on one isolated server, supervised.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => draw(withoutValues(text)) })
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError('(add --help for usage)')
    .addHelpText('after', rootHelp);
  addBatchCommands(program, terminal, finish);
  addRunCommands(program, terminal, finish);
  addManagerCommands(program, terminal, finish);
  addCareCommands(program, terminal, finish);
  return program;
}

/** commander repeats an option that it does not know, and the value with it, which may be a key. */
function withoutValues(text: string): string {
  return text.replaceAll(/'(--?[\w-]+=)[^']*'/g, "'$1...'");
}

const rootHelp = `
Examples:
  ocm demo                                   runs without an API key
  ocm run --prompt "Explain this" --model anthropic/claude-sonnet-5 --pass-env ANTHROPIC_API_KEY
  ocm run tasks.jsonl --concurrency 8 --json > results.jsonl
  ocm status                                 how the newest run stands; then ocm results --failed, ocm show KEY
  ocm serve                                  in another terminal: ocm prompt new "Say hello"

Exit codes:
  0 all succeeded   1 a task or a check failed   2 usage, configuration or task file   4 no model or no credentials
  5 the server did not start   6 no room for the run, or its directory is gone   124 ocm wait: it still runs
  130 after SIGINT   143 after SIGTERM

Results go to stdout, everything else to stderr. With --json, stdout has JSON Lines only.`;
