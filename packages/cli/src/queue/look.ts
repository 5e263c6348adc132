import { OpencodeManagerError } from '@opencode-manager/core';
import type { Ledger, QueueClient } from '@opencode-manager/queue';
import type { JournalFold, JournalRow } from '@opencode-manager/runs';
import { countStates, readingsOf, type StateCounts } from '@opencode-manager/runs/read';
import { printReadings } from '../commands/results.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { JsonFlag, QueueFlags, ResultsFlags } from '../flags.ts';
import { plural, printable, renderTable } from '../render/index.ts';
import { countsText, statusText } from '../run-view/counts.ts';
import type { Terminal } from '../terminal/index.ts';
import { whyHeld } from './holding.ts';
import { manifestIn, providersOf, type Manifest, type QueuedTask } from './manifest.ts';
import { findQueuedRun, foldOf, queueOf } from './submit.ts';
import { unableFor, type ToldWorker, type UnableWorker } from './told-worker.ts';

/** How a run of a queue stands. */
interface QueuedStanding {
  readonly name: string;
  readonly manifest: Manifest;
  readonly createdAtMs: number;
  readonly status: 'running' | 'paused' | 'cancelled' | 'done' | 'aborted' | 'waiting for workers';
  readonly counts: StateCounts;
  readonly workers: number;
  /** Of those, which cannot begin a task of it, and why. */
  readonly unable: readonly UnableWorker[];
  /** Why nothing of it starts though tasks wait; null when something runs, or may. */
  readonly holding: string | null;
}

/** `ocm status NAME --queue URL` */
export async function queueStatus(terminal: Terminal, name: string | undefined, flags: JsonFlag & QueueFlags): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const standing = await standingOf(client, await nameIn(client, name));
  if (flags.json) terminal.record(recordOf(standing));
  else for (const line of linesOf(standing, terminal)) terminal.result(line);
  return exitCodes.ok;
}

/** `ocm runs --queue URL`: its runs, and who drains it. */
export async function queueRuns(terminal: Terminal, flags: JsonFlag & QueueFlags): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const all = await Promise.all((await client.ledger.runs()).map((name) => standingOf(client, name)));
  if (flags.json) for (const one of all) terminal.record(recordOf(one));
  else if (all.length === 0) terminal.notice('The queue has no run. Put one in with: ocm enqueue FILE --queue URL --run KEY');
  else for (const line of table(all, terminal)) terminal.result(line);
  for (const { host, pid, running, concurrency } of await workersOf(client.ledger)) {
    if (flags.json) terminal.record({ type: 'worker', host, pid, running, concurrency });
    else terminal.notice(printable(`worker ${pid} on ${host}: ${running} of ${concurrency} slots in use`));
  }
  return exitCodes.ok;
}

/** `ocm results NAME --queue URL` */
export async function queueResults(terminal: Terminal, name: string | undefined, flags: ResultsFlags): Promise<ExitCode> {
  await using client = await queueOf(flags);
  const run = await nameIn(client, name);
  const fold = await foldOf(client.ledger, run);
  const rows = rowsUpTo(client.ledger, run, fold.lastSequence);
  return printReadings(terminal, readingsOf([...fold.tasks()], rows, isLive(fold)), flags, { queue_run: run });
}

async function* rowsUpTo(ledger: Ledger, run: string, last: number): AsyncGenerator<JournalRow, void> {
  for (let after = 0; after < last;) {
    const rows = await ledger.rows(run, after, 100);
    if (rows.length === 0) return;
    for (const row of rows) if (row.sequence <= last) yield row;
    after = rows.at(-1)!.sequence;
  }
}

/** The run that is meant; without a name the only one. @throws OpencodeManagerError `RUN_UNKNOWN`, `USAGE` */
export async function nameIn(client: QueueClient, name: string | undefined): Promise<string> {
  if (name !== undefined) {
    await findQueuedRun(client, name);
    return name;
  }
  const names = await client.ledger.runs();
  if (names.length === 1) return names[0]!;
  const there = names.length === 0 ? 'The queue has no run.' : `Name one of the runs of the queue: ${names.join(', ')}.`;
  throw new OpencodeManagerError('USAGE', there);
}

