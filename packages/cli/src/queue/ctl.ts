import { OpencodeManagerError } from '@opencode-manager/core';
import type { QueueClient } from '@opencode-manager/queue';
import { isSettled, type JournalEvent, type JournalFold, type TaskChange, type TaskRecord } from '@opencode-manager/runs';
import { taskState } from '@opencode-manager/runs/read';
import { tell } from '../commands/ctl/tasks.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { CtlCancelFlags, CtlListFlags, CtlRequeueFlags, CtlTaskFlags } from '../flags.ts';
import { oneLine, printable, renderTable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { nameIn } from './look.ts';
import { addMissing, foldOf, queueOf } from './submit.ts';

const steps = {
  pause: { wish: { isPaused: true }, type: 'run.paused', text: 'paused: what runs goes on, and nothing starts' },
  resume: { wish: { isPaused: false }, type: 'run.resumed', text: 'goes on' },
  cancel: { wish: { isCancelled: true }, type: 'run.cancelled', text: 'ends: what runs is aborted on every host' },
} as const;

/** `ocm ctl run pause|resume|cancel --queue URL` */
export async function steerQueuedRun(
  terminal: Terminal,
  given: string | undefined,
  flags: CtlCancelFlags,
  step: keyof typeof steps,
): Promise<ExitCode> {
  if (flags.drain)
    throw new OpencodeManagerError(
      'QUEUE_UNSUITED',
      '--drain cannot be had with --queue. Pause the run, and cancel it when nothing runs any more.',
    );
  await using client = await queueOf(flags);
  const run = await nameIn(client, given);
  const { isPaused, isCancelled } = await client.ledger.wishes(run);
  const { wish, type, text } = steps[step];
  const changed = 'isPaused' in wish ? isPaused !== wish.isPaused : !isCancelled;
  await client.ledger.steer(run, wish);
  if (flags.json) terminal.record({ type, run, changed });
  else terminal.result(`${printable(run)} ${changed ? text : 'is unchanged'}`);
  return exitCodes.ok;
}

/** `ocm ctl task list --queue URL`, and `task show KEY...` */
export async function listQueuedTasks(terminal: Terminal, flags: CtlListFlags, keys?: readonly string[]): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const fold = await foldOf(client.ledger, await nameIn(client, flags.run));
  if (keys) refuseUnknown(fold, keys);
  const views = [...fold.tasks()]
    .map(viewOf)
    .filter(({ key, state }) => (!keys || keys.includes(key)) && (!flags.state || flags.state.includes(state)));
  if (flags.json) for (const view of views) terminal.record({ type: 'task', ...view });
  else {
    const columns = [{ title: 'TASK' }, { title: 'STATE' }, { title: 'ATTEMPT', align: 'right' }, { title: 'WHY' }] as const;
    const rows = views.map(({ key, state, attempt, error_code: code }) => [
      oneLine(key, 60),
      state.replaceAll('_', ' '),
      String(attempt || ''),
      code ?? '',
    ]);
    for (const line of rows.length === 0 ? [] : renderTable(columns, rows, terminal.colors.bold)) terminal.result(line);
  }
  return exitCodes.ok;
}

function viewOf(record: TaskRecord) {
  const { key, attempts: attempt, open, end, isCancelled } = record;
  const state = taskState(record, true);
  return {
    key,
    // As `ocm ctl` calls it.
    state: state === 'not_started' ? 'queued' : state,
    attempt,
    session_id: open?.sessionId ?? null,
    outcome: end?.outcome ?? null,
    error_code: end?.errorCode ?? null,
    cancelled: isCancelled,
  };
}

/** `ocm ctl task cancel KEY... --queue URL`: reaches every host within 2 s. */
export async function cancelQueuedTasks(terminal: Terminal, keys: readonly string[], flags: CtlTaskFlags): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const { ledger } = client;
  const run = await nameIn(client, flags.run);
  const fold = await foldOf(ledger, run);
  refuseUnknown(fold, keys);
  const changes = keys.map((key): TaskChange => {
    const task = fold.task(key)!;
    if (isSettled(task)) return { key, change: 'none', why: task.isCancelled ? 'it is cancelled already' : 'it is over' };
    return { key, change: task.open ? 'aborting' : 'cancelled', why: null };
  });
  const wanted = changes.filter(({ change }) => change !== 'none').map(({ key }) => key);
  const rows = wanted.map((key): JournalEvent => ({ type: 'task.cancelled', key }));
  if (rows.length > 0) await ledger.append(run, rows);
  await ledger.unwant(run, wanted);
  tell(terminal, changes, flags.json);
  return exitCodes.ok;
}

