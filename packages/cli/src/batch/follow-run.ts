import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { PoolSnapshot, TaskResult } from '@opencode-manager/actors';
import { toManagerError, type OpencodeManagerError } from '@opencode-manager/core';
import type { MonitorEvent } from '@opencode-manager/events';
import type { JournalRow, Run, RunSummary } from '@opencode-manager/runs';
import type { Manager } from '../manager/index.ts';
import { whenAborted } from '../signals.ts';
import type { BatchContext } from './context.ts';
import { waitReasons } from './execute.ts';
import { reasonOf } from './reason.ts';
import type { Reporter } from './report.ts';
import { Tally } from './tally.ts';

/** What became of a run under this manager. */
export interface FollowedRun {
  /** Undefined when it was not started: nothing was sent. */
  readonly summary: RunSummary | undefined;
  readonly tally: Tally;
  /** What went wrong beside the tasks. */
  readonly failure: OpencodeManagerError | undefined;
  readonly pool: Pick<PoolSnapshot, 'gaps' | 'restarts' | 'serverRestarts'>;
}

export interface FollowOptions {
  readonly run: Run;
  readonly manager: Manager;
  readonly reporter: Reporter;
  readonly context: BatchContext;
}

/** Tells what the journal says as it is written, until the run has ended. Never throws. */
export async function followRun({ run, manager: { pool }, reporter, context }: FollowOptions): Promise<FollowedRun> {
  const { signals, terminal, out } = context;
  const teller = new Teller(run, reporter, context);
  const stopListening = [
    whenAborted(signals.drain, () => run.drain()),
    whenAborted(signals.abort, () => run.abort('A signal has stopped the run.')),
    pool.on('session.changed', ({ session: { sessionId, path } }) => teller.changed(sessionId, path)),
    // Before its workspace is given back; the row comes later.
    pool.on('task.finished', ({ result }) => teller.decided(result)),
  ];
  if (terminal.interactive) stopListening.push(pool.events.on({ type: 'message.updated' }, (event) => teller.heard(event)));
  context.progress.holds((countdown) => run.holding({ countdown }));
  let failure: OpencodeManagerError | undefined;
  try {
    await teller.catchUp(run.events());
    for await (const row of run.events(run.startSequence)) {
      try {
        teller.tell(row);
      } catch (error) {
        failure ??= toManagerError(error);
      }
      // Tasks whose results have nowhere to go are not paid for.
      if (terminal.stdout.failure !== undefined && (out === undefined || out.failure !== undefined)) run.drain();
    }
  } catch (error) {
    failure ??= toManagerError(error);
    run.drain();
  }
  teller.end();
  const summary = await run.ended;
  for (const stop of stopListening) stop();
  const { gaps, restarts, serverRestarts } = pool.snapshot();
  return { summary, tally: teller.tally, failure, pool: { gaps, restarts, serverRestarts } };
}

interface Used {
  readonly tokens: number;
  readonly costUsd: number;
}

/** What is told of a run, here or on another process's server. */
type TellContext = Pick<BatchContext, 'progress' | 'workspaces' | 'out'> & {
  readonly plan: { readonly request: Pick<BatchContext['plan']['request'], 'flags' | 'resumed'> };
};

/** Tells what rows of a journal say. */
export class Teller {
  readonly tally = new Tally();
  readonly #run: Pick<Run, 'plan' | 'startSequence'>;
  readonly #reporter: Reporter;
  readonly #context: TellContext;
  /** Keys by the sessions of attempts that run. */
  readonly #keys = new Map<string, string>();
  readonly #states = new Map<string, string>();
  /** What the messages of running sessions have used. */
  readonly #used = new Map<string, Map<string, Used>>();
  /** What was told of tasks that have come to their end. */
  readonly #told = new Map<string, string>();
  /** Ends after which another attempt is to follow, as things stood. */
  readonly #unfollowed = new Map<string, TaskResult>();

  constructor(run: Pick<Run, 'plan' | 'startSequence'>, reporter: Reporter, context: TellContext) {
    this.#run = run;
    this.#reporter = reporter;
    this.#context = context;
    for (const line of run.plan)
      if (line.decision === 'skip') this.tally.fail({ id: line.key, outcome: line.outcome ?? 'skipped', reason: line.why });
  }

  changed(sessionId: string, path: string): void {
    const key = this.#keys.get(sessionId);
    if (key === undefined) this.#states.set(sessionId, path);
    else this.#reporter.waiting(key, waitReasons[path] ?? '');
  }

  /** Of the session of a task itself; what sub-agents have used comes with its end. */
  heard(event: MonitorEvent): void {
    if (event.type !== 'message.updated' || event.data.message.role !== 'assistant') return;
    const { id, sessionId, tokens, costUsd } = event.data.message;
    const key = this.#keys.get(sessionId);
    if (key === undefined) return;
    const messages = this.#used.get(sessionId) ?? new Map<string, Used>();
    this.#used.set(sessionId, messages);
    messages.set(id, { tokens: tokens.input + tokens.output + tokens.reasoning, costUsd });
    const all = [...messages.values()];
    const sum = (name: keyof Used) => all.reduce((total, one) => total + one[name], 0);
    this.#context.progress.used(key, sum('tokens'), sum('costUsd'));
  }

