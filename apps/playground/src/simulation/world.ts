import {
  poolMachine,
  sessionMachine,
  type Assignment,
  type FinishedTurn,
  type SessionContext,
  type SessionMachineEvent,
} from '@opencode-manager/actors/machines';
import { createActor, type ActorRefFrom, type EventObject } from 'xstate';
import type { RunRecord } from '../trace/format.ts';
import { SteppedClock } from './clock.ts';
import { Recorder } from './recorder.ts';
import { ServerLife } from './server-life.ts';
import { calm, SimulatedServer, type StreamEvent, type Weather } from './server.ts';

type SessionActor = ActorRefFrom<typeof sessionMachine>;
type PoolActor = ActorRefFrom<typeof poolMachine>;
type Failure = Extract<SessionMachineEvent, { type: 'server.exited' }>['error'];

const serverExited = { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'The opencode server ended.' } as const;

export interface WorldOptions {
  readonly maxSessions: number;
  readonly onRecord: (record: RunRecord) => void;
}

/** Milliseconds of the simulated clock that things take. */
const takes = { createSession: 25, request: 20, answer: 15, stream: 4, read: 40, reconnect: 1500 } as const;

/** No provider holds the pool back for longer. */
const longestPauseMs = 120_000;

const directories = ['/srv/shop', '/srv/api', '/srv/docs'];

const connectionLost = {
  name: 'OpencodeManagerError',
  code: 'CONNECTION_LOST',
  message: 'The connection was lost before an answer came.',
} as const;

/** The machines of a pool, of its sessions and of its server, with a simulated server, all on one simulated clock. */
export class World {
  readonly clock = new SteppedClock();
  readonly weather: Weather = { ...calm };
  readonly server: SimulatedServer;
  readonly life: ServerLife;
  readonly #recorder: Recorder;
  readonly #pool: PoolActor;
  readonly #sessions = new Map<string, SessionActor>();
  /** Sessions that were given a task and have not come to rest. */
  readonly #taken = new Set<string>();
  /** Tasks whose server was lost, with the session that they were on. */
  readonly #interrupted = new Map<string, string>();
  /** Sessions whose turns began on a generation that retires. */
  readonly #retiring = new Map<number, Set<string>>();
  readonly #machine: typeof sessionMachine;
  #streamLive = true;
  #generation = 1;
  #gaps = 0;
  #tasks = 0;
  #messages = 0;
  /** New sessions are refused, as by a server that is overloaded: the pool tries again within its restart budget. */
  refuseSessions = false;

