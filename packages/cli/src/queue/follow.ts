import { resolve } from 'node:path';
import { isManagerError, OpencodeManagerError, toManagerError } from '@opencode-manager/core';
import { Collection, type QueueClient } from '@opencode-manager/queue';
import {
  createRunDirectory,
  findRuns,
  isSettled,
  openRunDirectory,
  readRunFile,
  runLayout,
  taskLine,
  type JournalEvent,
  type RunDirectory,
  type RunSummary,
  type TaskRecord,
} from '@opencode-manager/runs';
import {
  conclude,
  createReporter,
  openJunitOutput,
  openOutputFile,
  outputMode,
  refuseSharedOutputs,
  reportersOf,
  Teller,
  type FollowedRun,
} from '../batch/index.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { RunFlags } from '../flags.ts';
import { createProgress, plural, printable } from '../render/index.ts';
import { listenForStop, whenAborted, type StopSignals } from '../signals.ts';
import type { NamedTask } from '../task-file/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { Holding } from './holding.ts';
import { providersOf, type Manifest, type QueuedTask } from './manifest.ts';
import { refuseFlagsForQueue } from './refuse.ts';
import { addMissing, findQueuedRun, foldOf, queueOf, runNameIn, submitToQueue } from './submit.ts';

/** While it is followed, what the queue has lost of its jobs is put in again at this interval, in milliseconds. */
const healMs = 60_000;

/**
 * `ocm run FILE --queue URL --run KEY`: puts the tasks in where they are not, follows what workers do, and brings all of it into the directory of
 * a run. The same command goes on with it on any host. Ctrl-C leaves the run in the queue.
 */
export async function runOnQueue(terminal: Terminal, file: string | undefined, flags: RunFlags): Promise<ExitCode> {
  const name = runNameIn(flags);
  refuseFlagsForQueue(flags);
  outputMode(flags);
  refuseSharedOutputs(terminal, file, flags);
  const reporters = reportersOf(flags);
  await using client = await queueOf(flags);
  const manifest = await manifestOf(terminal, client, { name, file, flags });
  if (flags.detach) return exitCodes.ok;
  using junit = openJunitOutput(reporters);
  const tasks = await tasksIn(client, name);
  using progress = createProgress(terminal, { total: tasks.size });
  const note = (line: string) => progress.note(printable(line));
  using signals = listenForStop({ terminal, onStep: () => note('Leaving the run in the queue.') });
  await using directory = await directoryOf(client, { name, manifest, flags, tasks });
  const { output } = reporters;
  using out = flags.out === undefined ? undefined : openOutputFile(flags.out, outputMode(flags));
  await goOn(client, name);
  const collection = new Collection({ ledger: client.ledger, run: name, directory, onNote: note });
  tell(terminal, { name, client, directory, total: tasks.size, json: flags.json === true, note });
  const { configuration_digest: configuration } = manifest;
  using holding = new Holding({ ledger: client.ledger, run: name, configuration, providers: providersOf(tasks.values(), manifest) });
  progress.holds(() => holding.why);
  const settled = new Set([...(await foldOf(client.ledger, name)).tasks()].filter(isSettled).map(({ key }) => key));
  const context = contextOf({ terminal, name, flags, tasks, settled, directory, collection, progress, signals, out, junit, output });
  const reporter = createReporter({ terminal, progress, output, single: tasks.size === 1, out, junit });
  const healing = setInterval(() => void addMissing(client, name).catch(() => undefined), healMs);
  try {
    const teller = new Teller({ plan: context.prepared.plan, startSequence: collection.startSequence }, reporter, context);
    const followed = await follow(collection, teller, signals);
    if (followed)
      return await conclude(
        { ...context, prepared: { ...context.prepared, counts: collection.counts() } },
        { followed, kept: [], stopped: undefined },
      );
  } finally {
    clearInterval(healing);
  }
  progress[Symbol.dispose]();
  terminal.notice(
    printable(
      `The run ${name} stays in the queue. To go on: ocm run --queue URL --run ${name}   To end it: ocm ctl run cancel ${name} --queue URL`,
    ),
  );
  return signals.exitCode ?? exitCodes.interrupted;
}

interface Asked {
  readonly name: string;
  readonly file: string | undefined;
  readonly flags: RunFlags;
}

/** Without tasks the run has to be there. */
async function manifestOf(terminal: Terminal, client: QueueClient, { name, file, flags }: Asked): Promise<Manifest> {
  if (file === undefined && flags.prompt === undefined) return findQueuedRun(client, name);
  return (await submitToQueue(terminal, client, { file, flags })).manifest;
}

async function tasksIn({ ledger }: QueueClient, name: string): Promise<ReadonlyMap<string, QueuedTask>> {
  return new Map([...(await ledger.tasks(name))].map(([key, text]) => [key, JSON.parse(text) as QueuedTask]));
}

/** Goes on with a run that has ended, or was cancelled, before all of its tasks had: its tasks are submitted again. */
async function goOn(client: QueueClient, name: string): Promise<void> {
  const { ledger } = client;
  const fold = await foldOf(ledger, name);
  const { endedBecause, generation } = fold.history();
  if (endedBecause === null && !(await ledger.wishes(name)).isCancelled) return;
  const left = [...fold.tasks()].filter((task) => !isSettled(task) || isPassing(task));
  if (left.length === 0) return;
  const requeued = left.filter(isPassing).map(({ key }): JournalEvent => ({ type: 'task.requeued', key }));
  const opened: JournalEvent = { type: 'run.opened', generation: generation + 1 };
  // Another host may do the same at this moment.
  if (!(await ledger.append(name, [opened, ...requeued], fold.lastSequence))) return;
  await ledger.resubmit(
    name,
    left.map(({ key }) => key),
  );
  await ledger.steer(name, { isCancelled: false });
  await addMissing(client, name);
}

