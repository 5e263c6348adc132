import type { MessageFacts, StatusFacts } from '@opencode-manager/core/protocol';
import type { StreamNotice } from '../ports.ts';
import type { TurnScript } from '../plan/types.ts';
import { Asks } from './asks.ts';
import type { ServerFact } from './facts.ts';
import type { LedgerTurn } from './ledger.ts';
import type { StoredSession } from './storage.ts';
import type { Surroundings } from './surroundings.ts';
import { Turn } from './turn.ts';
import type { TurnHome } from './turn-home.ts';

export interface Exit {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly expected: boolean;
  readonly atMs: number;
}

/** Who hears what a process tells: its event stream. */
export interface Listener {
  fact(session: StoredSession, fact: ServerFact): void;
  notice(notice: StreamNotice): void;
  /** The process ended or closed its connections. */
  broke(): void;
  /** The process keeps its connections, and nothing comes on them any more. */
  silenced(): void;
}

export interface PromptRequest {
  readonly messageId: string;
  readonly task: string;
  readonly script: TurnScript;
  readonly provider: string;
  readonly kind?: 'prompt' | 'command' | 'shell';
  readonly onEnd?: (output: string) => void;
}

/** One process of the simulated server: what it holds in memory, and what goes with it. */
export class Process implements TurnHome {
  readonly number: number;
  readonly name: string;
  readonly asks: Asks;
  readonly exited = Promise.withResolvers<Exit>();
  readonly listeners = new Set<Listener>();
  state: 'running' | 'wedged' | 'ended' = 'running';
  rssBytes = 500e6;
  readonly startedAtMs: number;
  /** Probes in a row whose answer came too late. */
  #lateProbes = 0;
  /** Since when it answers nothing, though it runs. */
  wedgedAtMs: number | undefined;
  endedAtMs: number | undefined;
  /** Facts that it told so far; between two answers of a read there may be some. */
  changes = 0;
  readonly #world: Surroundings;
  /** Turns that are accepted and not over, by session. */
  readonly #turns = new Map<string, Turn>();

  constructor(world: Surroundings, number: number) {
    this.#world = world;
    this.number = number;
    this.startedAtMs = world.queue.nowMs;
    this.name = `server-${number}`;
    this.asks = new Asks(world);
  }

