import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { Terminal } from '../terminal/index.ts';
import { addJsonOption } from './shared-options.ts';

type Finish = (exitCode: ExitCode) => void;

const runArgument = 'id of the run, a part of the beginning or end of it, or its path (default: the newest of this repository)';
const keyArgument = 'key of the task; alone, of the newest run';

/** Adds the commands that read the directory of a run: none of them writes there, or starts a server. */
export function addRunCommands(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  program.commandsGroup('Look at runs:');
  addRuns(program, terminal, finish);
  addStatus(program, terminal, finish);
  addResults(program, terminal, finish);
  addShow(program, terminal, finish);
  addDiff(program, terminal, finish);
  addExport(program, terminal, finish);
  addWait(program, terminal, finish);
}

function addRuns(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const runs = program
    .command('runs')
    .summary('list runs')
    .description(
      'Lists the runs of the repository that a directory lies in, the newest first. Runs of ocm run --run-dir elsewhere are not among them.',
    )
    .option('-d, --directory <dir>', 'any directory in the repository (default: the current directory)')
    .option('--queue <url>', 'the runs of this queue, and its workers');
  addJsonOption(runs);
  runs.action(async (flags) => {
    const { runs: action } = await import('../commands/runs.ts');
    finish(await action(terminal, flags));
  });
}

function addStatus(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const status = program
    .command('status')
    .summary('how a run stands')
    .description(
      'Says how a run stands and how many of its tasks have ended how, while it runs or afterwards. Reads three small files, whatever the size of the run.',
    )
    .argument('[run]', runArgument)
    .option('--queue <url>', 'look into this queue: the run is that of its --run');
  addJsonOption(status);
  status.action(async (run, flags) => {
    const { status: action } = await import('../commands/status.ts');
    finish(await action(terminal, run, flags));
  });
}

function addResults(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const results = program
    .command('results')
    .summary('what became of each task')
    .description('Lists each task of a run with its final result; then those that have none, with the reason.')
    .argument('[run]', runArgument)
    .option('--failed', 'list only tasks that are over and have not succeeded')
    .option('--queue <url>', 'look into this queue: the run is that of its --run');
  addJsonOption(results);
  results.action(async (run, flags) => {
    const { results: action } = await import('../commands/results.ts');
    finish(await action(terminal, run, flags));
  });
}

function addShow(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const show = program
    .command('show')
    .summary('all about one task')
    .description(
      'Shows what is known of one task: how its newest attempt ended, its answer, the asks, the proof of its end, where its patch is, and its transcript.',
    )
    .usage('[options] [run] <key>')
    .argument('[run]', runArgument)
    .argument('[key]', keyArgument)
    .option('--attempt <n>', 'another attempt than the newest that has ended');
  addJsonOption(show);
  show.action(async (run, key, flags) => {
    const { show: action } = await import('../commands/show.ts');
    finish(await action(terminal, [run, key], flags));
  });
}

function addDiff(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const diff = program
    .command('diff')
    .summary('the patch of a task')
    .description('Prints the patch of a task as it is, for git apply: ocm diff KEY | git apply --index')
    .usage('[options] [run] <key>')
    .argument('[run]', runArgument)
    .argument('[key]', keyArgument);
  diff.action(async (run, key) => {
    const { diff: action } = await import('../commands/diff.ts');
    finish(await action(terminal, [run, key]));
  });
}

function addExport(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  program
    .command('export')
    .summary('JUnit, SWE-bench')
    .description(
      'Writes the results of a run for other tools: a JUnit report with a test case for each task, or predictions for SWE-bench, JSON Lines with the patch of each task that ran.',
    )
    .argument('[run]', runArgument)
    .addOption(new Option('--format <format>', 'of the output').choices(['junit', 'swebench'] as const).makeOptionMandatory())
    .option('-o, --out <file>', 'write to this file (default: standard output)')
    .option('--overwrite', 'replace what the file holds')
    .action(async (run, flags) => {
      const { exportRun: action } = await import('../commands/export.ts');
      finish(await action(terminal, run, flags));
    });
}

function addWait(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const wait = program
    .command('wait')
    .summary('until a run has ended')
    .description(
      'Waits until a run has ended, and has the exit code that ocm run has then. A run whose process died has ended too: interrupted, exit code 1.',
    )
    .argument('[run]', runArgument)
    .option('--timeout <duration>', 'wait no longer, such as 90s or 2h; exit code 124 then (default: as long as it takes)');
  addJsonOption(wait);
  wait.action(async (run, flags) => {
    const { wait: action } = await import('../commands/wait.ts');
    finish(await action(terminal, run, flags));
  });
}
