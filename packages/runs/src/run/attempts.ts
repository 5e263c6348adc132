import type {
  AnswerVerdict,
  OutgoingTurn,
  SentTurn,
  SessionPool,
  Task,
  TaskAnswer,
  TaskLimits,
  TaskOptions,
  TaskResult,
} from '@opencode-manager/actors';
import { addSpent } from '@opencode-manager/actors/hosts';
import { isInfrastructureFault, OpencodeManagerError, toManagerError } from '@opencode-manager/core/errors';
import type { AttemptEnd, OpenAttempt, RunEffect, RunMachineEvent } from '../machine/index.ts';
import type { EventOf } from '../machine/run.types.ts';
import type { CheckedAnswer, OutputCheck } from '../output/output-schema.ts';
import { repairPrompt } from '../output/repair-prompt.ts';
import type { AttemptNames } from './attempt-names.ts';
import type { EarlierAttempts } from './earlier-attempts.ts';
import { furtherTurn } from './further-turn.ts';
import { withParts, type Parts } from './parts.ts';
import type { RunPorts } from './ports.ts';
import type { RunOptions, RunTaskSpec } from './types.ts';

type Params<Type extends RunEffect['type']> = Extract<RunEffect, { readonly type: Type }>['params'];

export interface AttemptsOptions {
  readonly pool: SessionPool;
  readonly tasks: ReadonlyMap<string, RunTaskSpec>;
  /** Of tasks that do not name them. */
  readonly taskLimits: TaskLimits;
  /** See `TaskOptions`: the pool may be that of others too. */
  readonly maxRetryWaitMs: number;
  /** By key: of tasks with an output schema. */
  readonly outputs: ReadonlyMap<string, OutputCheck>;
  readonly ports: Pick<RunPorts, 'clock' | 'random' | 'hasDirectory'>;
  readonly send: (event: RunMachineEvent) => void;
  readonly names: AttemptNames;
  readonly earlier: EarlierAttempts;
  /** What parked tasks had done before. */
  readonly parts: Parts;
  /** The models of tasks, by their keys, as far as they are known. */
  readonly models: Readonly<Record<string, string>>;
  /** Whether a task is parked after this end: its session and its place stay. */
  readonly mayPark: (of: { readonly key: string; readonly token: string }, end: AttemptEnd) => boolean;
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
  readonly abort: AbortController;
  /** Of the prompt that is to go out next. */
  sendable: PromiseWithResolvers<void>;
  /** What becomes of the answer that is there. */
  verdict: PromiseWithResolvers<AnswerVerdict> | undefined;
  /** The newest answer, where it is to fit a schema. */
  answer: CheckedAnswer | undefined;
}

