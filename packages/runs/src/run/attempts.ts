import type { OutgoingTurn, SentTurn, SessionPool, TaskResult } from '@opencode-manager/actors';
import { isInfrastructureFault, OpencodeManagerError, toManagerError } from '@opencode-manager/core/errors';
import type { AttemptEnd, OpenAttempt, RunEffect, RunMachineEvent } from '../machine/index.ts';
import type { EventOf } from '../machine/run.types.ts';
import type { AttemptNames } from './attempt-names.ts';
import type { EarlierAttempts } from './earlier-attempts.ts';
import type { RunPorts } from './ports.ts';
import type { RunOptions, RunTaskSpec } from './types.ts';

type Params<Type extends RunEffect['type']> = Extract<RunEffect, { readonly type: Type }>['params'];

export interface AttemptsOptions {
  readonly pool: SessionPool;
  readonly tasks: ReadonlyMap<string, RunTaskSpec>;
  /** Deadline of tasks that name none, in milliseconds; it may change. */
  readonly taskTimeoutMs: number | undefined;
  readonly ports: Pick<RunPorts, 'clock' | 'random' | 'hasDirectory'>;
  readonly send: (event: RunMachineEvent) => void;
  readonly names: AttemptNames;
  readonly earlier: EarlierAttempts;
  /** What an attempt of a manager that has died had done in its workspace. */
  readonly changesOf: NonNullable<RunOptions['changesOf']> | undefined;
  /** Whether a task works in a workspace of its own. */
  readonly hasOwnPlace: (task: RunTaskSpec) => boolean;
  /** Takes known secrets out of a result, and counts them. */
  readonly redact: (result: TaskResult) => TaskResult;
  /** Kept before the end of an attempt is reported. */
  readonly keepTranscript: (key: string, attempt: number, turn: SentTurn | undefined, result: TaskResult) => Promise<void>;
}

interface Live {
  /** Deadline of the attempt in milliseconds. */
  readonly timeoutMs: number | undefined;
  readonly abort: AbortController;
  readonly sendable: PromiseWithResolvers<void>;
}

