import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { PageFlags } from '../playground/index.ts';
import type { Terminal } from '../terminal/index.ts';
import type { WorkspaceFlags } from '../workspaces/index.ts';
import {
  addJsonOption,
  addPageOptions,
  addServerOptions,
  addTurnOptions,
  collect,
  type JsonFlag,
  type ServerFlags,
  type TurnFlags,
} from './shared-options.ts';

/** Flags of `ocm run`. */
export interface RunFlags extends ServerFlags, TurnFlags, JsonFlag, PageFlags, WorkspaceFlags {
  readonly prompt?: string[];
  readonly out?: string;
  readonly append?: boolean;
  readonly overwrite?: boolean;
}

/** Adds `ocm demo` and `ocm run`. */
export function addBatchCommands(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  program.commandsGroup('Run:');
  addDemo(program, terminal, finish);
  addRun(program, terminal, finish);
}

function addDemo(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  const demo = program
    .command('demo')
    .summary('run 12 tasks on a real isolated server with a scripted model')
    .description(
      'Starts an isolated opencode server with a scripted model, runs 12 tasks, 6 at a time, each in a clone of a temporary git repository, lists their patches, and checks the isolation meanwhile. Needs no API key. Removes everything at the end.',
    )
    .option('--binary <path>', 'opencode binary (default: OPENCODE_BIN, PATH, the package opencode-ai)');
  addPageOptions(demo);
  addJsonOption(demo);
  demo.action(async (flags) => {
    const { demo: action } = await import('../commands/demo.ts');
    finish(await action(terminal, flags));
  });
}

function addRun(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  const run = program
    .command('run')
    .summary('run a file of tasks, or prompts, to their end')
    .description('Runs tasks in sessions on one isolated server and prints the results.')
    .argument('[file]', 'JSON Lines, one task per line; - reads standard input')
    .optionsGroup('Tasks:')
    .option('--prompt <text...>', 'a task for each text, in addition to the file')
    .option('--out <file>', 'also write each result to this file, as JSON Lines')
    .option('--append', 'append to the --out file')
    .option('--overwrite', 'replace the --out file')
    .optionsGroup('Workspaces:')
    .addOption(
      new Option(
        '--workspace <mode>',
        'where tasks work: in their directory (shared, the default), or each in a place of its own, made of what is committed (clone, worktree) or of all files (copy)',
      ).choices(['shared', 'clone', 'worktree', 'copy']),
    )
    .option('--patches <dir>', 'put the patches of tasks here (default: beside the repository, in <repository>.ocm)');
  addPlaceOptions(run);
  addTurnOptions(run);
  addServerOptions(run);
  addPageOptions(run);
  addJsonOption(run);
  run.addHelpText('after', runHelp).action(async (file, flags) => {
    const { run: action } = await import('../commands/run.ts');
    finish(await action(terminal, file, flags));
  });
}

/** How workspaces are made, and which stay. */
function addPlaceOptions(run: CommandUnknownOpts): void {
  run
    .option('--root <dir>', 'put the workspaces below this directory (default: beside the repository, in <repository>.ocm)')
    .option('--setup <command>', 'shell line that prepares each workspace; what it makes in ignored directories is used again')
    .option('--setup-timeout <duration>', 'its timeout (default: 10m)')
    .option('--ready <command>', 'shell line that must end with 0 before a task begins in its workspace')
    .option('--ready-timeout <duration>', 'its timeout (default: 10m)')
    .option('--include <pattern>', 'also copy ignored files that match, as .worktreeinclude does; repeatable', collect)
    .option('--lfs', 'download the files that are in Git LFS (default: their pointers)')
    .option('--yes', 'make copies of more than 2 GB')
    .addOption(
      new Option('--keep [which]', 'leave the workspaces to look at: all, or those of tasks that did not succeed').choices([
        'all',
        'failed',
      ]),
    );
}

const runHelp = `
Each line needs one of prompt, command and shell. Optional: id, directory, workspace, model, agent, system, title, timeout,
priority, permissions, metadata. Aliases of id: custom_id, instance_id, task_id. Aliases of prompt: input, instruction (joined with
input), problem_statement. Other columns are ignored; options that ocm lacks, such as retries, are refused. If a line is invalid, nothing
starts.

Examples:
  ocm run tasks.jsonl --model anthropic/claude-sonnet-5 --pass-env ANTHROPIC_API_KEY
  echo '{"id": "hello", "prompt": "Say hello"}' | ocm run - --json
  ocm run --prompt "Write a test" --prompt "Find a bug" --permissions allow

Ctrl-C starts no new tasks and waits for running ones. A second Ctrl-C aborts them, a third kills the server.`;