  decided({ session_id: sessionId, outcome }: TaskResult): void {
    const id = sessionId === null ? undefined : this.#keys.get(sessionId);
    if (id !== undefined) this.#context.workspaces?.finished({ id, outcome });
  }

  tell({ sequence, event }: JournalRow): void {
    if (sequence <= this.#run.startSequence) return;
    if (event.type === 'attempt.intended') this.#started(event);
    else if (event.type === 'attempt.ended') this.#ended(event);
    else if (event.type === 'task.skipped') this.#skipped(event.key, event.blockedBy);
    else if (event.type === 'task.cancelled') this.#cancelled(event.key);
    else if (event.type === 'task.requeued') this.#requeued(event.key);
  }

  #skipped(key: string, blockedBy: string | null): void {
    this.tally.fail({ id: key, outcome: 'skipped', reason: blockedBy === null ? 'it was cancelled' : `${blockedBy} did not succeed` });
    this.#told.set(key, 'skipped');
    this.#reporter.skipped(key, blockedBy);
  }

  /** An attempt in flight has its own end. A task that waits has come to its end with this row. */
  #cancelled(key: string): void {
    const result = this.#unfollowed.get(key);
    this.#unfollowed.delete(key);
    if (result) this.#finished({ ...result, final: false });
    else if (![...this.#keys.values()].includes(key)) this.#skipped(key, null);
  }

  /** It has no end any more. */
  #requeued(key: string): void {
    const outcome = this.#told.get(key);
    this.#told.delete(key);
    this.tally.forget(key);
    if (outcome !== undefined) this.#reporter.requeued(key, outcome);
  }

  #started({ key, sessionId, directory, attempt }: Extract<JournalRow['event'], { type: 'attempt.intended' }>): void {
    this.#keys.set(sessionId, key);
    this.#unfollowed.delete(key);
    this.#reporter.started({ id: key, sessionId, directory, attempt });
    const path = this.#states.get(sessionId);
    this.#states.delete(sessionId);
    if (path !== undefined) this.#reporter.waiting(key, waitReasons[path] ?? '');
  }

  #ended({ key, result, final, abortedBy }: Extract<JournalRow['event'], { type: 'attempt.ended' }>): void {
    if (result.session_id !== null) {
      this.#keys.delete(result.session_id);
      this.#used.delete(result.session_id);
    }
    if (final) return this.#finished(result);
    this.#unfollowed.set(key, result);
    // Of the whole run, nothing follows before it is taken up again; for fewer attempts at once, one does.
    if (abortedBy === 'manager') return undefined;
    return this.#reporter.retried(result);
  }

  #finished(result: TaskResult & { readonly final?: false }): void {
    // It was cancelled before its attempt had begun, and is told of.
    if (this.#told.has(result.id)) return;
    this.#told.set(result.id, result.outcome);
    this.#context.workspaces?.finished(result);
    this.tally.add(result);
    if (result.outcome !== 'succeeded') this.tally.fail({ id: result.id, outcome: result.outcome, reason: reasonOf(result) });
    this.#reporter.finished(result);
  }

  /** The run is over: what was to be tried again is not, before it is taken up again. */
  end(): void {
    for (const result of this.#unfollowed.values()) this.#finished({ ...result, final: false });
  }

  /**
   * What earlier managers have told: the results that are used again count for the summary, and what `--out` has not got any more, or
   * could not take, is written now.
   */
  async catchUp(events: AsyncIterable<JournalRow>): Promise<void> {
    const { out, plan } = this.#context;
    const { startSequence } = this.#run;
    if (!plan.request.resumed || startSequence === 0) return;
    const written = out && (await writtenIn(plan.request.flags.out!));
    const reused = new Set(this.#run.plan.flatMap(({ key, decision }) => (decision === 'reuse' ? [key] : [])));
    for await (const { sequence, event } of events) {
      if (event.type === 'attempt.ended' && event.final && sequence <= startSequence) {
        if (reused.has(event.key) && event.outcome === 'succeeded') this.tally.add(event.result);
        if (out && written && !written.has(nameOf(event.result))) out.write(event.result);
      }
      if (sequence >= startSequence) return;
    }
  }
}

const nameOf = ({ id, attempt }: Pick<TaskResult, 'id' | 'attempt'>): string => `${attempt} ${id}`;

/** The results that a file has; what is no result in it does not count. */
async function writtenIn(path: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const line of createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity })) {
    try {
      names.add(nameOf(JSON.parse(line) as TaskResult));
    } catch {
      // Half a line of a run that was killed, or something else.
    }
  }
  return names;
}
