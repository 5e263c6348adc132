import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createSessionPool, type SessionPool } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { findBinary, readOpencodeConfig } from '@opencode-manager/core';
import { createRunDirectory, openRunDirectory, type RunDirectory } from '../directory/run-directory.ts';
import { configurationDigest } from '../identity/task-hash.ts';
import { countPlan, foldJournal, noHistory, planResume, type ResumePlan, type RunHistory } from '../machine/index.ts';
import { Announced } from './announced.ts';
import type { JournalRow } from '../journal/events.ts';
import type { Redact } from '../redact.ts';
import { RunHost } from './run-host.ts';
import { identifyTasks, sourceTask, taskLine, type IdentifiedTask } from './source-tasks.ts';
import type { FinalResult, ResumeOptions, Run, RunOptions } from './types.ts';

/**
 * Begins a run: makes its directory, starts an isolated server whose state lies there, and carries the tasks to their end. What an attempt will send is
 * in the journal before it goes out, and what became of it before anybody is told; a run whose manager dies is taken up with {@link resumeRun}.
 * @throws OpencodeManagerError before anything is started: `TASK_DUPLICATE`, `TASK_INVALID`, `TASK_ORDER_INVALID`, `RUN_DIRECTORY_UNSAFE`,
 * `RUN_EXISTS`, `RUN_STORAGE_FULL`, and what `launchServer` throws
 * @example
 * await using run = await openRun({ directory: '.', tasks: [{ id: 'a', prompt: 'Fix the test' }], server: { opencodeConfig: './opencode.json' } })
 * for await (const { key, outcome } of run.results()) console.log(key, outcome)
 * @public
 */
export async function openRun(options: RunOptions): Promise<Run> {
  const redaction = new Redaction();
  const prepared = await prepare(options, noHistory, {});
  const { runDir, title, directory, source, argv = [] } = options;
  const facts = {
    source: source ?? null,
    argv: [...argv],
    configuration: { settings: options.settings ?? {} },
    configuration_digest: prepared.configuration,
    versions: prepared.versions,
    git: null,
    base_commits: {},
  };
  const place = {
    directory,
    facts,
    redact: redaction.apply,
    ...(title !== undefined && { title }),
    ...(runDir !== undefined && { runDir }),
  };
  return begin(options, prepared, await createRunDirectory(place), redaction);
}

/**
 * Takes a run up whose manager has ended, however: what had succeeded is used again, what was in flight is looked for in its session first, and the
 * rest runs. See `RunOptions.tasks`: the source is read again, and a task that asks for something else is refused by its name, unless `changed` says otherwise.
 * @throws OpencodeManagerError before anything is started: `RUN_UNREADABLE`, `RUN_LOCKED`, `TASKS_CHANGED`, and as {@link openRun}
 * @public
 */
export async function resumeRun(options: ResumeOptions): Promise<Run> {
  const redaction = new Redaction();
  const { run, takeOver } = options;
  const directory = await openRunDirectory(run, { redact: redaction.apply, ...(takeOver && { takeOver }) });
  try {
    const history = foldJournal(directory.journal.read());
    return await begin(options, await prepare(options, history, options), directory, redaction);
  } catch (error) {
    await directory.close();
    throw error;
  }
}

interface Prepared {
  readonly plan: ResumePlan;
  readonly identified: readonly IdentifiedTask[];
  readonly configuration: string;
  readonly versions: { readonly manager: string; readonly opencode: string; readonly protocol: string; readonly node: string };
}

/** Everything that can be wrong with what was given is found here. */
async function prepare(options: RunOptions | ResumeOptions, history: RunHistory, policy: Partial<ResumeOptions>): Promise<Prepared> {
  if (options.settings?.onInterrupted === 'continue')
    throw new OpencodeManagerError('CONFIG_INVALID', "settings.onInterrupted: 'continue' is not there yet; use 'retry' or 'fail'.");
  const { directory, server } = options;
  const configuration = configurationDigest(await readOpencodeConfig({ ...server, directory }));
  const identified = await identifyTasks({ ...options, configuration });
  const { changed, retryErrors, redo } = policy;
  const planned = planResume(
    history,
    identified.map((task) => sourceTask(task, options.pool?.taskTimeoutMs)),
    {
      ...(changed && { changed }),
      ...(retryErrors && { retryErrors }),
      ...(redo && { redo }),
    },
  );
  if (planned.refusal) throw OpencodeManagerError.from(planned.refusal);
  const { version, protocol } = await findBinary(server.binary === undefined ? {} : { binary: server.binary });
  const versions = { manager: '0.0.0', opencode: version, protocol, node: process.versions.node };
  return { plan: planned.plan, identified, configuration, versions };
}

