import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { AskFacts, ProviderRetry, SessionFact } from '@opencode-manager/core/protocol';
import { createActor, type ActorRefFrom, type SnapshotFrom } from 'xstate';
import {
  isEnding,
  statePath,
  type FinishedTurn,
  type ReadRequest,
  type sessionMachine,
  type SessionLimits,
  type SessionMachineEvent,
  type TurnSpent,
} from '../machines/index.ts';
import { AskDesk } from '../policy/ask-desk.ts';
import type { Inspection } from '../pool/inspection.ts';
import type { SessionActorState, SessionSnapshot } from '../pool/types.ts';
import type { Clock, ServerPort, SessionPort } from '../ports/index.ts';
import type { AnsweredAsk } from '../task/types.ts';
import { actorFailed, serialize } from './failures.ts';
import { wasRefused } from './refusals.ts';
import { tellExcess, tellSpent, translateFact, type EventSink } from './session-events.ts';
import { openTurn, type TurnInFlight, type TurnPlan, type TurnReport } from './turn-in-flight.ts';
import type { TurnObserver } from './turn-observer.ts';
import type { PriceTable } from './prices.ts';
import { readTurn } from './turn-reader.ts';

type Snapshot = SnapshotFrom<typeof sessionMachine>;

export interface SessionHostOptions {
  readonly server: ServerPort;
  readonly operations: SessionPort;
  readonly machine: typeof sessionMachine;
  readonly limits: Partial<SessionLimits>;
  readonly inspection: Inspection;
  readonly streamLive: boolean;
  readonly clock: Clock;
  readonly onChange: (snapshot: SessionSnapshot, from: string) => void;
  /** No turn is in flight any more. Quarantined: the server may still work on it. */
  readonly onRest: (host: SessionHost, quarantined: boolean) => void;
  /** opencode waits for a provider, here or in a sub-agent. */
  readonly onRetry: (retry: ProviderRetry, providerId: string | null) => void;
  readonly prices: PriceTable;
  /** The turn in flight has taken so much. */
  readonly onSpent: (taskId: string, spent: TurnSpent, isLast: boolean) => void;
  /** A sub-agent session of this one: its events belong here too. */
  readonly onChild: (sessionId: string) => void;
}

/** Without a reason of its own, each abort makes an error with a stack that nobody reads. */
const turnIsOver = 'the turn is over';

/**
 * Holds what belongs to one session: its actor, the calls of its turn in flight, and the reducer of what the turn says. What the session
 * does is the actor's to know and to decide; this object carries out its effects and tells it facts.
 */
export class SessionHost implements EventSink {
  readonly id: string;
  readonly directory: string;
  readonly #options: SessionHostOptions;
  readonly #actor: ActorRefFrom<typeof sessionMachine>;
  readonly #children = new Set<string>();
  #server: ServerPort;
  #operations: SessionPort;
  #turn: TurnInFlight | undefined;
  /** The state that listeners were told last, and since when. */
  #told = { path: 'idle', sinceMs: 0 };