  constructor({ maxSessions, onRecord }: WorldOptions) {
    const { clock, weather } = this;
    this.#recorder = new Recorder({ now: () => clock.now(), onRecord });
    this.server = new SimulatedServer({ clock, weather, emit: (id, event) => this.#stream(id, event) });
    this.#machine = this.#provideSession();
    this.#pool = this.#startPool(maxSessions);
    this.life = new ServerLife({
      clock,
      weather,
      recorder: this.#recorder,
      server: this.server,
      onAway: (error) => this.#onServerLost('server.away', error),
      onGivenUp: (error) => this.#onServerLost('server.exited', error),
      onRecovered: (generation) => this.#onRecovered(generation),
      onRotated: (generation) => this.#onRotated(generation),
    });
    this.#tellStream('stream.live', 'live');
    this.#pool.send({ type: 'pool.ready' });
  }

  get sessionIds(): string[] {
    return [...this.#sessions.keys()];
  }

  /** An actor by the name that records give it. */
  actor(id: string): SessionActor | PoolActor | ServerLife['actor'] | undefined {
    if (id === 'pool') return this.#pool;
    return id === 'server' ? this.life.actor : this.#sessions.get(id);
  }

  /** Puts tasks into the pool's queue. */
  queueTasks(count: number, place: { readonly priority?: number; readonly group?: string } = {}): void {
    for (let index = 0; index < count; index += 1) {
      this.#tasks += 1;
      this.#pool.send({ type: 'task.queued', taskId: `task-${this.#tasks}`, priority: place.priority ?? 0, group: place.group ?? '' });
    }
  }

  /** Sends what the user wrote. What answers an ask reaches the server too. */
  send(actorId: string, event: EventObject): void {
    const actor = this.actor(actorId);
    if (actor?.getSnapshot().status !== 'active') return;
    this.#recorder.asUser(() => (actor as { send(event: EventObject): void }).send(event));
    if (event.type === 'ask.closed') this.server.answer(actorId, String((event as { id?: unknown }).id));
  }

  /** Creates a session that no task holds. */
  createSession(): string {
    const id = `ses_${String(this.#sessions.size + 1).padStart(3, '0')}`;
    const directory = directories[this.#sessions.size % directories.length]!;
    const actor: SessionActor = createActor(this.#machine, {
      input: { sessionId: id, directory, streamLive: this.#streamLive },
      clock: this.clock,
      inspect: this.#recorder.inspector(this.#machine, id),
    });
    actor.on('turn.finished', ({ turn }) => this.#onFinished(id, turn));
    actor.subscribe({ error: () => undefined });
    this.#sessions.set(id, actor);
    actor.start();
    return id;
  }

  /** Cuts the event stream; it comes back after a while, without what was said meanwhile. */
  dropStream(forMs: number = takes.reconnect): void {
    if (!this.#streamLive || !this.server.alive) return;
    this.#loseStream('reconnecting');
    this.#tellSessions({ type: 'stream.gap' });
    this.clock.setTimeout(() => this.#regainStream(), forMs);
  }

  killServer(): void {
    this.life.kill();
  }

  setWeather(what: keyof Weather, on: boolean): void {
    this.weather[what] = on;
    if (what === 'growingMemory' && on) this.life.watchMemory();
  }

  /** Asks for the end of every turn in flight. */
  abortAll(reason: string): void {
    for (const actor of this.#sessions.values()) if (actor.getSnapshot().matches('active')) actor.send({ type: 'turn.abort', reason });
  }

  /** Answers every open permission. */
  answerAsks(): void {
    for (const [id, actor] of this.#sessions) {
      for (const ask of actor.getSnapshot().context.turn?.openAsks ?? [])
        this.send(id, { type: 'ask.closed', id: ask.id, atMs: this.clock.now() } as EventObject);
    }
  }

  dispose(): void {
    for (const actor of this.#sessions.values()) actor.stop();
    this.#pool.stop();
    this.life.actor.stop();
  }

  #startPool(maxSessions: number): PoolActor {
    const later = (act: () => void) => void this.clock.setTimeout(act, 0);
    const machine = poolMachine.provide({
      actions: {
        startAssigned: (_, { assigned }) =>
          assigned.forEach((assignment) => this.clock.setTimeout(() => this.#start(assignment), takes.createSession)),
        abortTurns: () => later(() => this.abortAll('The pool was stopped.')),
      },
    });
    return createActor(machine, {
      input: { maxSessions },
      clock: this.clock,
      inspect: this.#recorder.inspector(machine, 'pool'),
    }).start();
  }

  #provideSession(): typeof sessionMachine {
    const later = (act: () => void, afterMs: number) => void this.clock.setTimeout(() => this.server.alive && act(), afterMs);
    return sessionMachine.provide({
      actions: {
        submitTurn: ({ context }) => this.#submit(context),
        requestAbort: ({ context }) => later(() => this.server.abort(context.sessionId), takes.request),
        requestSnapshot: ({ context }) => later(() => this.#read(context), takes.read),
      },
    });
  }

  /** Carries out the step of a task that the pool has decided on. */
  #start({ taskId, step }: Assignment): void {
    if (!this.server.alive) return this.#fail(taskId, serverExited);
    if (this.refuseSessions) return this.#fail(taskId, connectionLost);
    const before = this.#interrupted.get(taskId);
    if (step === 'judge') return this.#judge(taskId, before);
    this.#interrupted.delete(taskId);
    if (step === 'resume' && before !== undefined) return this.#begin(before, 'turn.resume', taskId);
    const free = this.sessionIds.find((id) => !this.#taken.has(id) && this.#sessions.get(id)!.getSnapshot().value === 'idle');
    this.#begin(free ?? this.createSession(), 'turn.submit', taskId);
  }

  #judge(taskId: string, sessionId: string | undefined): void {
    const fate = sessionId !== undefined && this.server.hasFinished(sessionId) ? 'finished' : 'interrupted';
    this.#pool.send({ type: 'turn.judged', taskId, fate });
  }

  #begin(sessionId: string, type: 'turn.submit' | 'turn.resume', taskId: string): void {
    const actor = this.#sessions.get(sessionId)!;
    const known = actor.getSnapshot().context.lastTurn?.messageId;
    const messageId = type === 'turn.resume' && known !== undefined ? known : this.nextMessageId();
    this.#taken.add(sessionId);
    actor.send({ type, taskId, messageId, kind: 'prompt', timeoutMs: null, atMs: this.clock.now() });
  }

  #fail(taskId: string, error: Failure): void {
    this.#pool.send({ type: 'attempt.failed', taskId, error, atMs: this.clock.now(), jitter: 0 });
  }

  nextMessageId(): string {
    this.#messages += 1;
    return `msg_${String(this.#messages).padStart(4, '0')}`;
  }

  #onFinished(sessionId: string, { taskId, outcome, error, quarantined, resetAtMs }: FinishedTurn): void {
    this.#taken.delete(sessionId);
    if (outcome === 'interrupted' && error?.code === 'SERVER_EXITED') this.#interrupted.set(taskId, sessionId);
    // After the session has come to rest, as the pool's host tells it.
    this.clock.setTimeout(() => {
      const facts = { outcome, error, quarantined, resetAtMs, sent: true, atMs: this.clock.now(), jitter: 0 };
      this.#pool.send({ type: 'turn.ended', taskId, ...facts });
      this.#retire(sessionId);
    }, 0);
  }

  /** One turn that the provider refuses holds all new ones back. */
  #pauseProvider(forMs: number): void {
    const atMs = this.clock.now();
    this.#pool.send({ type: 'provider.paused', provider: null, atMs, untilMs: atMs + forMs, isRateLimit: true });
  }

  #submit({ sessionId, turn }: SessionContext): void {
    if (!turn) return;
    const { messageId } = turn;
    this.clock.setTimeout(() => {
      const taken = this.server.submit(sessionId, messageId);
      const answer = taken
        ? ({ type: 'turn.accepted', atMs: this.clock.now() + takes.answer } as const)
        : ({ type: 'turn.unknown', error: connectionLost } as const);
      this.clock.setTimeout(() => this.#answer(sessionId, messageId, answer), takes.answer);
    }, takes.request);
  }

  #read({ sessionId, turn }: SessionContext): void {
    if (!turn) return;
    const facts = this.server.read(sessionId, turn.messageId);
    this.#answer(sessionId, turn.messageId, { type: 'snapshot.read', facts, atMs: this.clock.now() });
  }

  /** The answer of a request; one that comes after the turn's end is dropped, as the host drops it. */
  #answer(sessionId: string, messageId: string, event: SessionMachineEvent): void {
    const actor = this.#sessions.get(sessionId);
    if (actor?.getSnapshot().status !== 'active' || actor.getSnapshot().context.turn?.messageId !== messageId) return;
    actor.send(event);
  }

  #stream(sessionId: string, event: StreamEvent): void {
    if (!this.#streamLive) return;
    this.clock.setTimeout(() => {
      const actor = this.#sessions.get(sessionId);
      if (!this.#streamLive || actor?.getSnapshot().status !== 'active') return;
      const told = event.type === 'progress' ? event : { ...event, atMs: this.clock.now() };
      if (event.type === 'session.retrying') this.#pauseProvider(Math.min(longestPauseMs, event.retry.nextAtMs - this.clock.now()));
      actor.send(told as SessionMachineEvent);
    }, takes.stream);
  }

  /** The sessions are told what the loss means for their turns. */
  #onServerLost(type: 'server.away' | 'server.exited', error: Failure): void {
    if (this.#streamLive) this.#loseStream('down');
    this.#pool.send({ type, error });
    this.#tellSessions({ type: type === 'server.away' ? 'server.interrupted' : 'server.exited', error });
  }

  #onRecovered(generation: number): void {
    this.#regainStream();
    this.#pool.send({ type: 'server.recovered', generation });
  }

  #onRotated(generation: number): void {
    this.#pool.send({ type: 'server.rotated', generation });
    this.#retiring.set(generation - 1, new Set(this.#taken));
    this.clock.setTimeout(() => this.#retire(''), 0);
  }

  /** A generation ends with the last turn that began on it. */
  #retire(sessionId: string): void {
    for (const [generation, sessions] of this.#retiring) {
      sessions.delete(sessionId);
      if (sessions.size > 0) continue;
      this.#retiring.delete(generation);
      this.life.unused(generation);
    }
  }

  #loseStream(path: string): void {
    this.#streamLive = false;
    this.#gaps += 1;
    this.#tellStream('stream.gap', path);
  }

  #regainStream(): void {
    if (!this.server.alive || this.#streamLive) return;
    this.#streamLive = true;
    this.#generation += 1;
    this.#tellStream('stream.live', 'live');
    this.#tellSessions({ type: 'stream.live' });
  }

  #tellSessions(event: SessionMachineEvent): void {
    for (const actor of this.#sessions.values()) if (actor.getSnapshot().status === 'active') actor.send(event);
  }

  #tellStream(type: string, path: string): void {
    const [generation, gaps] = [this.#generation, this.#gaps];
    const changes = [
      { path: 'generation', after: generation },
      { path: 'gaps', after: gaps },
    ];
    this.#recorder.record({ actor: 'stream', type, payload: { generation }, path, changes });
  }
}