async function begin(options: RunOptions | ResumeOptions, prepared: Prepared, directory: RunDirectory, redaction: Redaction): Promise<Run> {
  const { plan, identified } = prepared;
  if (plan.tasks.every(({ decision }) => decision === 'reuse' || decision === 'skip')) return nothingLeft(plan, directory);
  let pool: SessionPool | undefined;
  try {
    pool = await createSessionPool({
      ...options.pool,
      server: { ...options.server, directory: options.directory, stateDir: join(directory.path, 'state') },
      recovery: true,
      repeat: false,
      // The machine of the run decides how often is too often.
      restartBudget: { maxRestarts: 1_000_000, windowMs: 60_000 },
      ...(options.settings?.concurrency !== undefined && { maxSessions: options.settings.concurrency }),
    });
    redaction.use((value) => pool!.server.redactor.json(value));
    // Only now are the secrets known that must not stand in a file.
    const known = new Set((await directory.readTasks()).map(({ key, hash }) => `${key}\0${hash}`));
    const fresh = identified.filter(({ key, hash }) => !known.has(`${key}\0${hash}`));
    await directory.addTasks(fresh.map((task) => taskLine(task, plan.generation)));
    return started(options, prepared, directory, pool, redaction.apply);
  } catch (error) {
    await pool?.stop().catch(() => undefined);
    await directory.close();
    throw error;
  }
}

function started(
  { settings = {}, transcripts = true, onNote = () => {}, pool: { taskTimeoutMs } = {} }: RunOptions | ResumeOptions,
  { plan, identified }: Prepared,
  directory: RunDirectory,
  pool: SessionPool,
  redact: Redact,
): Run {
  const rows = [...directory.journal.read()];
  const host = new RunHost({
    directory,
    pool,
    plan,
    settings,
    tasks: new Map(identified.map(({ key, task }) => [key, task])),
    taskTimeoutMs,
    reused: reusedResults(rows, plan),
    rows,
    redact,
    transcripts,
    onNote,
  });
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= letGo(host, pool, directory));
  const ended = host.ended.then(async (summary) => {
    await close();
    return summary;
  });
  // Told to whoever asks; nobody may.
  ended.catch(() => undefined);
  host.start();
  return {
    id: directory.run.id,
    path: directory.path,
    plan: plan.lines,
    ended,
    counts: () => host.counts(),
    results: () => host.results(),
    events: (after) => host.events(after),
    drain: () => host.drain(),
    abort: (reason) => host.abort(reason),
    async [Symbol.asyncDispose]() {
      host.abort('The run was let go of.');
      await ended;
    },
  };
}

/** A run that is done already: nothing is started, and nothing is written. */
async function nothingLeft(plan: ResumePlan, directory: RunDirectory): Promise<Run> {
  const rows = [...directory.journal.read()];
  const results = new Announced(reusedResults(rows, plan));
  const events = new Announced(rows);
  for (const told of [results, events]) told.end();
  const { path, run } = directory;
  await directory.close();
  const counts = countPlan(plan);
  return {
    id: run.id,
    path,
    plan: plan.lines,
    ended: Promise.resolve({ reason: 'done', why: null, counts }),
    counts: () => counts,
    results: () => results.read(),
    events: (after = 0) => events.read(({ sequence }) => sequence > after),
    drain: () => {},
    abort: () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Of the server's state only the database stays, and after the last task nothing. */
async function letGo(host: RunHost, pool: SessionPool, directory: RunDirectory): Promise<void> {
  const { reason } = await host.ended;
  try {
    await host.settled();
    await pool.stop();
    if (reason === 'done') await rm(join(directory.path, 'state'), { recursive: true, force: true, maxRetries: 3 });
  } finally {
    await directory.close();
  }
}

function reusedResults(rows: readonly JournalRow[], { tasks }: ResumePlan): FinalResult[] {
  const newest = new Map<string, FinalResult>();
  for (const { event } of rows) {
    if (event.type !== 'attempt.ended') continue;
    const { key, attempt, outcome, result } = event;
    newest.set(key, { key, attempt, outcome, result, reused: true });
  }
  return tasks.flatMap(({ key, decision }) => (decision === 'reuse' ? (newest.get(key) ?? []) : []));
}

/** Takes secrets out as soon as they are known: before that, nothing of the run holds any but what the user has written. */
class Redaction {
  #redact: Redact = (value) => value;
  readonly apply: Redact = (value) => this.#redact(value);

  use(redact: Redact): void {
    this.#redact = redact;
  }
}
