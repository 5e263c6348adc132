import type { Outcome } from '@opencode-manager/actors';
import type { JournalEvent } from '../../src/journal/events.ts';
import {
  accountOf,
  find,
  foldJournal,
  isClosed,
  planResume,
  type ResumePolicy,
  type RunEffect,
  type RunMachineEvent,
  type RunSettings,
  type RunTimer,
  type SourceTask,
} from '../../src/machine/index.ts';
import { errorOf, resultOf, rowsOf, task } from './facts.ts';
import type { Random } from './random.ts';
import { actorOf } from './run-actor.ts';
import { must, RunOracle } from './run-oracle.ts';

/** What the server knows of an attempt; it outlives managers. */
interface ServerSession {
  isSent: boolean;
  /** How its turn ended by itself. */
  done: Outcome | null;
}

/** What a manager's host knows of an attempt. */
interface Live {
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
  readonly isSuspect: boolean;
  phase: 'preparing' | 'waiting' | 'sent' | 'accepted';
  isAborted: boolean;
  isLost: boolean;
  /** Tokens that it was told to have taken. */
  taken: number;
}

const settings = { infrastructureTries: 3, storageTimeoutMs: 20_000 } satisfies Partial<RunSettings>;

/** Of each result. */
const tokensOfResult = 2;

/** What tasks ask, in turn; the last is not known. */
const providers = ['alpha', 'beta', undefined] as const;

const outcomes: readonly Outcome[] = ['succeeded', 'succeeded', 'failed', 'failed', 'stalled', 'timed_out', 'runaway', 'quota_exhausted'];

/** A random set of tasks, some of which come after others, and some of which take the server with them. */
function sourceOf(random: Random): { readonly source: SourceTask[]; readonly poison: ReadonlySet<string> } {
  const keys = Array.from({ length: 1 + random.below(8) }, (_, index) => `t${index}`);
  const after = (index: number) => keys.slice(0, index).filter(() => random.chance(0.15));
  const source = keys.map((key, index) => task(key, { after: after(index), retries: random.below(3) }));
  const order = source.toSorted(() => random.next() - 0.5);
  return { source: order, poison: new Set(random.chance(0.5) ? keys.filter(() => random.chance(0.3)) : []) };
}

/** Where a run can be: a server, a disk, and managers of which one after another is killed. */
export class RandomRun {
  readonly #random: Random;
  readonly #source: readonly SourceTask[];
  readonly #poison: ReadonlySet<string>;
  readonly oracle: RunOracle;
  readonly #sessions = new Map<string, ServerSession>();
  readonly #startedTokens = new Set<string>();
  readonly #told = new Set<string>();
  readonly #past: Pick<Live, 'key' | 'attempt' | 'token'>[] = [];
  readonly reasons: string[] = [];
  sends = 0;
  kills = 0;
  #violation: Error | null = null;
  #isCalm = false;
  #now = 1_000_000;
  // The memory of one manager.
  #actor!: ReturnType<typeof actorOf>;
  #policy: ResumePolicy = {};
  #live = new Map<string, Live>();
  #looks = new Map<string, { readonly key: string; readonly attempt: number }>();
  #timers: { readonly timer: RunTimer; readonly dueMs: number }[] = [];
  #commit: { readonly batch: number; readonly events: readonly JournalEvent[] } | null = null;
  #server: 'up' | 'down' | 'restarting' = 'down';
  #isOver = false;
  #isPaused = false;
  #isFull = false;
  #fullSinceMs = 0;
  #isEnding = false;
  #concurrency = 1;
  /** Tokens that the run may take. */
  #limit = Infinity;
  /** Cancelled by a user of this manager, though the row of that may not be committed. */
  #unwanted = new Set<string>();
  /** Providers that something of the world holds back. */
  readonly #narrow = new Set<string>();