  constructor(options: SessionHostOptions) {
    const { server, operations, machine, limits, streamLive, clock, inspection } = options;
    this.#options = options;
    this.#server = server;
    this.#operations = operations;
    this.id = operations.id;
    this.directory = operations.directory;
    const atMs = clock.now();
    this.#told.sinceMs = atMs;
    const input = { sessionId: this.id, directory: this.directory, limits, streamLive, atMs };
    this.#actor = createActor(machine, { input, clock, ...inspection(machine, this.id) });
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

  get path(): string {
    const { status, value } = this.#actor.getSnapshot();
    return status === 'error' ? 'dead.gone' : statePath(value);
  }

  get state(): SessionActorState {
    return this.path.split('.')[0] as SessionActorState;
  }

  /** Id of the task whose turn is in flight. */
  get taskId(): string | null {
    return this.state === 'active' ? (this.#actor.getSnapshot().context.turn?.taskId ?? null) : null;
  }

  get turns(): number {
    return this.#actor.getSnapshot().context.turns;
  }

  get turn(): { readonly messageId: string; readonly observer: TurnObserver } | undefined {
    return this.#turn && { messageId: this.#turn.plan.request.messageId, observer: this.#turn.observer };
  }

  get children(): ReadonlySet<string> {
    return this.#children;
  }

  /** Runs one turn to its end. @throws `SESSION_ACTOR_FAILED` when the session cannot take one */
  run(plan: TurnPlan): Promise<TurnReport> {
    return this.#begin(plan, 'turn.submit');
  }

  /** Reads the end of a turn that was over when its server was lost; nothing is sent. @throws `SESSION_ACTOR_FAILED` */
  resume(plan: TurnPlan): Promise<TurnReport> {
    return this.#begin(plan, 'turn.resume');
  }

  /** Goes on with the session on the server that came in the place of its own; false while a turn is in flight, or when it is there already. */
  reattach(server: ServerPort, streamLive: boolean): boolean {
    if (server === this.#server || this.#turn || this.state === 'dead') return false;
    this.#server = server;
    this.#operations = server.session(this.id, this.directory);
    this.send(streamLive ? { type: 'stream.live', atMs: this.#options.clock.now() } : { type: 'stream.gap' });
    return true;
  }

  /** Asks for the end of the turn in flight: within the time given it is over, or the session quarantined. */
  abort(reason?: string, withinMs?: number): void {
    this.send({ type: 'turn.abort', ...(reason !== undefined && { reason }), ...(withinMs !== undefined && { withinMs }) });
  }

  /** Takes a fact of the session itself, or of a sub-agent of it. */
  onFact(sessionId: string, fact: SessionFact): void {
    translateFact(this, sessionId, fact, this.#options.clock.now());
  }

  /** Sends to the actor; one that has failed gets nothing. */
  send(event: SessionMachineEvent): void {
    if (this.#actor.getSnapshot().status === 'active') this.#actor.send(event);
  }

  /** A sub-agent session was just made, to work. */
  onChildCreated(sessionId: string): void {
    this.adoptChild(sessionId);
    this.send({ type: 'child.busy', sessionId, atMs: this.#options.clock.now() });
  }

  adoptChild(sessionId: string): void {
    if (this.#children.has(sessionId)) return;
    this.#children.add(sessionId);
    this.#options.onChild(sessionId);
  }

  snapshot(): SessionSnapshot {
    const { path, sinceMs } = this.#told;
    const { id, directory, taskId, turns } = this;
    return { sessionId: id, directory, state: path.split('.')[0] as SessionActorState, path, taskId, turns, sinceMs: Math.floor(sinceMs) };
  }

  /** Stops the actor; a turn in flight is given up. */
  dispose(): void {
    this.#actor.stop();
    if (this.#turn) this.#giveUp(new OpencodeManagerError('TURN_ABORTED', `Session ${this.id} was closed during its turn.`));
  }

  // What the stream tells of, beside the machine.

  /** What comes before the stream is live again is of an earlier time: the reads of the gap tell what was done meanwhile. */
  onActivity(): void {
    if (!this.#turn || this.#actor.getSnapshot().context.liveSinceMs === null) return;
    this.#turn.activeAtMs = this.#options.clock.elapsed();
  }

  onRetry(retry: ProviderRetry, providerId: string | null): void {
    this.#options.onRetry(retry, providerId);
  }

  onSpent(spent: TurnSpent): void {
    const { turn } = this.#actor.getSnapshot().context;
    if (this.#turn) this.#options.onSpent(this.#turn.plan.taskId, spent, turn !== null && isEnding(turn));
  }

  onAsk(ask: AskFacts): void {
    this.#turn?.desk.know(ask);
  }

  onReply(askId: string, answer: AnsweredAsk['answer']): void {
    this.#turn?.desk.replied(askId, answer);
  }

  // Effects of the machine.

  submitTurn(): void {
    const turn = this.#turn;
    if (!turn) return;
    const { request } = turn.plan;
    // The answer to a prompt may come after the turn's end; to break its connection off would cost the next call a new one.
    const call = request.kind === 'prompt' ? {} : { signal: turn.calls.signal };
    this.#operations.submit(request, call).then(
      () => this.#onTaken(turn),
      (error: unknown) => this.#tell(turn, { type: wasRefused(error) ? 'turn.refused' : 'turn.unknown', error: serialize(error) }),
    );
  }

  #onTaken(turn: TurnInFlight): void {
    turn.isTaken = true;
    this.#tell(turn, { type: 'turn.accepted', source: 'answer', atMs: this.#options.clock.now() });
  }

  requestAbort(): void {
    const turn = this.#turn?.isTaken && this.#server.takesPromptsBack ? this.#turn : undefined;
    this.#operations.abort().then(
      () => turn && (turn.abortedAtMs ??= this.#options.clock.now()),
      // A lost request is repeated by the machine, and its deadline decides in the end.
      () => undefined,
    );
  }

  /** Reads the server's state; a request that comes during a read is answered by the next one. */
  requestSnapshot(request: ReadRequest): void {
    const turn = this.#turn;
    if (!turn) return;
    if (turn.reading === 'no') void this.#read(turn, request);
    else turn.reading = 'again';
  }

  answerAsks(ids: readonly string[]): void {
    this.#turn?.desk.answer(ids);
  }

  lookForProgress(): void {
    const turn = this.#turn;
    const { clock } = this.#options;
    if (turn) this.send({ type: 'progress', agoMs: clock.elapsed() - turn.activeAtMs, atMs: clock.now() });
  }

  abortChildren(ids: readonly string[]): void {
    for (const id of ids) {
      const child = this.#server.session(id, this.directory);
      child.abort().catch(() => undefined);
    }
  }

  endTools(): void {
    for (const id of [this.id, ...this.#children]) this.#server.endTools(id).catch(() => undefined);
  }

  /** Contains what an effect threw: this session ends, its neighbours do not notice. */
  fail(error: unknown): void {
    this.requestAbort();
    this.send({ type: 'session.failed', error: actorFailed(this.id, error).toJSON() });
  }

  #begin(plan: TurnPlan, type: 'turn.submit' | 'turn.resume'): Promise<TurnReport> {
    if (this.#turn) return Promise.reject(actorFailed(this.id, new Error('a turn is in flight')));
    const { clock } = this.#options;
    const atMs = clock.now();
    const { taskId, policy, timeoutMs, limits, emptyAnswer, request } = plan;
    const desk = new AskDesk({
      server: this.#server,
      taskId,
      policy,
      onClosed: (id, { rejectedQuestion }) => this.#tell(turn, { type: 'ask.closed', id, rejectedQuestion, atMs: clock.now() }),
    });
    const { maxAnswerBytes } = this.#actor.getSnapshot().context.limits;
    const turn = openTurn(plan, desk, { startedAtMs: atMs, activeAtMs: clock.elapsed(), maxAnswerBytes, prices: this.#options.prices });
    this.#turn = turn;
    const { messageId, kind } = request;
    const wishes = { ...(limits && { limits }), ...(emptyAnswer !== undefined && { emptyAnswer }) };
    this.send({ type, taskId, messageId, kind, timeoutMs, ...wishes, atMs });
    const { context } = this.#actor.getSnapshot();
    const isTaken = context.turn?.messageId === messageId || context.lastTurn?.messageId === messageId;
    if (!isTaken) this.#giveUp(actorFailed(this.id, new Error(`it takes no turn in the state ${this.path}`)));
    return turn.settled.promise;
  }

  async #read(turn: TurnInFlight, request: ReadRequest): Promise<void> {
    const { clock } = this.#options;
    turn.reading = 'yes';
    try {
      const reading = await readTurn(this.#targetOf(turn), request);
      if (reading === 'deleted') return this.#tell(turn, { type: 'session.deleted' });
      if (reading.history?.changed) turn.activeAtMs = clock.elapsed();
      const { value } = reading.status;
      if (typeof value === 'object') this.onRetry(value, turn.observer.providerOf(this.id) ?? null);
      if (this.#turn === turn) tellExcess(this, turn.observer);
      const { activeAtMs, abortedAtMs } = turn;
      const since = { agoMs: clock.elapsed() - activeAtMs, ...(abortedAtMs !== undefined && { abortedAtMs }) };
      this.#tell(turn, { type: 'snapshot.read', reading: { ...reading, ...since }, atMs: clock.now() });
      if (this.#turn === turn) tellSpent(this);
      const { loop } = turn.observer;
      if (loop.repetitions > 1 || loop.emptySteps > 0) this.#tell(turn, { type: 'loop.seen', loop });
    } catch {
      // A failed read is repeated by the machine.
    }
    const again = (turn.reading as TurnInFlight['reading']) === 'again';
    turn.reading = 'no';
    if (again && this.#turn === turn) void this.#read(turn, { history: true, descendants: true });
  }

  #targetOf({ plan, observer, desk, calls }: TurnInFlight) {
    return {
      session: this.#operations,
      server: this.#server,
      clock: this.#options.clock,
      messageId: plan.request.messageId,
      observer,
      children: this.#children,
      adoptChild: (id: string) => this.adoptChild(id),
      onAsk: (ask: AskFacts) => desk.know(ask),
      signal: calls.signal,
    };
  }

  /** Tells the machine what came of a turn's call, while that turn is in flight. */
  #tell(turn: TurnInFlight, event: SessionMachineEvent): void {
    if (this.#turn === turn) this.send(event);
  }

  #onSnapshot({ value, context }: Snapshot): void {
    const path = statePath(value);
    const turn = this.#turn;
    if (turn && context.turn === null && context.lastTurn?.messageId === turn.plan.request.messageId) this.#finish(turn, context.lastTurn);
    if (path !== this.#told.path) this.#announce(path);
    if (turn && this.#turn === undefined) this.#options.onRest(this, context.lastTurn?.quarantined === true);
  }

  #finish(turn: TurnInFlight, finished: FinishedTurn): void {
    this.#turn = undefined;
    turn.calls.abort(turnIsOver);
    turn.desk.close();
    const { observer, desk, startedAtMs } = turn;
    turn.settled.resolve({
      finished,
      summary: observer.summary(),
      asks: desk.records(),
      startedAtMs,
      endedAtMs: this.#options.clock.now(),
    });
  }

  #announce(path: string): void {
    const from = this.#told.path;
    this.#told = { path, sinceMs: this.#options.clock.now() };
    this.#options.onChange(this.snapshot(), from);
  }

  #onActorError(error: unknown): void {
    // The server may still work on the turn, and nobody would follow it.
    this.requestAbort();
    this.#announce('dead.gone');
    if (!this.#turn) return;
    this.#giveUp(actorFailed(this.id, error));
    this.#options.onRest(this, false);
  }

  #giveUp(error: OpencodeManagerError): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = undefined;
    turn.calls.abort(turnIsOver);
    turn.desk.close();
    turn.settled.reject(error);
  }
}