  get turns(): readonly Turn[] {
    return [...this.#turns.values()];
  }

  /** Sessions of a directory that are not idle. */
  statusOf(directory: string): StatusFacts {
    const status: Record<string, StatusFacts[string]> = {};
    for (const turn of this.#turns.values()) if (turn.status && turn.session.directory === directory) status[turn.session.id] = turn.status;
    return status;
  }

  isBusy(sessionId: string): boolean {
    return this.#turns.get(sessionId)?.status !== undefined;
  }

  turnOf(sessionId: string): Turn | undefined {
    return this.#turns.get(sessionId);
  }

  /** Takes a prompt. The same id twice appends to the same message, or changes nothing; a busy session takes it into its turn (A6). */
  prompt(session: StoredSession, request: PromptRequest): void {
    const { ledger, queue, hit, tell, behaviour } = this.#world;
    const { messageId } = request;
    const known = ledger.turnOf(messageId);
    const again = known?.how === 'withdrawn' ? undefined : known;
    if (again && behaviour.takesPromptsOnce) return;
    tell(this.name, `${session.id} takes ${messageId} (${request.task})`);
    if (again) again.deliveries += 1;
    const running = this.#runningFor(session);
    if (running && again) return;
    const record = again ?? this.#record(session, request);
    if (!again && (running || behaviour.storesPromptsAtOnce)) this.#addUserMessage(session, record);
    hit('accepted');
    if (!running) return void this.#start(session, request, again ? this.#record(session, request) : record);
    running.merge(record.promptId);
    record.how = 'merged';
    record.endedAtMs = queue.nowMs;
  }

  /** The turn that a prompt joins. */
  #runningFor(session: StoredSession): Turn | undefined {
    const running = this.#turns.get(session.id);
    if (!running?.isResting) return running;
    running.leave();
    return undefined;
  }

  store(session: StoredSession, record: LedgerTurn): void {
    if (!record.isStored) this.#addUserMessage(session, record, { begins: true });
  }

  beginChild(parent: StoredSession, script: TurnScript, provider: string, onEnd: (output: string) => void): Turn {
    const { storage, messageId, count, hit } = this.#world;
    const session = storage.create(parent.directory, parent);
    count(parent.parentId === undefined ? 'child' : 'child-nested');
    for (const listener of this.listeners) listener.notice({ type: 'session.created', sessionId: session.id, parentId: parent.id });
    hit('child');
    const request = { messageId: messageId(), task: '', script, provider, onEnd };
    const record = this.#record(session, request);
    if (this.#world.behaviour.storesPromptsAtOnce) this.#addUserMessage(session, record);
    return this.#start(session, request, record);
  }

  /** A session that is deleted while busy runs on (A6); one of 2.x ends first, and its sub-agents go with it. */
  delete(session: StoredSession): void {
    const { behaviour, storage } = this.#world;
    if (this.isBusy(session.id)) this.#world.count('delete-while-busy');
    if (behaviour.deletesWork) {
      this.turnOf(session.id)?.endAtOnce();
      for (const child of storage.childrenOf(session.id)) this.delete(child);
    }
    session.deleted = true;
    this.#world.ledger.deletions.push({ sessionId: session.id, atMs: this.#world.queue.nowMs });
    this.emit(session, { type: 'session.deleted' });
  }

  emit(session: StoredSession, fact: ServerFact): void {
    if (this.state !== 'running') return;
    if (fact.type !== 'delta') this.changes += 1;
    for (const listener of this.listeners) listener.fact(session, fact);
  }

  ended(turn: Turn): void {
    if (this.#turns.get(turn.session.id) === turn) this.#turns.delete(turn.session.id);
  }

  /** All turns of a directory end as aborted, those that have not begun too, and no event of a session says so. */
  dispose(directory: string): void {
    for (const turn of this.turns) if (turn.session.directory === directory) turn.die();
    for (const listener of this.listeners) listener.notice({ type: 'directory.disposed', directory });
  }

  /** Answers nothing any more, and is not heard of. */
  wedge(): void {
    if (this.state !== 'running') return;
    this.#world.count('process-wedge');
    this.wedgedAtMs = this.#world.queue.nowMs;
    this.#world.ledger.losses.push(this.wedgedAtMs);
    this.#stopWork('wedged');
    for (const listener of this.listeners) listener.silenced();
  }

  /** A probe was answered in time, or not; three in a row that were not make a server lost. */
  probed(inTime: boolean): void {
    if (this.state !== 'running') return;
    this.#lateProbes = inTime ? 0 : this.#lateProbes + 1;
    if (this.#lateProbes === 3) this.#world.ledger.losses.push(this.#world.queue.nowMs);
  }

  /** Ends; by a signal from outside, or because it was asked to. `inOrder`: so does one of 2.x whose manager is gone. */
  end({ expected, inOrder = expected }: { readonly expected: boolean; readonly inOrder?: boolean }): void {
    if (this.state === 'ended') return;
    const { queue, count, ledger, behaviour } = this.#world;
    if (!expected) count('process-death');
    if (!expected) ledger.losses.push(queue.nowMs);
    if (!expected) ledger.deaths.push(queue.nowMs);
    this.endedAtMs = queue.nowMs;
    this.#stopWork('ended', inOrder && behaviour.endsInOrder);
    for (const listener of this.listeners) listener.broke();
    const exit: Exit = { exitCode: undefined, signal: expected ? 'SIGTERM' : 'SIGKILL', expected, atMs: queue.nowMs };
    queue.after(expected ? 60 : 6, `${this.name} is gone`, () => this.exited.resolve(exit), { background: false });
  }

  #stopWork(state: 'wedged' | 'ended', inOrder = false): void {
    this.#world.tell(this.name, state);
    this.state = state;
    for (const turn of this.turns) turn.die(inOrder);
    this.#turns.clear();
    this.asks.drop();
  }

  /** `begins`: with it a turn of 2.x begins, whatever an earlier one has left in the background. */
  #addUserMessage(session: StoredSession, record: LedgerTurn, { begins = false } = {}): void {
    record.isStored = true;
    if (begins) session.openWork.clear();
    const message: MessageFacts = { role: 'user', id: record.promptId, sessionId: session.id };
    session.messages.push({ message, parts: [] });
    this.emit(session, { type: 'message', message, ...(begins && { begins: true }), ...(this.#isLine(record) && { line: true }) });
  }

  #record({ id: sessionId, rootId, messages }: StoredSession, request: PromptRequest): LedgerTurn {
    const { queue, ledger, behaviour } = this.#world;
    const { task, messageId, provider, kind = 'prompt', script } = request;
    const { idle = 'once' } = script;
    const times = { deliveredAtMs: queue.nowMs, activeAtMs: queue.nowMs };
    const isOutOfOrder = messages.some(({ message }) => message.id > messageId);
    const record: LedgerTurn = {
      task,
      sessionId,
      rootId,
      messageId,
      promptId: kind === 'command' && behaviour.namesCommands ? this.#world.messageId() : messageId,
      isStored: false,
      kind,
      provider,
      isTold: idle === 'once' || idle === 'late',
      isOutOfOrder,
      ...times,
      deliveries: 1,
      retries: 0,
      modelCalls: 0,
      saidBytes: 0,
      aborts: [],
      waits: [],
    };
    ledger.turns.push(record);
    return record;
  }

  #isLine({ kind }: LedgerTurn): boolean {
    return kind === 'shell' && this.#world.behaviour.hasLines;
  }

  #start(session: StoredSession, { script, onEnd }: PromptRequest, record: LedgerTurn): Turn {
    const isLine = this.#isLine(record);
    const turn = new Turn(this.#world, this, { session, record, script, isLine, ...(onEnd && { onEnd }) });
    if (!turn.isOver) this.#turns.set(session.id, turn);
    return turn;
  }
}
