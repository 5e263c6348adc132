import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { TaskStandingState } from '@opencode-manager/runs';
import type { ExitCode } from '../exit-codes.ts';
import type { Terminal } from '../terminal/index.ts';
import { addJsonOption } from './shared-options.ts';

type Finish = (exitCode: ExitCode) => void;

const runArgument = 'id of a live run, a part of it, or its path (default: the newest live one of this repository)';

/** Where a task may stand; written out, so that the help needs nothing of the runs. */
const taskStates: Readonly<Record<TaskStandingState, true>> = {
  queued: true,
  blocked: true,
  delayed: true,
  parked: true,
  reading: true,
  running: true,
  skipped: true,
  cancelled: true,
  succeeded: true,
  failed: true,
  timed_out: true,
  stalled: true,
  over_budget: true,
  quota_exhausted: true,
  needs_input: true,
  runaway: true,
  aborted: true,
  interrupted: true,
  server_lost: true,
};

/** Adds `ocm ctl`: what is changed on a live run, by its manager's socket. */
export function addCtlCommands(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const ctl = program
    .command('ctl')
    .summary('control a live run')
    .description(
      'Controls a run while it runs. What is said twice changes nothing the second time. Cancelled and requeued tasks stay so when the run is resumed; pause and settings end with the process that has the run.',
    );
  addRun(ctl, terminal, finish);
  addTask(ctl, terminal, finish);
  addProvider(ctl, terminal, finish);
  addConfig(ctl, terminal, finish);
}

function addRun(ctl: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const run = ctl
    .command('run')
    .summary('look at a run, pause, resume or cancel it')
    .description('Looks at a live run, pauses, resumes or cancels it.');
  const verbs = {
    show: ['say how it stands', 'Says how a live run stands: what runs and waits, its settings, and why nothing starts.'],
    pause: ['start nothing more until resume', 'Starts no attempt until resume. What runs goes on.'],
    resume: ['go on after pause', 'Goes on after pause.'],
  } as const;
  for (const [verb, [summary, description]] of Object.entries(verbs) as [keyof typeof verbs, readonly [string, string]][]) {
    const command = run.command(verb).summary(summary).description(description).argument('[run]', runArgument);
    addQueueOption(command);
    addJsonOption(command);
    command.action(async (name, flags) => {
      const { showRun, pauseRun, resumeRun } = await import('../commands/ctl/run.ts');
      finish(await { show: showRun, pause: pauseRun, resume: resumeRun }[verb](terminal, name, flags));
    });
  }
  const cancel = run
    .command('cancel')
    .summary('end it, so that ocm resume can go on')
    .description('Ends a run: what runs is aborted. ocm resume goes on with it.')
    .argument('[run]', runArgument)
    .option('--drain', 'let what runs come to its end');
  addQueueOption(cancel);
  addJsonOption(cancel);
  cancel.action(async (name, flags) => {
    const { cancelRun } = await import('../commands/ctl/run.ts');
    finish(await cancelRun(terminal, name, flags));
  });
}

function addTask(ctl: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const task = ctl
    .command('task')
    .summary('list, cancel or requeue its tasks')
    .description('Lists the tasks of a live run, cancels them, or tries them again.');
  const list = task
    .command('list')
    .summary('list tasks, and where they stand')
    .description('Lists the tasks of a live run, and where they stand.')
    .addOption(new Option('--state <name...>', 'only those that stand so').choices(Object.keys(taskStates)));
  addTaskOptions(list);
  list.action(async (flags) => finish(await (await import('../commands/ctl/tasks.ts')).listTasks(terminal, flags)));

  const show = task
    .command('show')
    .summary('say how tasks stand')
    .description('Says how tasks stand. Answers and transcripts: ocm show.')
    .argument('<key...>', 'keys of tasks');
  addTaskOptions(show);
  show.action(async (keys, flags) => finish(await (await import('../commands/ctl/tasks.ts')).showTasks(terminal, keys, flags)));

  const cancel = task
    .command('cancel')
    .summary('want no more of tasks')
    .description('Aborts tasks that run, and takes those out that wait. They do not run again by themselves, nor when the run is resumed.')
    .argument('<key...>', 'keys of tasks; with one that is unknown nothing is done');
  addTaskOptions(cancel);
  cancel.action(async (keys, flags) => finish(await (await import('../commands/ctl/tasks.ts')).cancelTasks(terminal, keys, flags)));

  const requeue = task
    .command('requeue')
    .summary('try tasks again that have come to their end')
    .description('Tries tasks again, in the same run, that have come to their end without success, and what was skipped because of them.')
    .argument('<key...>', 'keys of tasks; with one that is unknown nothing is done')
    .option('--force', 'also those that have succeeded');
  addTaskOptions(requeue);
  requeue.action(async (keys, flags) => finish(await (await import('../commands/ctl/tasks.ts')).requeueTasks(terminal, keys, flags)));
  addEvents(task, terminal, finish);
}

