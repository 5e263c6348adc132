import { OpencodeManagerError } from '@opencode-manager/core';
import type { AskFacts, SessionFact } from '@opencode-manager/core/protocol';
import type { ActorRefFrom, SnapshotFrom } from 'xstate';
import { createActor } from 'xstate';
import {
  statePath,
  type FinishedTurn,
  type ProviderRetry,
  type sessionMachine,
  type SessionLimits,
  type SessionMachineEvent,
  type SnapshotFacts,
  type TurnFact,
} from '../machines/index.ts';
import { AskDesk, type AskDeskOptions } from '../policy/ask-desk.ts';
import type { Clock, ServerPort, SessionPort } from '../ports/index.ts';
import type { AnsweredAsk } from '../task/types.ts';
import type { Inspection } from '../pool/inspection.ts';
import type { SessionActorState, SessionSnapshot } from '../pool/types.ts';
import { actorFailed, isServerLoss, serialize } from './failures.ts';
import { LateAbort } from './late-abort.ts';
import { wasRefused } from './refusals.ts';
import { translateFact, type EventSink } from './session-events.ts';
import { openAskOf, readTurnState } from './turn-state.ts';
import { beginTurn, type TurnInFlight, type TurnPlan, type TurnReport } from './turn-in-flight.ts';
import type { RunawayLimits, TurnObserver } from './turn-observer.ts';

type SessionActor = ActorRefFrom<typeof sessionMachine>;

export interface SessionHostOptions {
  readonly server: ServerPort;
  readonly operations: SessionPort;
  readonly machine: typeof sessionMachine;
  readonly limits: Partial<SessionLimits>;
  readonly runaway: RunawayLimits;
  readonly inspection: Inspection;
  readonly streamLive: boolean;
  readonly clock: Clock;
  readonly onChange: (snapshot: SessionSnapshot, from: string) => void;
  /** No turn is in flight any more. Quarantined: the server may still work on it. */
  readonly onRest: (host: SessionHost, quarantined: boolean) => void;
  /** opencode waits for the provider, here or in a sub-agent. */
  readonly onRetry: (retry: ProviderRetry) => void;
  /** A sub-agent session of this one: its events belong here too. */
  readonly onChild: (sessionId: string) => void;
}

/** Without a reason of its own, each abort makes an error with a stack that nobody reads. */
const turnIsOver = 'the turn is over';

const none: ReadonlySet<string> = new Set();

/**
 * Owns what belongs to one session: its actor, its requests, its observer. The actor holds no resource, so that
 * whatever happens to it, this object cleans up. Events go in by `onEvent`; only lifecycle facts reach the actor.
 */
export class SessionHost implements EventSink {
  readonly id: string;
  readonly directory: string;
  readonly #options: SessionHostOptions;
  readonly #actor: SessionActor;
  // Made with their first member: an empty set holds 150 bytes, and most sessions have neither sub-agents nor asks.
  #children: Set<string> | undefined;
  #busyChildren: Set<string> | undefined;
  /** Asks of earlier turns; opencode keeps those of an aborted turn in its lists. */
  #oldAsks: Set<string> | undefined;
  #server: ServerPort;
  #operations: SessionPort;
  #turn: TurnInFlight | undefined;
  /** The newest turn whose server was lost. */
  #interrupted: TurnInFlight | undefined;
  #path = 'idle';
  #sinceMs: number;
  #reading = false;
  #readAgain = false;
  #queue: Promise<unknown> = Promise.resolve();
  /** Lent to a caller: the pool does not use it meanwhile. */
  lent = false;