  constructor(random: Random) {
    this.#random = random;
    const { source, poison } = sourceOf(random);
    [this.#source, this.#poison] = [source, poison];
    this.oracle = new RunOracle(source, settings.infrastructureTries);
    this.#open();
  }

  /** Lets chance rule for a while; then nothing goes wrong any more, and the run must come to its end. */
  play(steps: number): void {
    for (let step = 0; step < steps; step += 1) this.#step();
    this.#isCalm = true;
    for (let step = 0; this.reasons.at(-1) !== 'done' || !this.#isOver; step += 1) {
      if (step === 3000) throw new Error(`the run does not end: ${this.#stuck()}`);
      this.#step();
    }
  }

  /** A manager takes the run. */
  #open(): void {
    const random = this.#random;
    const { isCalm, keys } = { isCalm: this.#isCalm, keys: this.#source.map(({ key }) => key) };
    this.#policy = isCalm || random.chance(0.6) ? {} : random.chance(0.5) ? { retryErrors: true } : { redo: [random.pick(keys)] };
    const { plan, refusal } = planResume(foldJournal(rowsOf(this.oracle.rows)), this.#source, this.#policy);
    if (!plan) throw new Error(refusal.message);
    [this.#live, this.#looks, this.#timers, this.#commit] = [new Map(), new Map(), [], null];
    [this.#server, this.#isOver, this.#isPaused, this.#isFull, this.#isEnding] = ['restarting', false, false, false, false];
    this.#concurrency = 1 + random.below(3);
    this.#unwanted.clear();
    const failFast: RunSettings['failFast'] = isCalm || random.chance(0.9) ? 'off' : random.pick(['soon', 'now']);
    const maxFailures = isCalm || random.chance(0.8) ? null : { share: 0.2 };
    const onInterrupted = random.pick(['retry', 'continue', 'fail'] as const);
    const onQuota = random.pick(['wait', 'wait', 'fail', { fallback: 'beta/m' }] as const);
    this.#limit = isCalm || random.chance(0.6) ? Infinity : this.#ended() + 4 + random.below(30);
    const limits = { timeoutMs: null, usd: null, tokens: this.#limit === Infinity ? null : this.#limit };
    const chosen = { ...settings, limits, concurrency: this.#concurrency, failFast, maxFailures, onInterrupted, onQuota };
    const models = Object.fromEntries(
      keys
        .map((key, index) => [key, providers[index % 3]])
        .filter(([, id]) => id)
        .map(([key, id]) => [key, `${id}/m`]),
    );
    this.#narrow.clear();
    this.#actor = actorOf(plan, chosen, (effect) => this.#contain(effect), models as Record<string, string>);
    this.#send({ type: 'run.open', atMs: this.#now });
  }

  /** The manager dies at this instruction. What is being committed may have reached the disk. */
  #kill(): void {
    this.#actor.stop();
    this.kills += 1;
    if (this.#commit && this.#random.chance(0.5)) this.oracle.append(this.#commit.events, this.#policy);
    // The server goes on for a while, then it is stopped.
    for (const [token, session] of this.#sessions) {
      if (this.#live.has(token) && session.isSent && session.done === null && this.#random.chance(0.4)) session.done = 'succeeded';
    }
    this.oracle.forgetOpenDeaths();
    this.#past.push(...this.#live.values());
    this.#open();
  }

  #send(event: RunMachineEvent): void {
    this.#actor.send(event);
    const { status, error } = this.#actor.getSnapshot();
    if (status === 'error') throw error;
    if (this.#violation) throw this.#violation;
  }

  /** What an effect throws would end the machine. */
  #contain(effect: RunEffect): void {
    try {
      this.#carryOut(effect);
    } catch (error) {
      this.#violation ??= error as Error;
    }
  }

  #step(): void {
    this.#now += this.#random.below(3000);
    if (this.#isOver) return this.#kill();
    const choices = this.#choices();
    if (choices.length === 0) throw new Error(`nothing can happen any more: ${this.#stuck()}`);
    return this.#random.pick(choices)();
  }

  /** What the machine knows, for a failure's message. */
  #stuck(): string {
    const { tasks: _tasks, settings: _settings, ...context } = this.#actor.getSnapshot().context;
    return JSON.stringify({ ...context, server: [context.server, this.#server] });
  }

  /** What can happen now. */
  #choices(): (() => void)[] {
    const choices: (() => void)[] = [];
    if (this.#commit)
      choices.push(
        () => this.#finishCommit(),
        () => this.#finishCommit(),
      );
    for (const live of this.#live.values())
      choices.push(
        () => this.#advance(live),
        () => this.#advance(live),
      );
    for (const token of this.#looks.keys()) choices.push(() => this.#look(token));
    if (this.#timers.length > 0) choices.push(() => this.#fire());
    if (this.#server === 'restarting') choices.push(() => this.#serverReady());
    if (this.#isPaused) choices.push(() => this.#unpause());
    if (this.#isFull) choices.push(() => this.#free());
    for (const id of this.#narrow) choices.push(() => this.#widen(id));
    return this.#isCalm ? choices : [...choices, ...this.#accidents()];
  }

  #accidents(): (() => void)[] {
    const random = this.#random;
    const isPoisoned = [...this.#live.values()].some(
      ({ key, phase }) => this.#poison.has(key) && (phase === 'sent' || phase === 'accepted'),
    );
    const accidents: (() => void)[] = [];
    if (this.#server === 'up' && random.chance(isPoisoned ? 0.9 : 0.1)) accidents.push(() => this.#die());
    if (this.#server === 'up' && isPoisoned)
      accidents.push(
        () => this.#die(),
        () => this.#die(),
        () => this.#die(),
      );
    if (random.chance(0.2)) accidents.push(() => this.#kill());
    if (random.chance(0.3) && this.#past.length > 0) accidents.push(() => this.#tellLate());
    if (random.chance(0.1)) accidents.push(() => this.#changeConcurrency());
    if (random.chance(0.15)) accidents.push(() => this.#hold(random.pick(['alpha', 'beta'])));
    if (random.chance(0.05))
      accidents.push(
        () => this.#pause(),
        () => this.#fill(),
      );
    if (random.chance(0.03)) accidents.push(() => this.#drain());
    if (random.chance(0.03)) accidents.push(() => this.#abort());
    if (random.chance(0.1)) accidents.push(() => this.#cancel());
    if (random.chance(0.15)) accidents.push(() => this.#requeue());
    return accidents;
  }

  #carryOut(effect: RunEffect): void {
    switch (effect.type) {
      case 'commit':
        must(this.#commit === null, 'two batches at a time');
        this.#commit = effect.params;
        return undefined;
      case 'start':
        return this.#start(effect.params);
      case 'look': {
        const { key, open } = effect.params;
        must(this.oracle.openOf(key) === open.token, `${key} is looked at and not open`);
        must(this.#server === 'up', 'a look without a server');
        must(this.#live.size + this.#looks.size < this.#concurrency, 'too many attempts at a time');
        this.#looks.set(open.token, { key, attempt: open.attempt });
        return undefined;
      }
      case 'allowSend':
        return this.#sendPrompt(effect.params);
      case 'abort': {
        const live = this.#live.get(effect.params.token);
        if (live) live.isAborted = true;
        this.#looks.delete(effect.params.token);
        return undefined;
      }
      case 'schedule':
        this.#timers.push({ timer: effect.params.timer, dueMs: this.#now + effect.params.delayMs });
        return undefined;
      case 'restartServer':
        this.#server = 'restarting';
        return undefined;
      case 'told':
        return this.#tell(effect.params);
      case 'ended':
        must(!this.#isOver, 'the run ends twice');
        this.#isOver = true;
        this.reasons.push(effect.params.reason);
        if (effect.params.isCommitted) this.oracle.checkCounts(effect.params.counts, effect.params.reason);
        must(effect.params.isCommitted || effect.params.reason !== 'done', 'done, and not committed');
        return undefined;
    }
  }

  #start({ key, attempt, token }: Extract<RunEffect, { type: 'start' }>['params']): void {
    must(!this.#startedTokens.has(token), `token ${token} is started twice`);
    this.#startedTokens.add(token);
    must(this.oracle.mayStart(key), `${key} starts and must not`);
    must(![...this.#live.values()].some((live) => live.key === key), `${key} has two attempts at a time`);
    must(this.#server === 'up', `${key} starts without a server`);
    must(!this.#isPaused && !this.#isFull && !this.#isEnding, `${key} starts while nothing may`);
    must(this.#live.size + this.#looks.size < this.#concurrency, 'too many attempts at a time');
    const taken = [...this.#live.values()].reduce((sum, live) => sum + live.taken, this.#ended());
    must(taken < 0.9 * this.#limit, `${key} starts though ${taken} of ${this.#limit} tokens are taken`);
    const isSuspect = this.oracle.isSuspect(key);
    must(![...this.#live.values()].some((live) => live.isSuspect), `${key} starts beside a suspect`);
    if (isSuspect) {
      must(this.#live.size === 0, `suspect ${key} starts beside another`);
      const waits = ({ key: one }: SourceTask) =>
        !this.oracle.isSuspect(one) &&
        !this.oracle.isParked(one) &&
        !this.#isHeld(one) &&
        !this.#unwanted.has(one) &&
        this.oracle.mayStart(one);
      // What comes after a task that is being requeued waits for it, by a row that is not committed.
      const other = this.#isRequeueing() ? undefined : this.#source.find(waits);
      must(other === undefined, `suspect ${key} starts before ${other?.key}`);
    }
    this.#live.set(token, { key, attempt, token, isSuspect, phase: 'preparing', isAborted: false, isLost: false, taken: 0 });
    this.#sessions.set(token, { isSent: false, done: null });
  }

  #sendPrompt({ token }: { readonly token: string }): void {
    const [live, session] = [this.#live.get(token), this.#sessions.get(token)!];
    must(live?.phase === 'waiting', `${token} may be sent and does not wait`);
    must(
      this.oracle.rows.some((row) => row.type === 'attempt.intended' && row.token === token),
      `${token} is sent before its intent is committed`,
    );
    must(!session.isSent, `${token} is sent twice`);
    must(!live!.isAborted, `${token} is sent after its abort`);
    live!.phase = 'sent';
    if (this.#server !== 'up') live!.isLost = true;
    else {
      session.isSent = true;
      this.sends += 1;
    }
  }

  #tell(end: Extract<RunEffect, { type: 'told' }>['params']): void {
    const isWritten = this.oracle
      .of(end.key)
      .some((row) =>
        end.type === 'skipped'
          ? row.type === 'task.skipped'
          : row.type === 'attempt.ended' && row.attempt === end.attempt && row.outcome === end.outcome && row.final === end.final,
      );
    must(isWritten, `the end of ${end.key} is told before it is committed`);
    if (end.type === 'skipped') return;
    const name = `${end.key} ${end.attempt}`;
    must(!this.#told.has(name), `the end of ${name} is told twice`);
    this.#told.add(name);
  }

  #finishCommit(): void {
    const { batch, events } = this.#commit!;
    this.#commit = null;
    if (this.#isFull || (!this.#isCalm && this.#random.chance(0.05))) {
      this.#noteFull();
      return this.#send({ type: 'journal.failed', batch, error: storageFull, atMs: this.#now });
    }
    if (!this.#isCalm && this.#random.chance(0.01)) {
      this.#isEnding = true;
      return this.#send({ type: 'journal.failed', batch, error: errorOf('SERVER_ERROR'), atMs: this.#now });
    }
    this.oracle.append(events, this.#policy);
    return this.#send({ type: 'journal.committed', batch, atMs: this.#now });
  }

  /** One step of an attempt. */
  #advance(live: Live): void {
    const { key, attempt, token, phase } = live;
    const session = this.#sessions.get(token)!;
    const own = { key, attempt, token };
    if (live.isAborted && this.#random.chance(0.7)) return this.#end(live, session.done ?? 'aborted');
    if (live.isLost) return this.#end(live, session.isSent && this.#random.chance(0.3) ? 'interrupted' : 'server_lost');
    if (phase === 'preparing') {
      if (!this.#isCalm && this.#random.chance(0.05)) return this.#end(live, 'failed');
      live.phase = 'waiting';
      const intent = { type: 'attempt.intended', ...own, sessionId: `ses_${token}`, messageId: `msg_${token}`, directory: '/' } as const;
      this.#send(intent);
      return this.#random.chance(0.1) ? this.#send(intent) : undefined;
    }
    if (phase === 'waiting') return undefined;
    if (phase === 'sent' && this.#random.chance(0.6)) {
      live.phase = 'accepted';
      return this.#send({ type: 'attempt.accepted', ...own });
    }
    if (!this.#isCalm && phase === 'accepted' && this.#random.chance(0.2)) return this.#spend(live);
    if (session.done !== null) return this.#end(live, session.done);
    if (this.#poison.has(key) && !this.#isCalm && this.#random.chance(0.9)) return this.#die();
    session.done = this.#isCalm ? 'succeeded' : this.#random.pick(outcomes);
    return undefined;
  }

  /** A step of it has ended. */
  #spend(live: Live): void {
    const { key, attempt, token } = live;
    live.taken += 1 + this.#random.below(4);
    const isLast = this.#random.chance(0.2);
    this.#send({ type: 'attempt.spent', key, attempt, token, tokens: live.taken, usd: 0, isLast });
    if (isLast) return;
    const taken = [...this.#live.values()].reduce((sum, one) => sum + one.taken, this.#ended());
    if (taken < this.#limit) return;
    for (const one of this.#live.values()) must(one.isAborted, `${one.key} goes on though ${taken} of ${this.#limit} tokens are taken`);
  }

  /** Tokens that the rows of ended attempts tell: one that goes on tells its parts again. */
  #ended(): number {
    const ends = this.oracle.rows.filter((row) => row.type === 'attempt.ended' && row.continues === undefined);
    return tokensOfResult * ends.length;
  }

  #end({ key, attempt, token }: Live, outcome: Outcome): void {
    this.#live.delete(token);
    this.#past.push({ key, attempt, token });
    const { isSent: billed } = this.#sessions.get(token)!;
    this.#send({ type: 'attempt.ended', key, attempt, token, ...this.#endOf(key, outcome), billed });
  }

  #endOf(key: string, outcome: Outcome) {
    const hasReset = outcome === 'quota_exhausted' && this.#random.chance(0.5);
    const reset = hasReset ? { reset_at: new Date(this.#now + 60_000).toISOString() } : {};
    const jitter = this.#random.next() * 2 - 1;
    return { outcome, error: null, result: resultOf(key, outcome, reset), jitter, atMs: this.#now };
  }

  #look(token: string): void {
    const { key, attempt } = this.#looks.get(token)!;
    this.#looks.delete(token);
    this.#past.push({ key, attempt, token });
    const { isSent, done } = this.#sessions.get(token)!;
    if (done === null) this.oracle.orphans.add(token);
    const fate = done === null ? (isSent ? 'interrupted' : 'never_started') : 'finished';
    this.#send({ type: 'attempt.looked', key, attempt, token, fate, end: { ...this.#endOf(key, done ?? 'interrupted'), billed: isSent } });
  }

  #fire(): void {
    const due = this.#random.pick(this.#timers);
    this.#timers = this.#timers.filter((other) => other !== due);
    this.#now = Math.max(this.#now, due.dueMs);
    const isLasting = this.#isFull && this.#now - this.#fullSinceMs >= settings.storageTimeoutMs;
    if (due.timer.name === 'storage.deadline' && isLasting) this.#isEnding = true;
    this.#send({ type: 'timer.fired', timer: due.timer, atMs: this.#now });
  }

  /** Something of an attempt that is over, or belongs to a dead manager, comes late. */
  #tellLate(): void {
    const { key, attempt, token } = this.#random.pick(this.#past);
    if (this.#live.has(token) || this.#looks.has(token)) return;
    this.#send({ type: 'attempt.ended', key, attempt, token, ...this.#endOf(key, 'succeeded'), billed: true });
  }

  #die(): void {
    this.#server = 'down';
    for (const live of this.#live.values()) {
      const session = this.#sessions.get(live.token)!;
      if (live.phase !== 'sent' && live.phase !== 'accepted') live.isLost = this.#random.chance(0.5) && live.phase === 'preparing';
      else if (session.done === null) live.isLost = true;
      if (session.isSent) this.oracle.deaths.set(live.token, (this.oracle.deaths.get(live.token) ?? 0) + 1);
    }
    this.#looks.clear();
    this.#send({ type: 'server.died', error: errorOf('SERVER_EXITED'), atMs: this.#now });
    if (this.#server === 'down') this.#isEnding = true;
  }

  #serverReady(): void {
    this.#server = 'up';
    this.#send({ type: 'server.ready', atMs: this.#now });
  }

  #hold(id: string): void {
    this.#narrow.add(id);
    const heldUntilMs = this.#random.chance(0.5) ? this.#now + 5000 : null;
    if (this.#random.chance(0.3)) this.#send({ type: 'provider.paused', provider: id });
    else this.#send({ type: 'provider.changed', provider: id, limit: 1, heldUntilMs });
  }

  #widen(id: string): void {
    this.#narrow.delete(id);
    if (this.#random.chance(0.5)) this.#send({ type: 'provider.changed', provider: id, limit: 3, heldUntilMs: null });
    this.#send({ type: 'provider.resumed', provider: id, atMs: this.#now });
  }

  /** Of a provider that may be asked no more for now, by what the machine was told. */
  #isHeld(key: string): boolean {
    const { context } = this.#actor.getSnapshot();
    const gate = context.gates.find(({ id }) => id === accountOf(context, find(context.tasks, key)!));
    return gate !== undefined && (isClosed(gate) || gate.limit !== null);
  }

  #pause(): void {
    this.#isPaused = true;
    this.#send({ type: 'run.pause' });
  }

  #unpause(): void {
    this.#isPaused = false;
    this.#send({ type: 'run.resume' });
  }

  #noteFull(): void {
    if (!this.#isFull) this.#fullSinceMs = this.#now;
    this.#isFull = true;
  }

  #fill(): void {
    this.#noteFull();
    this.#send({ type: 'storage.full', atMs: this.#now });
  }

  #free(): void {
    this.#isFull = false;
    this.#send({ type: 'storage.free', atMs: this.#now });
  }

  #changeConcurrency(): void {
    this.#concurrency = 1 + this.#random.below(4);
    this.#send({ type: 'concurrency.changed', concurrency: this.#concurrency, enforces: this.#random.chance(0.3) });
  }

  #drain(): void {
    this.#isEnding = true;
    this.#send({ type: 'run.drain' });
  }

  #abort(): void {
    this.#isEnding = true;
    this.#send({ type: 'run.abort', reason: 'SIGINT' });
  }

  #cancel(): void {
    const { key } = this.#random.pick(this.#source);
    this.#unwanted.add(key);
    this.#send({ type: 'task.cancelled', key, reason: 'no' });
  }

  #isRequeueing(): boolean {
    const { outbox, committing } = this.#actor.getSnapshot().context;
    return [...outbox, ...(committing?.events ?? [])].some(({ type }) => type === 'task.requeued');
  }

  #requeue(): void {
    const { key } = this.#random.pick(this.#source);
    const force = this.#random.chance(0.3);
    if (force) this.oracle.forced.add(key);
    this.#send({ type: 'task.requeued', key, force });
  }
}

const storageFull = { ...errorOf('SERVER_ERROR'), code: 'RUN_STORAGE_FULL' as 'SERVER_ERROR' };