/** Carries out what the machine says about attempts, on a pool that repeats nothing by itself, and reports what came of it. */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #live = new Map<string, Live>();
  #looks = 0;
  /** Resolves when none is left. */
  readonly #running = new Set<Promise<void>>();

  /** Of attempts that start from now on, where a task does not name them. */
  taskLimits: TaskLimits;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.taskLimits = options.taskLimits;
  }

  start(params: Params<'start'>): void {
    this.#track(this.#run(params));
  }

  look(params: Params<'look'>): void {
    this.#track(this.#look(params));
  }

  allowSend({ token }: Params<'allowSend'>): void {
    this.#live.get(token)?.sendable.resolve();
  }

  repair({ key, token, problems }: Params<'repair'>): void {
    const prompt = repairPrompt(problems, this.#taskOf(key).outputSchema ?? true);
    this.#live.get(token)?.verdict?.resolve({ prompt });
  }

  takeAnswer({ token, error }: Params<'takeAnswer'>): void {
    this.#live.get(token)?.verdict?.resolve(error && { error });
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

  #begin(token: string): Live {
    const live: Live = { abort: new AbortController(), sendable: sendable(), verdict: undefined, answer: undefined };
    this.#live.set(token, live);
    return live;
  }

  async #run({ key, attempt, token, goesOn, fallback }: Params<'start'>): Promise<void> {
    const { send, names } = this.#options;
    const of = { key, attempt, token };
    const live = this.#begin(token);
    let turn: SentTurn | undefined;
    const beforeSend = async ({ sessionId, messageId, directory }: OutgoingTurn) => {
      // What follows it in the attempt is told with it.
      turn ??= { sessionId, messageId, directory };
      send({ type: 'attempt.intended', ...of, sessionId, messageId, directory });
      await live.sendable.promise;
    };
    const check = this.#options.outputs.get(key);
    const onAnswer = check && ((answer: TaskAnswer) => this.#judge(of, live, { answer, check }));
    const asked = { key, attempt, continues: placeOf(goesOn), fallback };
    // Asked once, so that the machine decides by the same facts later.
    let end: AttemptEnd | undefined;
    const keepsPlace = (raw: TaskResult) => {
      end = this.#endOf(key, this.#whole(raw, asked));
      return this.#options.mayPark(of, end);
    };
    const id = names.give({ ...of, ...(asked.continues !== null && { place: asked.continues }) });
    const options = {
      beforeSend,
      ...(onAnswer && { onAnswer }),
      signal: live.abort.signal,
      keepsPlace,
      maxRetryWaitMs: this.#options.maxRetryWaitMs,
      repeat: false as const,
    };
    const result = await this.#resultOf(this.#turnOf(id, key, { goesOn, fallback }, options), asked, () => live.answer);
    names.forget(id);
    await this.#options.keepTranscript(key, attempt, turn, result);
    this.#live.delete(token);
    const { atMs, jitter } = end ?? {};
    send({ type: 'attempt.ended', ...of, ...this.#endOf(key, result), ...(end && { atMs: atMs!, jitter: jitter! }) });
  }

  /** The turn of an attempt: its task's own, or one more in the session that it goes on in. */
  #turnOf(
    id: string,
    key: string,
    { goesOn, fallback }: Pick<Params<'start'>, 'goesOn' | 'fallback'>,
    options: TaskOptions,
  ): Promise<TaskResult> {
    const { pool, parts, earlier } = this.#options;
    const asked = { ...poolTask(this.#taskOf(key)), ...(fallback !== null && { model: fallback }) };
    const task = { ...asked, limits: earlier.left(key, { ...this.taskLimits, ...asked.limits }) };
    if (!goesOn) return pool.run({ ...task, id }, options);
    const timeoutMs = task.timeoutMs ?? task.limits.timeoutMs;
    const workedMs = parts.of(key)?.result.duration_ms ?? 0;
    const left = timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, timeoutMs - workedMs) };
    return furtherTurn(pool, { task, id, session: goesOn, prompt: goOnPrompt, ...left }, options);
  }

  /** The machine says what becomes of an answer. */
  #judge(
    of: { key: string; attempt: number; token: string },
    live: Live,
    { answer, check }: { readonly answer: TaskAnswer; readonly check: OutputCheck },
  ): Promise<AnswerVerdict> {
    const { output, spent } = answer;
    live.answer = check(output);
    live.verdict = Promise.withResolvers();
    live.sendable = sendable();
    // What was aborted meanwhile sends nothing more.
    if (live.abort.signal.aborted) live.sendable.reject(live.abort.signal.reason);
    this.#options.send({ type: 'attempt.answered', ...of, problems: live.answer.problems, spent });
    return live.verdict.promise;
  }

  /** Reads the end of an attempt whose manager died. */
  async #look({ key, open, fallback }: Params<'look'>): Promise<void> {
    const { pool, ports, send } = this.#options;
    const { attempt, token, sessionId, messageId, directory, continues = null } = open;
    const live = this.#begin(token);
    const { workspace: _workspace, ...task } = poolTask(this.#taskOf(key));
    this.#looks += 1;
    // The place of the attempt may have been brought home by now; the session is found from any directory.
    const sent = { sessionId, messageId, directory: ports.hasDirectory(directory) ? directory : pool.server.directory };
    const running = pool.run(
      { ...task, directory: sent.directory, workspace: 'shared', id: `${key} (attempt ${attempt}, read ${this.#looks})` },
      { sent, signal: live.abort.signal, repeat: false },
    );
    const check = this.#options.outputs.get(key);
    let answer: CheckedAnswer | undefined;
    const checked = ({ outcome, output }: TaskResult) => (answer = outcome === 'succeeded' ? check?.(output) : undefined);
    const read = await this.#resultOf(running, { key, attempt, continues, fallback }, checked);
    const changes = await this.#options.changesOf?.({ key, attempt: continues ?? attempt, task: this.#taskOf(key) }).catch(() => null);
    // It is read without its place; one of its own is nobody else's.
    const { workspace_may_be_half_changed: halfChanged, ...told } = read;
    const isShared = !this.#options.hasOwnPlace(this.#taskOf(key));
    const spent = open.spent && addSpent(open.spent, told);
    const result = {
      ...told,
      ...spent,
      directory,
      ...changes,
      ...(halfChanged && isShared && { workspace_may_be_half_changed: halfChanged }),
    };
    await this.#options.keepTranscript(key, attempt, { ...sent, messageId: open.firstMessageId }, result);
    // Its server died, and it is read again on the next one: that has the same token.
    if (this.#live.get(token) !== live) return;
    this.#live.delete(token);
    const problems = answer?.problems ?? [];
    send({
      type: 'attempt.looked',
      key,
      attempt,
      token,
      fate: fateOf(result),
      end: this.#endOf(key, result),
      ...(problems.length > 0 && { problems }),
    });
  }

  #taskOf(key: string): RunTaskSpec {
    return this.#options.tasks.get(key)!;
  }

  #endOf(key: string, result: TaskResult): AttemptEnd {
    const { clock, random } = this.#options.ports;
    const { outcome, error, message_id: messageId } = result;
    const wasSent = messageId !== null && error?.details?.['sent'] !== false;
    const limits = { ...this.taskLimits, ...this.#taskOf(key).limits };
    const limit = limitOf(error, limits);
    const timeoutMs = this.#taskOf(key).timeoutMs ?? limits.timeoutMs;
    return {
      outcome,
      error,
      result,
      // What did not go out at last may have followed what did.
      billed: wasSent || result.model_calls > 0,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(limit && { limit }),
      isMachineFault: isInfrastructureFault(error),
      jitter: 2 * random() - 1,
      atMs: clock.now(),
    };
  }

  /** The result under the names of the run, with what its answer says; a task that the pool refuses has one too. */
  async #resultOf(
    running: Promise<TaskResult>,
    of: AskedAttempt,
    answerOf: (result: TaskResult) => CheckedAnswer | undefined,
  ): Promise<TaskResult> {
    const result = await running.catch((error: unknown) => refusedResult(of.key, this.#options.pool, error));
    const answer = answerOf(result);
    const isFit = answer && 'value' in answer && result.outcome === 'succeeded';
    return this.#options.redact({ ...this.#whole(result, of), ...(isFit && { output_json: answer.value }) });
  }

  #whole(result: TaskResult, { key, attempt, continues, fallback }: AskedAttempt): TaskResult {
    const { earlier, parts, models } = this.#options;
    const { group } = this.#taskOf(key);
    const before = continues === null ? undefined : parts.of(key);
    const from = fallback === null ? undefined : (models[key] ?? parts.modelOf(key));
    const whole = before ? withParts(result, before) : result;
    return {
      ...whole,
      id: key,
      attempt,
      ...(group !== undefined && { group }),
      ...earlier.of(key),
      ...(from !== undefined && { fallback_from: from }),
    };
  }
}

/** What is said in a session that goes on when the quota of its provider is free again. */
const goOnPrompt = 'Continue.';

/** How an attempt was asked for. */
interface AskedAttempt {
  readonly key: string;
  readonly attempt: number;
  /** The attempt whose session and place it goes on in. */
  readonly continues: number | null;
  readonly fallback: string | null;
}

function placeOf(goesOn: OpenAttempt | null): number | null {
  return goesOn && (goesOn.continues ?? goesOn.attempt);
}

/** The limit of the task that ended it, by its name. A budget is for all of its attempts, of which the last one had what was left. */
function limitOf(error: TaskResult['error'], { steps, tokens, usd }: TaskLimits): AttemptEnd['limit'] {
  const { limit: name, value } = error?.details ?? {};
  if (typeof name !== 'string' || typeof value !== 'number') return undefined;
  return { name, value: { steps, tokens, usd }[name] ?? value };
}

/** What a pool takes of a task. */
function poolTask({ after: _after, retries: _retries, repeat: _repeat, outputSchema: _schema, ...task }: RunTaskSpec): Task {
  return task;
}

function sendable(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>();
  // Whoever waits hears it; nobody may.
  made.promise.catch(() => undefined);
  return made;
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
