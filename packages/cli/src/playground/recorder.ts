import type { PoolEvent, PoolSnapshot, SessionSnapshot } from '@opencode-manager/actors';
import type { ServerEvent } from '@opencode-manager/core/protocol';
import type { MonitorEvent } from '@opencode-manager/events';
import type { Json, Lane } from '@opencode-manager/playground/trace';
import type { Manager } from '../manager/index.ts';
import type { Journal } from './journal.ts';
import { changesOf, resultOf, unknownSession, withEvent, withResult, withSnapshot, type KnownAsk, type KnownSession } from './known.ts';
import { payloadOf, tagsOf, type PayloadOptions } from './payload.ts';
import { TextSums } from './text-sums.ts';

/** The pool's numbers are read this often at most: a snapshot lists every session. */
const numbersMs = 100;

type PoolNumbers = Omit<PoolSnapshot, 'sessions'>;

/** Writes what happens in a running pool into the journal of its page. */
export class PoolRecorder implements Disposable {
  readonly #manager: Manager;
  readonly #journal: Journal;
  readonly #options: PayloadOptions;
  readonly #known = new Map<string, KnownSession>();
  readonly #directories = new Map<string, string>();
  /** Root session of each sub-agent's session. */
  readonly #roots = new Map<string, string>();
  /** State changes of this very moment, whose cause comes right behind them, if it is an event of the stream. */
  #moves: { readonly session: SessionSnapshot; readonly from: string }[] = [];
  readonly #texts: TextSums;
  #numbers: PoolNumbers | undefined;
  #numbersAtMs = 0;
  #numbersTimer: NodeJS.Timeout | undefined;
  readonly #stopListening: (() => void)[];
  #stopMonitor: () => void = () => {};
  #closed = false;

  constructor(manager: Manager, journal: Journal, options: PayloadOptions) {
    this.#manager = manager;
    this.#journal = journal;
    this.#options = options;
    this.#texts = new TextSums(journal, options);
    this.#recordServer();
    this.#recordStart();
    // The pool listens to the monitor too, and before this: its state changes are told just before the event they follow.
    this.#stopListening = [
      manager.pool.on('*', (event) => this.#onPool(event)),
      // The monitor of the moment: the pool opens another when it starts its server again.
      () => this.#stopMonitor(),
    ];
    this.#follow();
  }

  /** An ask that waits, as a command names it. */
  openAsk(id: string): KnownAsk | undefined {
    for (const { openAsks } of this.#known.values()) {
      const found = openAsks.find((ask) => ask.id === id);
      if (found) return found;
    }
    return undefined;
  }

