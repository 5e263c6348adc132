import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { PageFlags } from '../playground/index.ts';
import type { Terminal } from '../terminal/index.ts';
import {
  addJsonOption,
  addPageOptions,
  addServerOptions,
  addTurnOptions,
  type JsonFlag,
  type ServerFlags,
  type TurnFlags,
} from './shared-options.ts';

/** Flags of `ocm run`. */
export interface RunFlags extends ServerFlags, TurnFlags, JsonFlag, PageFlags {
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
      'Starts a real, isolated opencode server with a scripted model as provider, runs 12 tasks, 6 at a time, in a temporary git repository, and checks the isolation while it runs. Needs no API key; leaves nothing behind.',
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
    .description('Runs tasks on sessions of one isolated server and prints their results.')
    .argument('[file]', 'JSON Lines, one task a line; - reads standard input')
    .optionsGroup('Tasks:')
    .option('--prompt <text...>', 'one task for each text, besides those of the file')
    .option('--out <file>', 'write each result to this file too, one JSON object a line, as it comes')
    .option('--append', 'add to what the file of --out holds')
    .option('--overwrite', 'replace what the file of --out holds');
  addTurnOptions(run);
  addServerOptions(run);
  addPageOptions(run);
  addJsonOption(run);
  run.addHelpText('after', runHelp).action(async (file, flags) => {
    const { run: action } = await import('../commands/run.ts');
    finish(await action(terminal, file, flags));
  });
}

const runHelp = `
A line of the file needs one of prompt, command and shell, and may have id, directory, model, agent, system, title,
timeout, priority, permissions and metadata. custom_id, instance_id and task_id count as id; input, instruction and
problem_statement count as prompt. A bad line is refused with its number before anything starts.

Examples:
  ocm run tasks.jsonl --model anthropic/claude-sonnet-5 --pass-env ANTHROPIC_API_KEY
  echo '{"id": "hello", "prompt": "Say hello"}' | ocm run - --json
  ocm run --prompt "Write a test" --prompt "Find a bug" --permissions allow

The first Ctrl-C takes no new tasks and lets running ones finish, the second aborts them, the third kills the server.`;
