import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { Terminal } from '../terminal/index.ts';
import { addEnqueue } from './queue-commands.ts';
import { addJsonOption, addPageOptions, addServerOptions, addTaskLimitOptions, addTurnOptions, collect } from './shared-options.ts';

/** Adds `ocm demo`, `ocm run`, `ocm resume` and `ocm enqueue`. */
export function addBatchCommands(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  program.commandsGroup('Run:');
  addDemo(program, terminal, finish);
  addRun(program, terminal, finish);
  addResume(program, terminal, finish);
  addEnqueue(program, terminal, finish);
}

function addDemo(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  const demo = program
    .command('demo')
    .summary('try it, without a key')
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
    .summary('run tasks to their end')
    .description('Runs tasks in sessions on one isolated server and prints the results.')
    .argument('[file]', 'tasks as JSON Lines, a JSON array, YAML or CSV; - reads standard input')
    .optionsGroup('Tasks:')
    .option('--prompt <text...>', 'a task for each text, in addition to the file')
    .option('-o, --out <file>', 'also write each result to this file, as JSON Lines')
    .option('--append', 'append to the --out file')
    .option('--overwrite', 'replace the --out file')
    .optionsGroup('Run:')
    .option('--run-dir <dir>', 'keep the run here (default: beside the repository, in <repository>.ocm)')
    .option('--no-run-dir', 'keep nothing: a run that is killed cannot be resumed (default with --prompt alone)')
    .option('--resume', 'go on with the newest run of the same file, if it is not finished')
    .option('--on <pid>', 'run on the server of this ocm serve, whose slots are shared; Ctrl-C leaves the run there')
    .option(
      '--queue <url>',
      'let the workers of this queue run it (redis://..., postgres://...), and collect what they do; Ctrl-C leaves it there',
    )
    .option('--run <key>', 'with --queue: name of the run there; without a file: follow the run of this name')
    .option('--artifacts <dir>', 'with --queue: directory that this host and the workers see, for transcripts and patches');
  addSelectOptions(run);
  run
    .optionsGroup('Workspaces:')
    .addOption(
      new Option(
        '--workspace <mode>',
        'where tasks work: in their directory (shared, the default), or each in a place of its own, made of what is committed (clone, worktree) or of all files (copy)',
      ).choices(['shared', 'clone', 'worktree', 'copy']),
    )
    .option('--patches <dir>', 'put the patches of tasks here (default: beside the repository, in <repository>.ocm)');
  run.option(
    '--root <dir>',
    'make the directory of the run, with its workspaces, in this one (default: <repository>.ocm, beside the repository)',
  );
  addPlaceOptions(run);
  addLimitOptions(run);
  addTurnOptions(run);
  addServerOptions(run);
  addPageOptions(run);
  addJsonOption(run);
  addReporterOption(run);
  run.addHelpText('after', runHelp).action(async (file, flags) => {
    const { run: action } = await import('../commands/run.ts');
    finish(await action(terminal, file, flags));
  });
}

function addReporterOption(command: CommandUnknownOpts): void {
  command.option(
    '--reporter <name>',
    'what standard output tells: default, json, junit, github; junit=FILE writes the report there besides; repeatable',
    collect,
  );
}

/** Which tasks, how often, and when it is enough. */
function addSelectOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Run:')
    .option('--filter <glob>', 'run only tasks whose id matches, such as fix-*; repeatable', collect)
    .option('--limit <n>', 'run only the first n tasks')
    .option('--strict-fields', 'refuse every field that a task does not have (default: other columns are left out)')
    .option('--retries <n>', 'further attempts of tasks that fail, stall or time out (default: 0)')
    .addOption(new Option('--fail-fast [when]', 'start no more tasks after the first failure; now: abort what runs too').choices(['now']))
    .option('--max-failures <n>', 'start no more tasks after so many failures, or this share, such as 10%')
    .option(
      '--on-quota <what>',
      'when a quota is spent: wait for it and go on (the default), fail, or fallback:provider/model to go on with another model',
    )
    .option('--on-done <command>', 'shell line that is run at the end, with the summary as JSON on its standard input')
    .option('--no-transcripts', 'keep no transcripts of what was said')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--detach', 'go on in the background once the server answers; see ocm status and ocm wait');
}

function addResume(program: CommandUnknownOpts, terminal: Terminal, finish: (exitCode: ExitCode) => void): void {
  const resume = program
    .command('resume')
    .summary('go on with a run')
    .description(
      'Goes on with a run that was killed, stopped, or had failures. What has succeeded is not run again; what was in flight is looked at first. Flags are those of the run unless they are given again.',
    )
    .argument('[run]', 'its id, a part of the beginning or end of it, or its path (default: the newest that is not finished)')
    .optionsGroup('Resume:')
    .option('--explain', 'say for each task what will happen and why, and do nothing')
    .option('--retry-errors [outcomes]', 'run again what did not succeed, or only these outcomes, such as failed,timed_out')
    .option('--redo <key>', 'run this task again, whatever became of it; repeatable', collect)
    .addOption(
      new Option('--changed <what>', 'what to do with tasks that ask for something else than before (default: fail)').choices([
        'fail',
        'rerun',
        'keep',
      ]),
    )
    .option('--take-over', 'although its last process was on another machine; only when that one is gone')
    .optionsGroup('Tasks:')
    .option('--tasks <file>', 'the task file, when it has moved (default: where it was)')
    .option('-o, --out <file>', 'add the results that this file does not have to it (default: the --out of the run)');
  addSelectOptions(resume);
  addPlaceOptions(resume);
  addLimitOptions(resume);
  addTurnOptions(resume);
  addServerOptions(resume);
  addPageOptions(resume);
  addJsonOption(resume);
  addReporterOption(resume);
  resume.action(async (name, flags) => {
    const { resume: action } = await import('../commands/resume.ts');
    finish(await action(terminal, name, flags));
  });
}

/** When it is enough. The session of a task goes on for at most the step that is under way when a budget is spent. */
function addLimitOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Limits:')
    .option('--max-time <duration>', 'end the run after this time, such as 8h')
    .option('--max-tokens <n>', 'end the run when so many tokens are used, sub-agents included')
    .option('--max-usd <amount>', 'end the run when it has cost so much, in US dollars');
  addTaskLimitOptions(command);
  command
    .option('--prices <file>', 'what models cost: JSON, {"provider/model": {"input": 3, "output": 15}}, USD per million tokens')
    .option('--allow-unpriced', 'begin although the price of a model is not known and a limit in US dollars would not hold');
}

/** How workspaces are made, and which stay. */
function addPlaceOptions(run: CommandUnknownOpts): void {
  run
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
Each task needs one of prompt, command and shell. Optional: id, files, output_schema, directory, workspace, model, agent, system,
title, timeout, limits, priority, group, permissions, after, retries, repeat, metadata. Aliases of id: custom_id, instance_id, task_id. Aliases of prompt: input,
instruction (joined with input), problem_statement. Other columns are ignored; options that ocm lacks are refused. If a task is invalid,
nothing starts.

Examples:
  ocm run tasks.jsonl --model anthropic/claude-sonnet-5 --pass-env ANTHROPIC_API_KEY
  echo '{"id": "hello", "prompt": "Say hello"}' | ocm run - --json
  ocm run --prompt "Write a test" --prompt "Find a bug" --permissions allow

Ctrl-C starts no new tasks and waits for running ones. A second Ctrl-C aborts them, a third kills the server.`;