/** Carries out what the machine says about attempts, on a pool that repeats nothing by itself, and reports what came of it. */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #live = new Map<string, Live>();
  #looks = 0;
  /** Resolves when none is left. */
  readonly #running = new Set<Promise<void>>();

  /** Of attempts that start from now on. */
  taskTimeoutMs: number | undefined;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.taskTimeoutMs = options.taskTimeoutMs;
  }

  start({ key, attempt, token }: Params<'start'>): void {
    this.#track(this.#run({ key, attempt, token }));
  }

  look({ key, open }: Params<'look'>): void {
    this.#track(this.#look(key, open));
  }

  allowSend({ token }: Params<'allowSend'>): void {
    this.#live.get(token)?.sendable.resolve();
  }

  abort({ token, reason }: Params<'abort'>): void {
    const live = this.#live.get(token);
    const error = new OpencodeManagerError('TURN_ABORTED', reason);
    live?.abort.abort(error);
    live?.sendable.reject(error);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  #begin(key: string, token: string): Live {
    const timeoutMs = this.#taskOf(key).timeoutMs ?? this.taskTimeoutMs;
    const live = { timeoutMs, abort: new AbortController(), sendable: Promise.withResolvers<void>() };
    // Whoever waits hears it; nobody may.
    live.sendable.promise.catch(() => undefined);
    this.#live.set(token, live);
    return live;
  }

  async #run(of: { key: string; attempt: number; token: string }): Promise<void> {
    const { pool, send } = this.#options;
    const { key, attempt, token } = of;
    const live = this.#begin(key, token);
    let turn: SentTurn | undefined;
    const beforeSend = async ({ sessionId, messageId, directory }: OutgoingTurn) => {
      turn = { sessionId, messageId, directory };
      send({ type: 'attempt.intended', ...of, sessionId, messageId, directory });
      await live.sendable.promise;
    };
    const { after: _after, retries: _retries, repeat: _repeat, ...task } = this.#taskOf(key);
    const id = this.#options.names.give(of);
    const result = await this.#resultOf(pool.run({ ...task, id, ...withDeadline(live) }, { beforeSend, signal: live.abort.signal, repeat: false }), of);
    this.#options.names.forget(id);
    await this.#options.keepTranscript(key, attempt, turn, result);
    this.#live.delete(token);
    send({ type: 'attempt.ended', ...of, ...this.#endOf(live, result) });
  }

  /** Reads the end of an attempt whose manager died. */
  async #look(key: string, open: OpenAttempt): Promise<void> {
    const { pool, ports, send } = this.#options;
    const { attempt, token, sessionId, messageId, directory } = open;
    const live = this.#begin(key, token);
    const { after: _after, retries: _retries, repeat: _repeat, workspace: _workspace, ...task } = this.#taskOf(key);
    this.#looks += 1;
    // The place of the attempt may have been brought home by now; the session is found from any directory.
    const sent = { sessionId, messageId, directory: ports.hasDirectory(directory) ? directory : pool.server.directory };
    const running = pool.run(
      { ...task, directory: sent.directory, workspace: 'shared', id: `${key} (attempt ${attempt}, read ${this.#looks})` },
      { sent, signal: live.abort.signal, repeat: false },
    );
    const read = await this.#resultOf(running, { key, attempt });
    const changes = await this.#options.changesOf?.({ key, attempt, task: this.#taskOf(key) }).catch(() => null);
    // It is read without its place; one of its own is nobody else's.
    const { workspace_may_be_half_changed: halfChanged, ...told } = read;
    const isShared = !this.#options.hasOwnPlace(this.#taskOf(key));
    const result = { ...told, directory, ...changes, ...(halfChanged && isShared && { workspace_may_be_half_changed: halfChanged }) };
    await this.#options.keepTranscript(key, attempt, sent, result);
    // Its server died, and it is read again on the next one: that has the same token.
    if (this.#live.get(token) !== live) return;
    this.#live.delete(token);
    send({ type: 'attempt.looked', key, attempt, token, fate: fateOf(result), end: this.#endOf(live, result) });
  }

  #taskOf(key: string): RunTaskSpec {
    return this.#options.tasks.get(key)!;
  }

  #endOf({ timeoutMs }: Live, result: TaskResult): AttemptEnd {
    const { clock, random } = this.#options.ports;
    const { outcome, error, message_id: messageId } = result;
    const wasSent = messageId !== null && error?.details?.['sent'] !== false;
    return {
      outcome,
      error,
      result,
      billed: wasSent,
      ...(outcome === 'timed_out' && timeoutMs !== undefined && { limit: { name: 'timeout', value: timeoutMs } }),
      isMachineFault: isInfrastructureFault(error),
      jitter: 2 * random() - 1,
      atMs: clock.now(),
    };
  }

  /** The result under the names of the run; a task that the pool refuses has one too. */
  async #resultOf(running: Promise<TaskResult>, { key, attempt }: { readonly key: string; readonly attempt: number }): Promise<TaskResult> {
    const result = await running.catch((error: unknown) => refusedResult(key, this.#options.pool, error));
    return this.#options.redact({ ...result, id: key, attempt, ...this.#options.earlier.of(key) });
  }
}

function withDeadline({ timeoutMs }: Live): { readonly timeoutMs?: number } {
  return timeoutMs === undefined ? {} : { timeoutMs };
}

/** What a read says of an attempt. Whatever kept it from being carried out says nothing of it. */
function fateOf({ outcome, error, session_id: session }: TaskResult): EventOf<'attempt.looked'>['fate'] {
  // The pool has refused to read it: that is no end of the attempt.
  if (session === null) return 'interrupted';
  if (outcome === 'server_lost' || (outcome === 'interrupted' && error?.code !== 'TURN_INTERRUPTED')) return 'unread';
  if (outcome !== 'interrupted' && outcome !== 'aborted') return 'finished';
  return error?.details?.['sent'] === false ? 'never_started' : 'interrupted';
}

function refusedResult(key: string, { server }: SessionPool, error: unknown): TaskResult {
  return {
    schema_version: 1,
    id: key,
    outcome: 'failed',
    attempt: 0,
    session_id: null,
    message_id: null,
    directory: server.directory,
    model: null,
    output: '',
    finish: null,
    usage: { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 },
    cost_usd: 0,
    duration_ms: 0,
    queued_ms: 0,
    proof: null,
    asks: [],
    gaps: 0,
    retries: 0,
    model_calls: 0,
    tool_calls: 0,
    error: toManagerError(error).toJSON(),
    metadata: {},
  };
}
