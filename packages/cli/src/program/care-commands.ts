import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { Terminal } from '../terminal/index.ts';
import { addJsonOption, addManagerOption, addPageRights, addServerOptions } from './shared-options.ts';

/** Adds `ocm doctor`, `ocm clean`, `ocm mock-model` and `ocm playground`. */
export function addCareCommands(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  program.commandsGroup('Check and test:');
  const doctor = program
    .command('doctor')
    .summary('check binary, isolation')
    .description(
      'Checks the opencode binary and its version, starts a server, checks its isolation, and lists what dead managers left behind. With a configuration (--opencode-config, --opencode-config-dir, --config) it also starts a server with that, and says which of its providers, agents, MCP servers, plugins and custom tools work.',
    )
    .option('--reap', 'end processes and remove directories that dead managers left')
    .option('--queue <url>', 'also whether this queue is there, and keeps what it was told');
  addServerOptions(doctor);
  addJsonOption(doctor);
  doctor.action(async (flags) => {
    const { doctor: action } = await import('../commands/doctor.ts');
    finish(await action(terminal, flags));
  });

  addClean(program, terminal, finish);
  addMockModel(program, terminal, finish);
  addPlayground(program, terminal, finish);
}

function addClean(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  const clean = program
    .command('clean')
    .summary('remove finished runs')
    .description(
      'Lists what finished runs of a repository left (their directories with results, transcripts and patches beside the repository, workspaces that were kept, refs below refs/ocm) and removes it. What a workspace holds and no ref has goes too. A run that is in use or not finished is listed and kept; what --patches put elsewhere is left alone.',
    )
    .argument('[run...]', 'names of runs, or paths of their directories (default: all that are finished)')
    .option('-d, --directory <dir>', 'the repository (default: the current directory)')
    .option('--keep-results', 'remove workspaces alone; run directories, refs and patches stay')
    .option('--unfinished', 'also remove runs that are not finished: they cannot be resumed any more')
    .option('--dry-run', 'list, and remove nothing')
    .option('--queue <url>', 'remove runs of this queue, in place of those of a repository');
  addJsonOption(clean);
  clean.action(async (runs, flags) => {
    const { clean: action } = await import('../commands/clean.ts');
    finish(await action(terminal, runs, flags));
  });
}

function addMockModel(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  // `model` is its name of before.
  for (const name of ['mock-model', 'model']) {
    const model = program
      .command(name, { hidden: name === 'model' })
      .summary('a scripted model')
      .description('Serves a scripted model until Ctrl-C and prints its URL and the opencode configuration that uses it.')
      .requiredOption('--script <file>', 'the script, JSON or JSONC')
      .option('--port <n>', 'port (default: a free one)');
    addJsonOption(model);
    model.action(async (flags) => {
      const { mockModel: action } = await import('../commands/mock-model.ts');
      finish(await action(terminal, flags));
    });
  }
}

function addPlayground(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  const playground = program
    .command('playground')
    .summary('see the state machines')
    .description(
      'Serves a page on this machine that shows the state machines: a recorded trace if a file is given, the running ocm serve if there is one, a simulation otherwise. With --run it shows the tasks of a run from its directory, while it runs or afterwards. The printed address works once. ocm run, ocm demo and ocm serve show their own page with --playground.',
    )
    .argument('[trace]', 'a trace that the page exported')
    .option('--port <n>', 'port (default: a free one); not with a running manager')
    .option('--open', 'open the page in the default browser')
    .option('--simulate', 'simulate even if a manager runs')
    .option('--run <run>', 'show this run, live or over: its id or the path of its directory; needs no manager')
    .optionsGroup('With a running manager:');
  addPageRights(playground);
  addManagerOption(playground);
  addJsonOption(playground);
  playground.action(async (trace, flags) => {
    const { playground: action } = await import('../commands/playground.ts');
    finish(await action(terminal, trace, flags));
  });
}