  constructor(options: SessionHostOptions) {
    this.#options = options;
    this.#server = options.server;
    this.#operations = options.operations;
    this.id = options.operations.id;
    this.directory = options.operations.directory;
    this.#sinceMs = options.clock.now();
    this.#actor = createActor(options.machine, {
      input: { sessionId: this.id, directory: this.directory, limits: options.limits, streamLive: options.streamLive },
      clock: options.clock,
      ...options.inspection(options.machine, this.id),
    });
    this.#actor.on('turn.finished', ({ turn }) => this.#finish(turn));
    // Without an error observer, XState rethrows to the process.
    this.#actor.subscribe({ next: (snapshot) => this.#onSnapshot(snapshot), error: (error) => this.#onActorError(error) });
    this.#actor.start();
  }

  /** The server that has the session's turns. */
  get server(): ServerPort {
    return this.#server;
  }

  get operations(): SessionPort {
    return this.#operations;
  }

  get state(): SessionActorState {
    return this.#path.split('.')[0] as SessionActorState;
  }

  get isFree(): boolean {
    return this.state === 'idle' && !this.lent && this.#turn === undefined;
  }

  /** Id of the task whose turn is in flight. */
  get taskId(): string | null {
    return this.#turn?.plan.taskId ?? null;
  }

  get turns(): number {
    return this.#actor.getSnapshot().context.turns;
  }

  get observer(): TurnObserver | undefined {
    return this.#turn?.observer;
  }

  get messageId(): string | undefined {
    return this.#turn?.plan.request.messageId;
  }

  get children(): ReadonlySet<string> {
    return this.#children ?? none;
  }

  /** Runs one turn to its end. The caller keeps to one at a time. @throws `SESSION_ACTOR_FAILED` when the actor failed */
  run(plan: TurnPlan): Promise<TurnReport> {
    if (this.state === 'dead') return Promise.reject(actorFailed(this.id, new Error('the session is dead')));
    const { clock, runaway } = this.#options;
    const atMs = clock.now();
    const turn = beginTurn(plan, runaway, { startedAtMs: atMs, lastSignMs: clock.elapsed() });
    this.#turn = turn;
    const { kind, messageId } = plan.request;
    this.send({ type: 'turn.submit', taskId: plan.taskId, messageId, kind, timeoutMs: plan.timeoutMs, atMs });
    return turn.settled.promise;
  }

  /** Goes on with the session on the server that came in the place of its own; not while a turn is in flight. */
  reattach(server: ServerPort, streamLive: boolean): boolean {
    if (server === this.#server || this.#turn) return false;
    this.#server = server;
    this.#operations = server.session(this.id, this.directory);
    this.send({ type: streamLive ? 'stream.live' : 'stream.gap' });
    return true;
  }

  /** Reads the end of the turn that was over when its server was lost; nothing is sent. @throws `SESSION_ACTOR_FAILED` */
  resume(): Promise<TurnReport> {
    const turn = this.#interrupted;
    if (!turn || this.state === 'dead') return Promise.reject(actorFailed(this.id, new Error('there is no turn to go on with')));
    const settled = Promise.withResolvers<TurnReport>();
    this.#turn = { ...turn, closed: new LateAbort(), settled };
    const { taskId, timeoutMs, request } = turn.plan;
    this.send({
      type: 'turn.resume',
      taskId,
      messageId: request.messageId,
      kind: request.kind,
      timeoutMs,
      atMs: this.#options.clock.now(),
    });
    return settled.promise;
  }

  /** Asks for the end of the turn in flight; it is over when its `run` resolves. */
  abort(reason?: string): void {
    this.send({ type: 'turn.abort', ...(reason !== undefined && { reason }) });
  }

  /** Resolves when no turn is in flight (any more). */
  async untilRest(): Promise<void> {
    await this.#turn?.settled.promise.catch(() => undefined);
  }

  /** Runs jobs of this session one after the other. */
  enqueue<Result>(job: () => Promise<Result>): Promise<Result> {
    const run = this.#queue.then(job, job);
    this.#queue = run.catch(() => undefined);
    return run;
  }

  /** Takes a fact of the session itself, or of a sub-agent of it. */
  onFact(sessionId: string, fact: SessionFact): void {
    translateFact(this, sessionId, fact, this.#options.clock.now());
  }

  /** Tells the actor a fact about the turn in flight. Without one it would ignore it: opencode says `idle` twice, for example. */
  tell(fact: TurnFact): void {
    if (this.#turn) this.send(fact);
  }

  /** Sends to the actor; a dead one gets nothing. */
  send(event: SessionMachineEvent): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event);
  }

  adoptChild(sessionId: string): void {
    if (this.#children?.has(sessionId)) return;
    (this.#children ??= new Set()).add(sessionId);
    this.#options.onChild(sessionId);
  }

  retrying(retry: ProviderRetry): void {
    this.#options.onRetry(retry);
  }

  childStatus(sessionId: string, busy: boolean, atMs: number): void {
    if (busy === (this.#busyChildren?.has(sessionId) ?? false)) return;
    if (busy) (this.#busyChildren ??= new Set()).add(sessionId);
    else this.#busyChildren?.delete(sessionId);
    this.tell({ type: busy ? 'child.busy' : 'child.quiet', sessionId, atMs });
  }

  /** Our message is on the server: its answer says so, and so do events. */
  accepted(atMs: number): void {
    if (!this.#turn || this.#turn.accepted) return;
    this.#turn.accepted = true;
    this.send({ type: 'turn.accepted', atMs });
  }

  /** A sign of life. The actor hears of it when it asks, and while it suspects a stall: each that it is told of costs it a transition and new timers. */
  progress(): void {
    const turn = this.#turn;
    if (!turn) return;
    turn.lastSignMs = this.#options.clock.elapsed();
    if (this.#actor.getSnapshot().context.turn?.stallSuspected) this.send({ type: 'progress' });
  }

  checkRunaway(): void {
    const reason = this.#turn?.observer.runaway;
    if (reason !== undefined) this.send({ type: 'turn.runaway', reason });
  }

  askOpened(ask: AskFacts, atMs: number): void {
    const turn = this.#turn;
    if (!turn || this.isOldAsk(ask.id)) return this.#rememberAsk(ask.id);
    this.send({ type: 'ask.opened', ask: openAskOf(ask, atMs), atMs });
    (turn.desk ??= this.#openDesk(turn.plan)).open(ask);
  }

  askReplied(id: string, answer: AnsweredAsk['answer']): void {
    this.#turn?.desk?.replied(id, answer);
  }

  isOldAsk(id: string): boolean {
    return this.#oldAsks?.has(id) ?? false;
  }

  #rememberAsk(id: string): void {
    (this.#oldAsks ??= new Set()).add(id);
  }

  #openDesk({ policy, taskId }: TurnPlan): AskDesk {
    const onClosed: AskDeskOptions['onClosed'] = (id, { rejectedQuestion }) =>
      this.send({ type: 'ask.closed', id, rejectedQuestion, atMs: this.#options.clock.now() });
    return new AskDesk({ server: this.#server, taskId, policy, onClosed });
  }

  snapshot(): SessionSnapshot {
    return {
      sessionId: this.id,
      directory: this.directory,
      state: this.state,
      path: this.#path,
      taskId: this.taskId,
      turns: this.turns,
      sinceMs: this.#sinceMs,
    };
  }

  /** Stops the actor; a turn in flight is given up. */
  dispose(): void {
    this.#actor.stop();
    // An error holds a stack: most sessions have no turn that would need one.
    if (this.#turn) this.#giveUp(new OpencodeManagerError('TURN_ABORTED', `Session ${this.id} was closed during its turn.`));
  }

  // Effects of the machine.

  submitTurn(): void {
    const turn = this.#turn;
    if (!turn) return;
    const { request } = turn.plan;
    // The answer to a prompt may come after the turn's end; to break its connection off would cost the next call a new one.
    const call = request.kind === 'prompt' ? {} : { signal: turn.closed.signal };
    this.operations.submit(request, call).then(
      () => this.#turn === turn && this.accepted(this.#options.clock.now()),
      (error: unknown) => this.#sendFor(turn, { type: wasRefused(error) ? 'turn.refused' : 'turn.unknown', error: serialize(error) }),
    );
  }

  requestAbort(): void {
    // A lost request is repeated by the machine, and its deadline decides in the end.
    this.operations.abort().catch(() => undefined);
  }

  /** Reads the server's state; a request that comes during a read is answered by the next one. */
  requestSnapshot(): void {
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    const turn = this.#turn;
    if (!turn) return;
    this.#reading = true;
    const known = this.#actor.getSnapshot().context.turn;
    const soFar = { accepted: known?.accepted ?? false, gapped: (known?.gaps ?? 0) > 0 || (known?.stale ?? false) };
    readTurnState(this, this.#server, soFar, turn.closed.signal)
      // A failed read is repeated by the machine.
      .then((facts) => this.#onRead(turn, facts))
      .catch(() => undefined)
      .finally(() => this.#readOver());
  }

  lookForProgress(): void {
    const turn = this.#turn;
    if (!turn) return;
    const agoMs = this.#options.clock.elapsed() - turn.lastSignMs;
    const { stallTimeoutMs } = this.#actor.getSnapshot().context.limits;
    this.send(agoMs < stallTimeoutMs ? { type: 'progress', agoMs } : { type: 'turn.silent' });
  }

  endTools(): void {
    for (const id of [this.id, ...this.children]) this.#server.endTools(id).catch(() => undefined);
  }

  /** Contains what an effect threw: this session ends, its neighbours do not notice. */
  fail(error: unknown): void {
    this.requestAbort();
    this.send({ type: 'session.failed', error: actorFailed(this.id, error).toJSON() });
  }

  #onRead(turn: TurnInFlight, facts: SnapshotFacts): void {
    if (typeof facts.status === 'object') this.retrying(facts.status);
    this.#sendFor(turn, { type: 'snapshot.read', facts, atMs: this.#options.clock.now() });
  }

  #readOver(): void {
    this.#reading = false;
    if (!this.#readAgain) return;
    this.#readAgain = false;
    this.requestSnapshot();
  }

  #sendFor(turn: TurnInFlight, event: SessionMachineEvent): void {
    if (this.#turn === turn) this.send(event);
  }

  #finish(finished: FinishedTurn): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = undefined;
    this.#interrupted = isServerLoss(finished) ? turn : undefined;
    turn.closed.abort(turnIsOver);
    const asks = turn.desk?.records() ?? [];
    for (const id of turn.desk?.close() ?? []) this.#rememberAsk(id);
    this.#busyChildren = undefined;
    const report = {
      finished,
      summary: turn.observer.summary(),
      asks,
      startedAtMs: turn.startedAtMs,
      endedAtMs: this.#options.clock.now(),
    };
    turn.settled.resolve(report);
    this.#options.onRest(this, finished.quarantined);
  }

  #onSnapshot(snapshot: SnapshotFrom<typeof sessionMachine>): void {
    const path = statePath(snapshot.value);
    if (path !== this.#path) this.#moveTo(path);
  }

  #moveTo(path: string): void {
    const from = this.#path;
    this.#path = path;
    this.#sinceMs = this.#options.clock.now();
    this.#options.onChange(this.snapshot(), from);
  }

  #onActorError(error: unknown): void {
    // The server may still work on the turn, and nobody would follow it.
    this.requestAbort();
    this.#moveTo('dead');
    this.#giveUp(actorFailed(this.id, error));
  }

  #giveUp(error: OpencodeManagerError): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = undefined;
    turn.closed.abort(turnIsOver);
    turn.settled.reject(error);
    this.#options.onRest(this, false);
  }
}