function addEvents(task: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const events = task
    .command('events')
    .summary('print the journal of tasks')
    .description('Prints what the journal of a live run says of tasks, each row with its number.')
    .argument('[key...]', 'keys of tasks (default: all)')
    .option('--follow', 'go on with the rows that come, until the run has ended')
    .option('--since <seq>', 'only rows after this number');
  addTaskOptions(events);
  events.action(async (keys, flags) => finish(await (await import('../commands/ctl/tasks.ts')).taskEvents(terminal, keys, flags)));
}

function addTaskOptions(command: CommandUnknownOpts): void {
  command.option('--run <run>', runArgument);
  addQueueOption(command);
  addJsonOption(command);
}

/** Without it the run is that of a process of this machine. */
function addQueueOption(command: CommandUnknownOpts): void {
  command.option('--queue <url>', 'a run of this queue, by its name there');
}

function addProvider(ctl: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const provider = ctl
    .command('provider')
    .summary('list, pause or resume its providers')
    .description('Lists the providers that a live run asks, pauses them, or has them go on.');
  const list = provider
    .command('list')
    .summary('list providers, and what holds them back')
    .description('Lists the providers that a live run asks, what runs and waits there, and until when nothing starts.');
  addTaskOptions(list);
  list.action(async (flags) => finish(await (await import('../commands/ctl/providers.ts')).listProviders(terminal, flags)));
  const pause = provider
    .command('pause')
    .summary('ask providers nothing more until resume')
    .description('Starts nothing that asks these providers until resume. What runs goes on.')
    .argument('<provider...>', 'ids of providers; with one that is unknown nothing is done');
  addTaskOptions(pause);
  pause.action(async (ids, flags) => finish(await (await import('../commands/ctl/providers.ts')).pauseProviders(terminal, ids, flags)));
  const resume = provider
    .command('resume')
    .summary('go on with providers, whatever held them')
    .description('Goes on with providers that a user has paused, or that wait for their quota: their parked tasks go on at once.')
    .argument('<provider...>', 'ids of providers; with one that is unknown nothing is done');
  addTaskOptions(resume);
  resume.action(async (ids, flags) => finish(await (await import('../commands/ctl/providers.ts')).resumeProviders(terminal, ids, flags)));
}

function addConfig(ctl: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const config = ctl.command('config').summary('change its settings').description('Changes settings of a live run.');
  const set = config
    .command('set')
    .summary('change concurrency, budgets or timeout')
    .description(
      'Changes how many attempts run at once (concurrency=12), what the run may take (tokens=2000000, usd=20), or the timeout of attempts that start from now on (timeout=30m). What is lowered aborts nothing unless --enforce says so.',
    )
    .argument('<name=value...>', 'concurrency=N, tokens=N, usd=AMOUNT, timeout=DURATION')
    .option(
      '--enforce',
      'abort the newest attempts above a lower concurrency, and all when a budget is below what is spent; their tasks run again',
    );
  addTaskOptions(set);
  set.action(async (assignments, flags) =>
    finish(await (await import('../commands/ctl/config.ts')).setConfig(terminal, assignments, flags)),
  );
}