  directoryOf(sessionId: string): string | undefined {
    return this.#directories.get(sessionId);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#numbersTimer);
    for (const stop of this.#stopListening) stop();
    this.#texts[Symbol.dispose]();
  }

  /** Listens to the server and the stream of the moment. */
  #follow(): void {
    const { monitor, server } = this.#manager.pool;
    this.#stopMonitor = monitor.on({}, (event) => this.#onMonitor(event));
    void server.exited.then((exit) => this.#onServerExit(exit));
  }

  #recordServer(): void {
    const { version, pid, profile } = this.#manager.pool.server;
    this.#journal.append({
      actor: 'server',
      from: 'server',
      to: 'pool',
      type: 'server.ready',
      path: 'ready',
      payload: { version, pid, profile },
    });
  }

  #onRestart(): void {
    this.#stopMonitor();
    this.#recordServer();
    this.#follow();
  }

  #recordStart(): void {
    const { pool } = this.#manager;
    this.#recordStream(pool.monitor.state, 1, 'stream.live');
    const { sessions, ...numbers } = pool.snapshot();
    this.#journal.append({
      actor: 'pool',
      from: 'pool',
      to: 'pool',
      type: 'pool.changed',
      path: numbers.state,
      changes: this.#takeNumbers(numbers),
    });
    for (const session of sessions) this.#recordMove(session, '', { type: 'session.changed', from: 'session' });
  }

  #recordStream(path: string, generation: number, type: string, payload: Json = { generation }): void {
    const tags = type === 'stream.gap' ? (['gap'] as const) : undefined;
    this.#journal.append({
      actor: 'stream',
      from: 'server',
      to: 'worker',
      type,
      path,
      payload,
      changes: [{ path: 'generation', after: generation }],
      ...(tags && { tags }),
    });
  }

  #onPool(event: PoolEvent): void {
    if (event.type === 'session.changed') return this.#onMove(event.session, event.from);
    if (event.type === 'stream.gap') return this.#scheduleNumbers();
    if (event.type === 'pool.changed')
      this.#poolRecord('pool.changed', 'pool', { state: event.state }, event.state, event.state === 'failed');
    else if (event.type === 'server.restarted' || event.type === 'server.rotated') this.#onRestart();
    else if (event.type === 'task.queued') this.#poolRecord('task.queued', 'user', { taskId: event.taskId });
    else if (event.type === 'task.started') this.#onStarted(event);
    else if (event.type === 'task.finished') this.#onFinished(event);
  }

  #onStarted({ taskId, sessionId, directory, attempt }: Extract<PoolEvent, { type: 'task.started' }>): void {
    this.#directories.set(sessionId, directory);
    this.#flushMoves();
    this.#poolRecord('task.started', 'pool', { taskId, sessionId, attempt });
  }

  #onFinished({ result }: Extract<PoolEvent, { type: 'task.finished' }>): void {
    this.#flushMoves();
    if (result.session_id !== null) {
      const before = this.#known.get(result.session_id) ?? unknownSession;
      const after = withResult(before, result);
      this.#known.set(result.session_id, after);
      this.#journal.append({
        actor: result.session_id,
        from: 'session',
        to: 'pool',
        type: 'turn.finished',
        payload: { outcome: result.outcome },
        changes: changesOf(before, after),
      });
    }
    this.#poolRecord('task.finished', 'session', resultOf(result), undefined, result.outcome !== 'succeeded');
  }

  #poolRecord(type: string, from: Lane, payload: Json, path?: string, failed = false): void {
    const changes = this.#numbersDue() ? this.#takeNumbers() : [];
    this.#journal.append({
      actor: 'pool',
      from,
      to: 'pool',
      type,
      payload,
      ...(path !== undefined && { path }),
      ...(changes.length > 0 && { changes }),
      ...(failed && { tags: ['error'] }),
    });
    if (changes.length === 0) this.#scheduleNumbers();
  }

  #onMove(session: SessionSnapshot, from: string): void {
    this.#directories.set(session.sessionId, session.directory);
    this.#moves.push({ session, from });
    if (this.#moves.length === 1) queueMicrotask(() => this.#flushMoves());
  }

  /** Changes without an event of the stream behind them: a request's answer, a timer, or the pool's own doing. */
  #flushMoves(): void {
    const moves = this.#moves;
    this.#moves = [];
    for (const { session, from } of moves) this.#recordMove(session, from, causeOf(session.path, from));
  }

  #recordMove(session: SessionSnapshot, _from: string, { type, from }: { readonly type: string; readonly from: Lane }): void {
    const { sessionId, directory, path, taskId, turns, state } = session;
    const before = this.#known.get(sessionId);
    const after = withSnapshot(before ?? unknownSession, session);
    this.#known.set(sessionId, after);
    this.#directories.set(sessionId, directory);
    this.#journal.append({
      actor: sessionId,
      from,
      to: 'session',
      type,
      path,
      facts: { directory, taskId, turns },
      changes: changesOf(before, after),
      ...((state === 'error' || state === 'dead') && { tags: ['error'] }),
    });
  }

  #onMonitor(event: MonitorEvent): void {
    if (event.type === 'stream.gap')
      return this.#onStream(event.generation, 'reconnecting', event.type, { generation: event.generation, reason: event.reason });
    if (event.type === 'stream.live')
      return this.#onStream(event.generation, 'live', event.type, { generation: event.generation, replayed: event.replayed });
    if (event.type === 'stream.failed') return this.#recordStream('failed', 0, event.type, { code: event.error.code });
    if (event.type === 'stream.dropped' || event.type === 'server.heartbeat' || event.type === 'other') return;
    if (event.type === 'session.created' && event.data.session.parentID !== undefined)
      this.#adopt(event.data.session.id, event.data.session.parentID);
    const actor = event.sessionId === undefined ? undefined : (this.#roots.get(event.sessionId) ?? event.sessionId);
    if (actor === undefined || !this.#known.has(actor)) return this.#flushMoves();
    if (event.plane === 'stream') return this.#texts.take(actor, event);
    this.#recordEvent(actor, event);
  }

  #adopt(child: string, parent: string): void {
    this.#roots.set(child, this.#roots.get(parent) ?? parent);
  }

  #onStream(generation: number, path: string, type: string, payload: Json): void {
    this.#recordStream(path, generation, type, payload);
    const moves = this.#moves;
    this.#moves = [];
    for (const { session, from } of moves) this.#recordMove(session, from, { type, from: 'worker' });
  }

  /** An event of a session, with the state change it caused. */
  #recordEvent(actor: string, event: ServerEvent): void {
    this.#texts.flush(actor);
    const move = this.#moves.find(({ session }) => session.sessionId === actor);
    this.#moves = this.#moves.filter((one) => one !== move);
    const before = this.#known.get(actor) ?? unknownSession;
    const told = withEvent(before, event, this.#directories.get(actor) ?? '', this.#options);
    const after = move ? withSnapshot(told, move.session) : told;
    this.#known.set(actor, after);
    const changes = changesOf(before, after);
    const tags = [...tagsOf(event), ...(move?.session.state === 'error' || move?.session.state === 'dead' ? (['error'] as const) : [])];
    const child = event.sessionId === actor ? {} : { subAgent: event.sessionId ?? null };
    this.#journal.append({
      actor,
      from: 'worker',
      to: 'session',
      type: event.type,
      payload: { ...(payloadOf(event, this.#options) as object), ...child },
      ...(move && {
        path: move.session.path,
        facts: { directory: move.session.directory, taskId: move.session.taskId, turns: move.session.turns },
      }),
      ...(changes.length > 0 && { changes }),
      ...(tags.length > 0 && { tags }),
    });
  }

  #onServerExit({ expected, exitCode, signal }: Awaited<Manager['server']['exited']>): void {
    if (this.#closed) return;
    const payload = { expected, exitCode: exitCode ?? null, signal: signal ?? null };
    this.#journal.append({
      actor: 'server',
      from: 'server',
      to: 'pool',
      type: 'server.exited',
      path: expected ? 'stopped' : 'gone',
      payload,
      ...(!expected && { tags: ['error'] }),
    });
  }

  #numbersDue(): boolean {
    return performance.now() - this.#numbersAtMs >= numbersMs;
  }

  #takeNumbers(numbers?: PoolNumbers) {
    this.#numbersAtMs = performance.now();
    const { sessions: _sessions, ...read } = { sessions: [], ...(numbers ?? this.#manager.pool.snapshot()) };
    const changes = changesOf(this.#numbers, read);
    this.#numbers = read;
    return changes;
  }

  #scheduleNumbers(): void {
    this.#numbersTimer ??= setTimeout(() => {
      this.#numbersTimer = undefined;
      const changes = this.#takeNumbers();
      if (changes.length > 0) this.#journal.append({ actor: 'pool', from: 'pool', to: 'pool', type: 'numbers', changes });
    }, numbersMs).unref();
  }
}

/** What moved a session, when no event of the stream did. */
function causeOf(path: string, from: string): { readonly type: string; readonly from: Lane } {
  if (path === 'active.submitting') return { type: 'turn.submit', from: 'pool' };
  if (from === 'active.submitting') return { type: 'turn.accepted', from: 'server' };
  if (from === 'active.reconciling') return { type: 'snapshot.read', from: 'server' };
  if (path === 'active.aborting') return { type: 'turn.abort', from: 'pool' };
  return { type: 'session.changed', from: 'session' };
}
