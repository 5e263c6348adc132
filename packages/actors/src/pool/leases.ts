import type { CallOptions } from '@opencode-manager/core';
import { assertCallOptions, isManagerError, OpencodeManagerError } from '@opencode-manager/core/errors';
import type { AbortedTask, EndedTask, PoolMachineEvent } from '../machines/index.ts';
import type { Clock } from '../ports/index.ts';
import type { SessionHost } from '../session/session-host.ts';
import type { LiveTask } from '../task/live-task.ts';
import type { DirectoryUse } from './directory-use.ts';
import type { SessionStore } from './session-store.ts';
import { tell, type PoolActor } from './tell.ts';
import { abortedByCaller, isDeadline, withinCall } from './within-call.ts';

export interface LeasesOptions {
  readonly clock: Clock;
  readonly tasks: ReadonlyMap<string, LiveTask>;
  readonly sessions: SessionStore;
  readonly directories: DirectoryUse;
}

/** A change of a session that waits for its place between the turns. */
interface Change {
  readonly sessionId: string;
  readonly job: (call: CallOptions) => Promise<unknown>;
  readonly settled: PromiseWithResolvers<unknown>;
  readonly timeoutMs: number | undefined;
  /** Ends its calls once it is under way. */
  readonly calls: AbortController;
}

/** The time that the turn of a session has to end in when the session is deleted (milliseconds). */
const deleteAbortMs = 6000;

/** Does what the holders of leased sessions ask for besides turns. Which of it comes when, the pool machine decides. */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #held = new Map<string, SessionHost>();
  readonly #changes = new Map<string, Change>();
  #next = 1;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** Holds a session and its directory. */
  hold(host: SessionHost): void {
    const { sessions, directories } = this.#options;
    sessions.lease(host);
    this.#held.set(host.id, host);
    // A turn of the session waits for the directory by itself.
    void directories.enter(host.directory);
  }

  takeBack(sessionId: string): void {
    const host = this.#let(sessionId);
    if (host) this.#options.sessions.takeBack(host);
  }

  /** A session that is deleted. */
  forget(host: SessionHost): void {
    this.#let(host.id);
    this.#options.sessions.drop(host);
  }

  /** Makes a change in its place between the turns. Its deadline and its signal count from now. */
  async change(
    { id: sessionId }: SessionHost,
    job: (call: CallOptions) => Promise<void>,
    options: CallOptions,
    actor: PoolActor,
  ): Promise<void> {
    assertCallOptions(`A change of session ${sessionId}`, options);
    const { timeoutMs, signal } = options;
    if (signal?.aborted) throw abortedByCaller(`A change of session ${sessionId}`, 'Nothing was sent.', signal.reason);
    const taskId = `change ${this.#next}`;
    this.#next += 1;
    const settled = Promise.withResolvers<unknown>();
    this.#changes.set(taskId, { sessionId, job, settled, timeoutMs, calls: new AbortController() });
    const place = { taskId, priority: 0, group: '', sessionId } as const;
    const deadline = isDeadline(timeoutMs) && { timeoutMs: Math.max(0, timeoutMs) };
    if (!tell(actor, { type: 'task.queued', ...place, isChange: true, ...deadline }))
      settled.reject(new OpencodeManagerError('POOL_STOPPED', 'The pool was stopped; nothing was changed.'));
    const abort = () => void tell(actor, { type: 'task.cancelled', ...place, reason: 'The call was aborted by its caller.' });
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await settled.promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Makes a change whose place has come. */
  async makeChange(taskId: string): Promise<PoolMachineEvent | undefined> {
    const change = this.#changes.get(taskId);
    if (!change) return undefined;
    const { sessionId, job, settled, timeoutMs, calls } = change;
    await job({ signal: calls.signal, ...(timeoutMs !== undefined && { timeoutMs }) }).then(settled.resolve, settled.reject);
    this.#changes.delete(taskId);
    return { type: 'change.ended', taskId, sessionId };
  }

  /** Ends a change that will not be made any more. */
  endChange({ taskId, error }: EndedTask): void {
    const change = this.#changes.get(taskId);
    this.#changes.delete(taskId);
    if (change && error) change.settled.reject(OpencodeManagerError.from(error));
  }

  /** Its caller is told at once; the session takes the next turn when the change has come to its end. */
  abortChange({ taskId, error }: AbortedTask): void {
    const change = this.#changes.get(taskId);
    if (!change || !error) return;
    const reason = OpencodeManagerError.from(error);
    change.settled.reject(reason);
    change.calls.abort(reason);
  }

  abort(host: SessionHost, options: CallOptions, actor: PoolActor): Promise<void> {
    return withinCall(this.#options.clock, `The abort of session ${host.id}`, options, (call) => this.#abort(host, call, actor));
  }

  delete(host: SessionHost, options: CallOptions, actor: PoolActor): Promise<void> {
    return withinCall(this.#options.clock, `The deletion of session ${host.id}`, options, async (call) => {
      await this.#end(host, actor);
      // Somebody else may have deleted it.
      await host.operations.delete(call).catch(unlessGone);
    });
  }

  async #abort(host: SessionHost, options: CallOptions, actor: PoolActor): Promise<void> {
    const [first] = actor.getSnapshot().context.lines[host.id] ?? [];
    const live = first && this.#options.tasks.get(first.taskId);
    if (!live || (!live.calls && host.taskId !== live.id)) return host.operations.settle(options);
    tell(actor, { type: 'task.cancelled', ...live.place, reason: 'The turn was aborted by its caller.' });
    await live.settled.promise;
    this.#assertEnded(host);
  }

  /** None of its tasks runs any more, and no turn is in flight. */
  async #end(host: SessionHost, actor: PoolActor): Promise<void> {
    const { clock, tasks } = this.#options;
    tell(actor, { type: 'session.ended', sessionId: host.id, reason: 'The session was deleted.', withinMs: deleteAbortMs });
    const left = [...tasks.values()].filter(({ leased }) => leased === host);
    const late = Promise.withResolvers<void>();
    const timer = clock.setTimeout(() => late.resolve(), deleteAbortMs);
    await Promise.race([Promise.all(left.map(({ settled }) => settled.promise)), late.promise]);
    clock.clearTimeout(timer);
    this.#assertEnded(host);
  }

  #let(sessionId: string): SessionHost | undefined {
    const host = this.#held.get(sessionId);
    if (host) this.#options.directories.leave(host.directory);
    this.#held.delete(sessionId);
    return host;
  }

  #assertEnded(host: SessionHost): void {
    if (host.taskId === null && !this.#options.sessions.isQuarantined(host)) return;
    throw new OpencodeManagerError('ABORT_UNCONFIRMED', `Session ${host.id} did not become idle after an abort. Do not use it again.`);
  }
}

function unlessGone(error: unknown): void {
  if (!isManagerError(error, 'NOT_FOUND')) throw error;
}