/** It ended by no fault of its own. */
function isPassing({ end, isCancelled }: TaskRecord): boolean {
  return !isCancelled && end?.final === true && (end.outcome === 'interrupted' || end.outcome === 'server_lost');
}

interface Kept {
  readonly name: string;
  readonly manifest: Manifest;
  readonly flags: RunFlags;
  readonly tasks: ReadonlyMap<string, QueuedTask>;
}

/** The directory in which this host has the run already, or a new one. */
async function directoryOf(client: QueueClient, { name, manifest, flags, tasks }: Kept): Promise<RunDirectory> {
  const { runDir } = flags;
  if (runDir === false)
    throw new OpencodeManagerError(
      'QUEUE_UNSUITED',
      '--no-run-dir cannot be had with --queue: what workers do is collected into the directory of the run.',
    );
  const at = resolve(flags.directory ?? '.');
  const known = runDir === undefined ? await knownDirectory(at, name, client) : await isRun(resolve(runDir), name, client);
  if (known !== undefined) return openRunDirectory(known);
  const { schema_version: _version, flags: shared, directory: _directory, default_models: _models, ...facts } = manifest;
  const configuration = { flags: shared, queue: { url: client.address.shown, run: name } };
  const directory = await createRunDirectory({
    directory: at,
    title: name,
    facts: { ...facts, configuration },
    ...(runDir !== undefined && { runDir }),
    ...(flags.root !== undefined && { runsIn: resolve(flags.root) }),
  });
  await directory.addTasks([...tasks].map(([key, { hash, fields, task }]) => taskLine({ key, hash, fields, task, files: [] }, 1)));
  return directory;
}

async function knownDirectory(directory: string, name: string, client: QueueClient): Promise<string | undefined> {
  for (const { path, run } of await findRuns(directory)) if (run && isOf(run.configuration, name, client)) return path;
  return undefined;
}

/** A directory that was named: that of this run, or one that is to be made. */
async function isRun(path: string, name: string, client: QueueClient): Promise<string | undefined> {
  try {
    const { configuration } = await readRunFile(runLayout(path).runFile);
    if (isOf(configuration, name, client)) return path;
  } catch (error) {
    if (!isManagerError(error, 'RUN_UNREADABLE')) throw error;
    return undefined;
  }
  throw new OpencodeManagerError('RUN_EXISTS', `${path} holds another run. Name another directory with --run-dir.`, { details: { path } });
}

function isOf(configuration: Readonly<Record<string, unknown>>, name: string, { address }: QueueClient): boolean {
  const { url, run } = (configuration['queue'] ?? {}) as { readonly url?: string; readonly run?: string };
  return run === name && url === address.shown;
}

interface Told {
  readonly name: string;
  readonly client: QueueClient;
  readonly directory: RunDirectory;
  readonly total: number;
  readonly json: boolean;
  readonly note: (line: string) => void;
}

function tell(terminal: Terminal, { name, client: { address }, directory: { path, run }, total, json, note }: Told): void {
  if (json) terminal.record({ type: 'launch', pid: process.pid, run: run.id, run_dir: path, queue: address.shown, queue_run: name, total });
  else note(`Run ${name} with ${plural(total, 'task')} on ${address.shown}, collected in ${path}`);
}

type Parts = Pick<Parameters<typeof conclude>[0], 'terminal' | 'progress' | 'signals' | 'out' | 'junit' | 'output'> & {
  readonly name: string;
  readonly flags: RunFlags;
  readonly tasks: ReadonlyMap<string, QueuedTask>;
  /** Keys of tasks that are over in the queue. */
  readonly settled: ReadonlySet<string>;
  readonly directory: RunDirectory;
  readonly collection: Collection;
};

function contextOf({ name, flags, tasks, settled, directory, collection, ...parts }: Parts) {
  const { history } = collection;
  // One that was submitted again is collected again.
  const before = history.tasks.filter((task) => isSettled(task) && settled.has(task.key));
  const collected = new Map(before.map(({ key, end }) => [key, end?.outcome ?? null]));
  const lines = [...tasks.keys()].map((key) =>
    collected.has(key)
      ? { key, decision: 'reuse' as const, why: 'It is collected already.', outcome: collected.get(key) ?? null }
      : { key, decision: 'new' as const, why: 'It is on its way.', outcome: null },
  );
  parts.progress.expects(tasks.size, before.length);
  const named = [...tasks.values()].map(({ task }) => task as NamedTask);
  const plan = { tasks: named, request: { flags, resumed: undefined } };
  const prepared = { id: directory.run.id, path: directory.path, counts: collection.counts(), plan: lines, queueRun: name };
  return { ...parts, plan, prepared, startedAt: performance.now(), workspaces: undefined };
}

/** Tells rows as they are collected, until the run has ended; undefined when this process leaves it. */
async function follow(collection: Collection, teller: Teller, signals: StopSignals): Promise<FollowedRun | undefined> {
  const leaving = new AbortController();
  const stop = whenAborted(signals.drain, () => leaving.abort());
  let failure: OpencodeManagerError | undefined;
  for await (const row of collection.rows(leaving.signal)) {
    try {
      teller.tell(row);
    } catch (error) {
      failure ??= toManagerError(error);
    }
  }
  stop();
  const { endedBecause } = collection.history;
  if (endedBecause === null) return undefined;
  teller.end();
  const summary: RunSummary = { reason: endedBecause, why: null, error: null, counts: collection.counts(), totals: collection.totals() };
  return { summary, tally: teller.tally, failure, pool: { gaps: 0, restarts: 0, serverRestarts: 0 } };
}