/** Somebody may still work at it. */
function isLive(fold: JournalFold): boolean {
  return fold.history().endedBecause === null;
}

async function standingOf(client: QueueClient, name: string): Promise<QueuedStanding> {
  const [found, fold, workers] = await Promise.all([client.ledger.run(name), foldOf(client.ledger, name), workersOf(client.ledger)]);
  if (!found) throw new OpencodeManagerError('RUN_UNKNOWN', `The queue has no run ${name} any more.`);
  const manifest = manifestIn(name, found.manifest);
  const counts = countStates([...fold.tasks()], isLive(fold));
  const suited = workers.filter(({ configuration }) => configuration === manifest.configuration_digest);
  const { endedBecause } = fold.history();
  const { waiting = 0, not_started: left = 0, running = 0 } = counts.states;
  const live = found.isCancelled ? 'cancelled' : found.isPaused ? 'paused' : suited.length === 0 ? 'waiting for workers' : 'running';
  // Nobody may have collected it: then its end is not written.
  const isDone = endedBecause === 'done' || (endedBecause === null && waiting + left + running === 0);
  const status = isDone ? 'done' : endedBecause === null ? live : 'aborted';
  const isWaiting = endedBecause === null && !isDone && running === 0;
  const holding = isWaiting ? await holdingOf(client.ledger, name, manifest) : null;
  return {
    name,
    manifest,
    createdAtMs: found.createdAtMs,
    status,
    counts,
    workers: suited.length,
    unable: unableFor(name, suited),
    holding,
  };
}

async function holdingOf(ledger: Ledger, run: string, manifest: Manifest): Promise<string | null> {
  const tasks = [...(await ledger.tasks(run)).values()].map((text) => JSON.parse(text) as QueuedTask);
  return whyHeld({ ledger, run, configuration: manifest.configuration_digest, providers: providersOf(tasks, manifest) });
}

async function workersOf(ledger: Ledger): Promise<readonly ToldWorker[]> {
  return (await ledger.workers()).map(({ told }) => JSON.parse(told) as ToldWorker);
}

function recordOf({ name, manifest, createdAtMs, status, counts, workers, unable, holding }: QueuedStanding): object {
  const { total, states, dropped } = counts;
  const created = new Date(createdAtMs).toISOString();
  return {
    type: 'run',
    id: name,
    status: status.replaceAll(' ', '_'),
    created_at: created,
    source: manifest.source,
    total,
    states,
    dropped,
    workers,
    unable_workers: unable,
    holding,
  };
}

function linesOf({ name, status, counts, workers, manifest, unable, holding }: QueuedStanding, { colors }: Terminal): string[] {
  const hasEnded = status === 'done' || status === 'aborted';
  return [
    `${colors.bold(printable(name))}  ${statusText(status as 'done')}`,
    `  ${countsText(counts)}`,
    ...(hasEnded ? [] : [`  ${plural(workers, 'worker')} with its configuration`]),
    ...(holding === null ? [] : [printable(`  nothing starts: ${holding}`)]),
    ...(hasEnded ? [] : unable.map(({ host, pid, why }) => printable(`  worker ${pid} on ${host} cannot begin its tasks: ${why}`))),
    ...(manifest.source === null ? [] : [`  ${printable(manifest.source)}`]),
  ];
}

function table(all: readonly QueuedStanding[], { colors }: Terminal): string[] {
  const columns = [
    { title: 'RUN' },
    { title: 'STATUS' },
    { title: 'SUCCEEDED', align: 'right' },
    { title: 'ADDED' },
    { title: 'TASKS' },
  ] as const;
  const rows = all.map(({ name, status, counts, createdAtMs, manifest }) => [
    printable(name),
    status,
    `${counts.states.succeeded ?? 0} of ${counts.total}`,
    new Date(createdAtMs).toISOString().slice(0, 19).replace('T', ' '),
    printable(manifest.source ?? '-'),
  ]);
  return renderTable(columns, rows, colors.bold);
}

/** Whether nothing more is done for a run by itself. */
export async function isOver(client: QueueClient, name: string): Promise<boolean> {
  const { status } = await standingOf(client, name);
  return status === 'done';
}
