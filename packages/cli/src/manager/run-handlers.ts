import { OpencodeManagerError } from '@opencode-manager/core';
import type { JournalRow, Run, TaskStanding } from '@opencode-manager/runs';
import type { ConfiguredRun, GivenTo, Handlers, RowView, RunView, StartedRun, TaskView } from '../manager-socket/index.ts';
import { createProviderHandlers } from './provider-handlers.ts';
import type { LiveRun, RunDesk } from './run-desk.ts';

type RunMethod = 'runs' | 'startRun' | 'run' | 'pauseRun' | 'resumeRun' | 'cancelRun' | 'configureRun' | TaskMethod | ProviderMethod;
type ProviderMethod = 'providers' | 'pauseProviders' | 'resumeProviders';

/** Begins a run for a client. */
export type StartRun = (request: GivenTo<'startRun'>) => Promise<StartedRun>;

/** What clients may ask for and wish of the runs of a manager. A wish that comes twice changes nothing the second time, and says so. */
export function createRunHandlers(desk: RunDesk, startRun: StartRun | undefined): Pick<Handlers, RunMethod> {
  return {
    async startRun(request) {
      if (startRun) return startRun(request);
      const message = `The manager ${process.pid} carries out a run of its own and takes no other. Start one that does with: ocm serve`;
      throw new OpencodeManagerError('RUN_UNSUITED', message);
    },
    async runs() {
      const started = await Promise.allSettled(desk.all().map(({ id }) => desk.get(id)));
      return Promise.all(started.flatMap((one) => (one.status === 'fulfilled' ? [viewOf(one.value)] : [])));
    },
    run: async ({ run }) => viewOf(await desk.get(run)),
    async pauseRun({ run: id }) {
      const { run, control } = await desk.get(id);
      return { run: run.id, changed: control.pause() };
    },
    async resumeRun({ run: id }) {
      const { run, control } = await desk.get(id);
      return { run: run.id, changed: control.resume() };
    },
    async cancelRun({ run: id, drain = false }) {
      const { run, control } = await desk.get(id);
      return { run: run.id, changed: await control.cancel('A user has cancelled the run.', { drains: drain }) };
    },
    configureRun: async ({ run, ...wishes }) => configured(await desk.get(run), wishes),
    ...taskHandlers(desk),
    ...createProviderHandlers(desk),
  };
}

type TaskMethod = 'runTasks' | 'cancelTasks' | 'requeueTasks' | 'runEvents';

function taskHandlers(desk: RunDesk): Pick<Handlers, TaskMethod> {
  return {
    async runTasks({ run: id, key, state }) {
      const { control } = await desk.get(id);
      if (key) control.assertTasks(key);
      return control
        .tasks()
        .filter((task) => (!key || key.includes(task.key)) && (!state || state.includes(task.state)))
        .map(taskView);
    },
    async cancelTasks({ run: id, keys }) {
      return (await desk.get(id)).control.cancelTasks(keys);
    },
    async requeueTasks({ run: id, keys, force }) {
      return (await desk.get(id)).control.requeueTasks(keys, force);
    },
    runEvents: {
      async stream({ run: id, key, since = 0, follow = false }, { signal, send }) {
        const live = await desk.get(id);
        const { run, control } = live;
        if (key) control.assertTasks(key);
        for await (const row of rowsOf(run, { since, follow, signal }))
          if (!key || ('key' in row.event && key.includes(row.event.key))) await send(rowView(row));
        // A socket that closes ends the stream too.
        return follow && run.hasEnded() ? viewOf(live) : null;
      },
    },
  };
}

interface RowsWanted {
  readonly since: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Rows after a number: those there are, and with `follow` those that come, until the run has ended or the client goes. */
async function* rowsOf(run: Run, { since, follow, signal }: RowsWanted): AsyncGenerator<JournalRow, void> {
  const rows = follow ? run.events(since) : run.knownEvents(since);
  const gone = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
  for (;;) {
    const next = signal.aborted ? undefined : await Promise.race([rows.next(), gone]);
    // A read that waits for the next row ends with the run: it is not waited for.
    if (!next || next.done) return;
    yield next.value;
  }
}

/** The names of the journal are those of the library; on the wire they are in snake case. */
function rowView({ sequence, atMs, event }: JournalRow): RowView {
  const told = Object.entries(event).map(([name, value]) => [name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]);
  return { seq: sequence, at: new Date(atMs).toISOString(), ...(Object.fromEntries(told) as Pick<RowView, 'type'>) };
}

/** What was changed of the settings of a live run. */
async function configured({ run, control, assertUsd }: LiveRun, given: Omit<GivenTo<'configureRun'>, 'run'>): Promise<ConfiguredRun> {
  const { concurrency, timeout_ms: timeoutMs, tokens, usd, enforce = false } = given;
  if (typeof usd === 'number') await assertUsd(usd);
  const before = control.configure({
    ...(concurrency !== undefined && { concurrency }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(tokens !== undefined && { tokens }),
    ...(usd !== undefined && { usd }),
    ...(enforce && { enforces: true }),
  });
  const { limits, ...now } = control.standing();
  return {
    run: run.id,
    ...(concurrency !== undefined && { concurrency: { before: before.concurrency ?? null, now: now.concurrency } }),
    ...(timeoutMs !== undefined && { timeout_ms: { before: before.timeoutMs ?? null, now: now.timeoutMs } }),
    ...(tokens !== undefined && { tokens: { before: before.tokens ?? null, now: limits.tokens } }),
    ...(usd !== undefined && { usd: { before: before.usd ?? null, now: limits.usd } }),
  };
}

async function viewOf({ run, control }: LiveRun): Promise<RunView> {
  const { state, concurrency, timeoutMs, limits, spent, running, waiting, holding, ...now } = control.standing();
  const summary = run.hasEnded() ? await run.ended : null;
  const { total, outcomes: last, skipped, notStarted: left, reused, dropped, succeededFirstTry, succeededAfterRetry } = run.counts();
  // While it goes on, an attempt in flight or one that is tried again is no outcome yet.
  const [outcomes, notStarted] = summary ? [last, left] : [now.outcomes, now.notStarted];
  return {
    id: run.id,
    run_dir: run.path ?? null,
    pid: process.pid,
    state: summary ? 'ended' : state,
    concurrency,
    timeout_ms: timeoutMs,
    limits,
    spent,
    running,
    waiting,
    holding,
    counts: { total, outcomes, skipped, not_started: notStarted, reused, dropped },
    summary: summary && {
      reason: summary.reason,
      why: summary.why,
      error: summary.error,
      succeeded_first_try: succeededFirstTry,
      succeeded_after_retry: succeededAfterRetry,
      attempts: summary.totals.attempts,
      usage: summary.totals.usage,
      cost_usd: summary.totals.costUsd,
      known_cost_usd: summary.totals.knownCostUsd,
      parked_ms: summary.totals.parkedMs,
    },
  };
}

function taskView({ key, state, attempt, sessionId, outcome, errorCode, blockedBy, isCancelled }: TaskStanding): TaskView {
  return {
    key,
    state,
    attempt,
    session_id: sessionId,
    outcome,
    error_code: errorCode,
    blocked_by: blockedBy,
    cancelled: isCancelled,
  };
}