/** `ocm ctl task requeue KEY... --queue URL`: tries tasks again that have come to their end. */
export async function requeueQueuedTasks(
  terminal: Terminal,
  keys: readonly string[],
  { force = false, ...flags }: CtlRequeueFlags,
): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const run = await nameIn(client, flags.run);
  const fold = await foldOf(client.ledger, run);
  refuseUnknown(fold, keys);
  const changes = keys.map((key): TaskChange => {
    const task = fold.task(key)!;
    if (!isSettled(task)) return { key, change: 'none', why: 'it is not over' };
    if (task.end?.outcome === 'succeeded' && !force) return { key, change: 'none', why: 'it has succeeded; --force tries it again' };
    return { key, change: 'requeued', why: null };
  });
  await requeue(
    client,
    run,
    fold,
    changes.filter(({ change }) => change === 'requeued').map(({ key }) => key),
  );
  tell(terminal, changes, flags.json);
  return exitCodes.ok;
}

async function requeue(client: QueueClient, run: string, fold: JournalFold, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  const { ledger } = client;
  const { endedBecause, generation } = fold.history();
  const opened: JournalEvent[] = endedBecause === null ? [] : [{ type: 'run.opened', generation: generation + 1 }];
  await ledger.unwant(run, keys, false);
  await ledger.append(run, [...opened, ...keys.map((key): JournalEvent => ({ type: 'task.requeued', key }))]);
  await ledger.resubmit(run, keys);
  await addMissing(client, run);
}

function refuseUnknown(fold: JournalFold, keys: readonly string[]): void {
  const unknown = keys.filter((key) => fold.task(key) === undefined);
  if (unknown.length > 0)
    throw new OpencodeManagerError('TASK_UNKNOWN', `The run has no task ${unknown.join(', ')}. Nothing was changed.`, {
      details: { keys: unknown },
    });
}

/** A provider that a user has paused stays so until resume, in milliseconds. */
const pausedMs = 10 * 365 * 86_400_000;

/** `ocm ctl provider list --queue URL`: what is held back on all hosts. */
export async function listHeldProviders(terminal: Terminal, flags: CtlTaskFlags): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const rows: string[][] = [];
  for (const [id, untilMs] of Object.entries(await client.ledger.holds())) {
    const isPaused = untilMs > Date.now() + pausedMs / 2;
    const until = isPaused ? null : new Date(untilMs).toISOString();
    if (flags.json) terminal.record({ type: 'provider', id, is_paused: isPaused, held_until: until });
    else rows.push([printable(id), isPaused ? 'paused' : `held until ${until}`]);
  }
  if (!flags.json && rows.length === 0) terminal.notice('No provider is held back.');
  for (const line of rows.length === 0 ? [] : renderTable([{ title: 'PROVIDER' }, { title: 'STATE' }], rows, terminal.colors.bold))
    terminal.result(line);
  return exitCodes.ok;
}

/** `ocm ctl provider pause|resume ID... --queue URL`, for all hosts and all runs of the queue. */
export async function holdProviders(terminal: Terminal, ids: readonly string[], flags: CtlTaskFlags, isPaused: boolean): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const held = await client.ledger.holds();
  for (const id of ids) {
    await client.ledger.hold(id, isPaused ? Date.now() + pausedMs : 0);
    const changed = isPaused || id in held;
    if (flags.json) terminal.record({ type: isPaused ? 'provider.paused' : 'provider.resumed', provider: id, changed });
    else
      terminal.result(
        `${printable(id)} ${isPaused ? 'paused: nothing that asks it starts on any host' : changed ? 'goes on' : 'was not held back'}`,
      );
  }
  return exitCodes.ok;
}
