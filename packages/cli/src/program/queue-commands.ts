import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { Terminal } from '../terminal/index.ts';
import { addJsonOption, addServerOptions, addTaskLimitOptions, collect } from './shared-options.ts';

type Finish = (exitCode: ExitCode) => void;

const queueText = 'URL of the queue: redis://, rediss://, valkey:// or postgres://';

/** `ocm enqueue` */
export function addEnqueue(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const enqueue = program
    .command('enqueue')
    .summary('put tasks into a queue')
    .description(
      'Puts a file of tasks into a queue that ocm worker drains on any number of hosts. The same call twice puts them in once. To collect what they do: ocm run --queue URL --run KEY.',
    )
    .argument('[file]', 'tasks as JSON Lines, a JSON array, YAML or CSV; - reads standard input')
    .optionsGroup('Queue:')
    .option('--queue <url>', queueText)
    .option('--run <key>', 'name of the run in the queue: letters, digits, ".", "_", "-"')
    .optionsGroup('Tasks:')
    .option('--prompt <text...>', 'a task for each text, in addition to the file')
    .option('--filter <glob>', 'only tasks whose id matches, such as fix-*; repeatable', collect)
    .option('--limit <n>', 'only the first n tasks')
    .option('--strict-fields', 'refuse every field that a task does not have (default: other columns are left out)')
    .option('--retries <n>', 'further attempts of tasks that fail, stall or time out (default: 0)')
    .option('--on-quota <what>', 'when a quota is spent: wait (the default), fail, or fallback:provider/model')
    .option('--no-transcripts', 'keep no transcripts of what was said')
    .optionsGroup('Workspaces:')
    .addOption(
      new Option(
        '--workspace <mode>',
        'each task in a clone of its repository, which the worker gets from its remote (clone, the default), or in a directory that all hosts see (shared)',
      ).choices(['clone', 'shared']),
    )
    .option('--setup <command>', 'shell line that prepares each workspace')
    .option('--setup-timeout <duration>', 'its timeout (default: 10m)')
    .option('--ready <command>', 'shell line that must end with 0 before a task begins in its workspace')
    .option('--ready-timeout <duration>', 'its timeout (default: 10m)')
    .option('--lfs', 'download the files that are in Git LFS (default: their pointers)')
    .optionsGroup('Turns:')
    .option('-m, --model <provider/model>', "model of tasks without one (default: the opencode configuration's)")
    .option('--agent <name>', 'agent of tasks without one')
    .option('--timeout <duration>', 'timeout of each turn, such as 90s or 5m')
    .option('--permissions <policy>', 'deny, allow, or a JSONC file with a list of rules (default: deny)')
    .optionsGroup('Configuration:')
    .option('-d, --directory <dir>', 'where tasks work that name no directory (default: the current directory)')
    .option('--opencode-config <file>', "opencode's own configuration; workers need the same one")
    .option('--opencode-config-dir <dir>', 'directory with agents, commands and plugins; workers need the same one')
    .option('--config <file>', 'server options as JSON or JSONC; flags override it')
    .option('--binary <path>', 'opencode binary, whose version is noted (default: OPENCODE_BIN, PATH, the package opencode-ai)');
  addTaskLimitOptions(enqueue);
  addJsonOption(enqueue);
  enqueue.action(async (file, flags) => {
    const { enqueue: action } = await import('../commands/enqueue.ts');
    finish(await action(terminal, file, flags));
  });
}

/** `ocm worker` */
export function addWorker(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const worker = program
    .command('worker')
    .summary('run tasks of a queue')
    .description(
      'Takes tasks of a queue and runs them on an isolated server of its own, beside any number of other workers, until a signal. It takes runs whose opencode configuration is its own. SIGTERM or Ctrl-C: it takes no more, and ends with what runs; a second one gives that back to the queue.',
    )
    .optionsGroup('Queue:')
    .option('--queue <url>', queueText)
    .option('--provider <id>', 'a provider that tasks may ask, besides those of the configuration; repeatable', collect)
    .option('--lease <duration>', 'how long a task is held without a sign of this host (default: 60s)')
    .option('--health <port>', '[HOST:]PORT on which /health and /ready answer')
    .option('--artifacts <dir>', 'directory that all hosts see, for transcripts and patches (default: the queue, 1 MB a file)')
    .option('--root <dir>', 'make clones and workspaces below this directory (default: the temporary one)')
    .optionsGroup('Turns:')
    .option('-c, --concurrency <n>', 'tasks that run at once (default: 6)')
    .option('--max-answer <size>', 'abort a turn that says more than this (default: 16MB)')
    .option('--max-server-memory <size>', 'replace the server when its memory exceeds this, such as 2GiB; off: never')
    .option('--max-idle-directories <n>', 'idle directories that the server keeps loaded (default: 16)')
    .option('--prices <file>', 'what models cost: JSON, {"provider/model": {"input": 3, "output": 15}}, USD per million tokens');
  addServerOptions(worker);
  addJsonOption(worker);
  worker.action(async (flags) => {
    const { worker: action } = await import('../commands/worker.ts');
    finish(await action(terminal, flags));
  });
}
