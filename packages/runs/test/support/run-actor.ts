import type { Outcome } from '@opencode-manager/actors';
import { createActor } from 'xstate';
import type { JournalEvent } from '../../src/journal/events.ts';
import {
  foldJournal,
  planResume,
  runMachine,
  type AttemptEnd,
  type ResumePlan,
  type ResumePolicy,
  type RunContext,
  type RunEffect,
  type RunMachineEvent,
  type RunSettings,
  type SourceTask,
} from '../../src/machine/index.ts';
import { errorOf, resultOf, rowsOf } from './facts.ts';

/** A run machine whose effects go to a function. */
export function actorOf(
  plan: ResumePlan,
  settings: Partial<RunSettings>,
  carryOut: (effect: RunEffect) => void,
  models: Readonly<Record<string, string>> = {},
) {
  const actions = Object.fromEntries(
    (
      [
        'commit',
        'start',
        'look',
        'allowSend',
        'repair',
        'takeAnswer',
        'abort',
        'schedule',
        'restartServer',
        'warn',
        'told',
        'ended',
      ] as const
    ).map((type) => [type, (_args: unknown, params: unknown) => carryOut({ type, params } as RunEffect)]),
  );
  const actor = createActor(runMachine.provide({ actions }), { input: { plan, settings, models } });
  // The one who sends reads it from the snapshot.
  actor.subscribe({ error: () => {} });
  return actor.start();
}

type Params<Type extends RunEffect['type']> = Extract<RunEffect, { readonly type: Type }>['params'];

export interface RunOptions extends Partial<RunSettings> {
  /** What the journal holds already. */
  readonly before?: readonly JournalEvent[];
  readonly policy?: ResumePolicy;
  /** Models of tasks, by their keys. */
  readonly models?: Readonly<Record<string, string>>;
  /** Rows are committed as soon as they come, unless this is false. */
  readonly commits?: boolean;
}

/** A run that a test drives by hand. Its journal takes everything at once unless told otherwise. */
export class RunUnderTest {
  readonly effects: RunEffect[] = [];
  readonly rows: JournalEvent[];
  commits: boolean;
  /** Errors that the next commits meet. */
  readonly failing: ('RUN_STORAGE_FULL' | 'SERVER_ERROR')[] = [];
  now = 1_000_000;
  #seen = 0;
  readonly #actor: ReturnType<typeof actorOf>;

  constructor(tasks: readonly SourceTask[], { before = [], policy = {}, commits = true, models = {}, ...settings }: RunOptions = {}) {
    const isNew = before.length === 0 || before[0]!.type === 'run.opened';
    this.rows = isNew ? [...before] : [{ type: 'run.opened', generation: 1 }, ...before];
    this.commits = commits;
    const { plan, refusal } = planResume(foldJournal(rowsOf(this.rows)), tasks, policy);
    if (!plan) throw new Error(`${refusal.code}: ${refusal.message}`);
    this.#actor = actorOf(plan, settings, (effect) => this.effects.push(effect), models);
    this.send({ type: 'run.open', atMs: this.now });
    this.send({ type: 'server.ready', atMs: this.now });
  }

  get context(): RunContext {
    return this.#actor.getSnapshot().context;
  }

  get state(): unknown {
    return this.#actor.getSnapshot().value;
  }

  send(event: RunMachineEvent): this {
    this.#actor.send(event);
    const { status, error } = this.#actor.getSnapshot();
    if (status === 'error') throw error;
    if (this.commits) while (this.context.committing) this.commit();
    return this;
  }

  /** Lets the batch that is under way be committed, or fail. */
  commit(): this {
    const { batch, events } = this.context.committing!;
    const code = this.failing.shift();
    if (code === undefined) this.rows.push(...events);
    const error = { ...errorOf('SERVER_ERROR'), code: code as 'SERVER_ERROR' };
    this.#actor.send(
      code === undefined ? { type: 'journal.committed', batch, atMs: this.now } : { type: 'journal.failed', batch, error, atMs: this.now },
    );
    return this;
  }

  /** Effects of a type since the last call of this method. */
  fresh<Type extends RunEffect['type']>(type: Type): Params<Type>[] {
    const found = this.effects.slice(this.#seen).filter((effect) => effect.type === type);
    this.#seen = this.effects.length;
    return found.map(({ params }) => params as Params<Type>);
  }

  all<Type extends RunEffect['type']>(type: Type): Params<Type>[] {
    return this.effects.filter((effect) => effect.type === type).map(({ params }) => params as Params<Type>);
  }

  /** Keys of the tasks that were started since the last look at effects. */
  started(): string[] {
    return this.fresh('start').map(({ key }) => key);
  }

  #attempt(key: string) {
    const { attempt, token } = this.context.flights.find((flight) => flight.key === key)!;
    return { key, attempt, token };
  }

  intend(key: string): this {
    const { attempt, token } = this.#attempt(key);
    const place = { sessionId: `ses_${key}`, messageId: `msg_${key}_${attempt}`, directory: '/repo' };
    return this.send({ type: 'attempt.intended', key, attempt, token, ...place });
  }

  accept(key: string): this {
    return this.intend(key).send({ type: 'attempt.accepted', ...this.#attempt(key) });
  }

  /** A step of its attempt has ended: what it has taken so far. */
  spend(key: string, tokens: number, { usd = 0, isLast = false } = {}): this {
    return this.send({ type: 'attempt.spent', ...this.#attempt(key), tokens, usd, isLast });
  }

  end(key: string, outcome: Outcome, more: Partial<AttemptEnd> = {}): this {
    const end = { outcome, error: null, result: resultOf(key, outcome), billed: true, jitter: 0, atMs: this.now };
    return this.send({ type: 'attempt.ended', ...this.#attempt(key), ...end, ...more });
  }

  /** A whole attempt. */
  play(key: string, outcome: Outcome, more: Partial<AttemptEnd> = {}): this {
    return this.accept(key).end(key, outcome, more);
  }

  /** The server dies, and what it had ends with it. */
  die(...keys: readonly string[]): this {
    this.send({ type: 'server.died', error: errorOf('SERVER_EXITED'), atMs: this.now });
    for (const key of keys) this.end(key, 'server_lost', { error: errorOf('SERVER_EXITED') });
    return this;
  }

  /** The newest timer of a task, or of the storage, fires. */
  fire(name: string, afterMs = 0): this {
    this.now += afterMs;
    const timer = this.all('schedule')
      .map((params) => params.timer)
      .findLast((one) => one.name === name || (one.name === 'attempt' && one.key === name) || (one.name === 'provider' && one.id === name));
    return this.send({ type: 'timer.fired', timer: timer!, atMs: this.now });
  }

  ready(): this {
    return this.send({ type: 'server.ready', atMs: this.now });
  }
}
