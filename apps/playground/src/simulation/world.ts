import { poolMachine, sessionMachine, type FinishedTurn, type PoolContext, type SessionContext } from '@opencode-manager/actors/machines';
import { createActor, type ActorRefFrom, type EventObject } from 'xstate';
import type { Json, RunRecord } from '../trace/format.ts';
import { SteppedClock } from './clock.ts';
import { pathOf, Recorder, tagged } from './recorder.ts';
import { calm, SimulatedServer, type StreamEvent, type Weather } from './server.ts';

type SessionActor = ActorRefFrom<typeof sessionMachine>;
type PoolActor = ActorRefFrom<typeof poolMachine>;

export interface WorldOptions {
  readonly maxSessions: number;
  readonly onRecord: (record: RunRecord) => void;
}

/** Milliseconds of the simulated clock that things take. */
const takes = { createSession: 25, request: 20, answer: 15, stream: 4, read: 40, reconnect: 1500 } as const;

const directories = ['/srv/shop', '/srv/api', '/srv/docs'];

const connectionLost = {
  name: 'OpencodeManagerError',
  code: 'CONNECTION_LOST',
  message: 'The connection was lost before an answer came.',
} as const;

/** The pool machine, its session machines and a simulated server, all on one simulated clock. */
export class World {
  readonly clock = new SteppedClock();
  readonly weather: Weather = { ...calm };
  readonly server: SimulatedServer;
  readonly #recorder: Recorder;
  readonly #pool: PoolActor;
  readonly #sessions = new Map<string, SessionActor>();
  /** Sessions that were given a task and have not come to rest. */
  readonly #taken = new Set<string>();
  readonly #machine: typeof sessionMachine;
  #streamLive = true;
  #generation = 1;
  #tasks = 0;
  #messages = 0;
  /** New sessions are refused, as by a server that is overloaded: the pool tries again within its restart budget. */
  refuseSessions = false;

  constructor({ maxSessions, onRecord }: WorldOptions) {
    this.#recorder = new Recorder({ now: () => this.clock.now(), onRecord });
    this.server = new SimulatedServer({ clock: this.clock, weather: this.weather, emit: (id, event) => this.#stream(id, event) });
    this.#machine = this.#provideSession();
    this.#tellServer('server.ready', 'ready', { version: 'simulated' });
    this.#tellStream('stream.live', 'live');
    this.#pool = this.#startPool(maxSessions);
    this.#recorder.along({ from: 'pool', to: 'pool' }, () => this.#pool.send({ type: 'pool.ready' }));
  }

  get sessionIds(): string[] {
    return [...this.#sessions.keys()];
  }

  /** An actor by the name that records give it. */
  actor(id: string): SessionActor | PoolActor | undefined {
    return id === 'pool' ? this.#pool : this.#sessions.get(id);
  }

  /** Puts tasks into the pool's queue. */
  queueTasks(count: number, place: { readonly priority?: number; readonly group?: string } = {}): void {
    for (let index = 0; index < count; index += 1) {
      this.#tasks += 1;
      const taskId = `task-${this.#tasks}`;
      const event = { type: 'task.queued', taskId, priority: place.priority ?? 0, group: place.group ?? '' } as const;
      this.#recorder.along({ from: 'user', to: 'pool' }, () => this.#pool.send(event));
    }
  }

  /** Sends what the user wrote. What answers an ask reaches the server too. */
  send(actorId: string, event: EventObject): void {
    const actor = this.actor(actorId);
    if (actor?.getSnapshot().status !== 'active') return;
    const lane = actorId === 'pool' ? 'pool' : 'session';
    this.#recorder.along({ from: 'user', to: lane }, () => (actor as { send(event: EventObject): void }).send(event));
    if (event.type === 'ask.closed') this.server.answer(actorId, String((event as { id?: unknown }).id));
  }

  /** Creates a session that no task holds. */
  createSession(): string {
    const id = `ses_${String(this.#sessions.size + 1).padStart(3, '0')}`;
    const directory = directories[this.#sessions.size % directories.length]!;
    const actor: SessionActor = createActor(this.#machine, {
      input: { sessionId: id, directory, streamLive: this.#streamLive },
      clock: this.clock,
      inspect: this.#recorder.inspector({
        actor: id,
        lane: 'session',
        machine: this.#machine,
        project: (context) => context,
        facts: (context) => factsOf(context as SessionContext),
      }),
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
    this.#streamLive = false;
    this.#tellStream('stream.gap', 'reconnecting');
    this.#tellSessions({ type: 'stream.gap' });
    this.clock.setTimeout(() => this.#regainStream(), forMs);
  }

  killServer(): void {
    if (!this.server.alive) return;
    this.server.kill();
    this.#streamLive = false;
    const error = { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'The opencode server ended (signal SIGKILL).' } as const;
    this.#tellServer('server.exited', 'gone', { signal: 'SIGKILL' });
    this.#tellStream('stream.gap', 'down');
    this.#recorder.along({ from: 'server', to: 'pool' }, () => this.#pool.send({ type: 'server.exited', error }));
    this.#tellSessions({ type: 'server.exited', error }, 'server');
  }

  /** Asks for the end of every turn in flight. */
  abortAll(reason: string): void {
    for (const [id, actor] of this.#sessions)
      if (pathOf(actor.getSnapshot().value).startsWith('active')) this.send(id, { type: 'turn.abort', reason } as EventObject);
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
  }

  #startPool(maxSessions: number): PoolActor {
    const machine = poolMachine.provide({
      actions: {
        startAssigned: ({ context }) =>
          context.assigned.forEach((taskId) => this.clock.setTimeout(() => this.#start(taskId), takes.createSession)),
        abortActive: () => this.clock.setTimeout(() => this.abortAll('The pool was stopped.'), 0),
      },
    });
    const shape = { actor: 'pool', lane: 'pool', machine, project: projectPool, facts: () => undefined } as const;
    return createActor(machine, { input: { maxSessions }, clock: this.clock, inspect: this.#recorder.inspector(shape) }).start();
  }

  #provideSession(): typeof sessionMachine {
    return sessionMachine.provide({
      actions: {
        submitTurn: ({ context }) => this.#submit(context),
        requestAbort: ({ context }) => this.#request(context, 'requestAbort', takes.request, () => this.server.abort(context.sessionId)),
        requestSnapshot: ({ context }) => this.#request(context, 'requestSnapshot', takes.read, () => this.#read(context)),
      },
    });
  }

  /** Carries out the pool's decision that a task has a slot. */
  #start(taskId: string): void {
    if (!this.server.alive) return;
    if (this.refuseSessions) {
      const crash = {
        type: 'task.crashed',
        taskId,
        priority: 0,
        group: '',
        error: connectionLost,
        atMs: this.clock.now(),
        jitter: 0,
      } as const;
      return this.#recorder.along({ from: 'session', to: 'pool' }, () => this.#pool.send(crash));
    }
    const id =
      this.sessionIds.find((one) => !this.#taken.has(one) && this.#sessions.get(one)!.getSnapshot().value === 'idle') ??
      this.createSession();
    this.#taken.add(id);
    const turn = {
      type: 'turn.submit',
      taskId,
      messageId: this.nextMessageId(),
      kind: 'prompt',
      timeoutMs: null,
      atMs: this.clock.now(),
    } as const;
    this.#recorder.along({ from: 'pool', to: 'session' }, () => this.#sessions.get(id)!.send(turn));
  }

  nextMessageId(): string {
    this.#messages += 1;
    return `msg_${String(this.#messages).padStart(4, '0')}`;
  }

  #onFinished(sessionId: string, { taskId, outcome }: FinishedTurn): void {
    this.#taken.delete(sessionId);
    // After the session has come to rest, as the pool's host tells it.
    this.clock.setTimeout(() => {
      this.#recorder.along({ from: 'session', to: 'pool' }, () => this.#pool.send({ type: 'slot.freed', taskId, outcome }));
    }, 0);
  }

  #submit({ sessionId, turn }: SessionContext): void {
    if (!turn) return;
    const { messageId } = turn;
    this.#recorder.record({ actor: sessionId, from: 'session', to: 'server', type: 'submitTurn', payload: { messageId } });
    this.clock.setTimeout(() => {
      const taken = this.server.submit(sessionId, messageId);
      const answer = taken
        ? ({ type: 'turn.accepted', atMs: this.clock.now() + takes.answer } as const)
        : ({ type: 'turn.unknown', error: connectionLost } as const);
      this.clock.setTimeout(() => this.#answer(sessionId, messageId, answer), takes.answer);
    }, takes.request);
  }

  #request({ sessionId, turn }: SessionContext, type: string, afterMs: number, act: () => void): void {
    this.#recorder.record({ actor: sessionId, from: 'session', to: 'server', type, payload: { messageId: turn?.messageId ?? null } });
    this.clock.setTimeout(() => {
      if (this.server.alive) act();
    }, afterMs);
  }

  #read({ sessionId, turn }: SessionContext): void {
    if (!turn) return;
    const facts = this.server.read(sessionId, turn.messageId);
    this.#answer(sessionId, turn.messageId, { type: 'snapshot.read', facts, atMs: this.clock.now() });
  }

  /** The answer of a request; one that comes after the turn's end is dropped, as the host drops it. */
  #answer(sessionId: string, messageId: string, event: Parameters<SessionActor['send']>[0]): void {
    const actor = this.#sessions.get(sessionId);
    if (actor?.getSnapshot().status !== 'active' || actor.getSnapshot().context.turn?.messageId !== messageId) return;
    this.#recorder.along({ from: 'server', to: 'session' }, () => actor.send(event));
  }

  #stream(sessionId: string, event: StreamEvent): void {
    if (!this.#streamLive) return;
    this.clock.setTimeout(() => {
      const actor = this.#sessions.get(sessionId);
      if (!this.#streamLive || actor?.getSnapshot().status !== 'active') return;
      const told = event.type === 'progress' ? event : { ...event, atMs: this.clock.now() };
      this.#recorder.along({ from: 'worker', to: 'session' }, () => actor.send(told as Parameters<SessionActor['send']>[0]));
    }, takes.stream);
  }

  #regainStream(): void {
    if (!this.server.alive) return;
    this.#streamLive = true;
    this.#generation += 1;
    this.#tellStream('stream.live', 'live');
    this.#tellSessions({ type: 'stream.live' });
  }

  #tellSessions(event: Parameters<SessionActor['send']>[0], from: 'worker' | 'server' = 'worker'): void {
    for (const actor of this.#sessions.values()) {
      if (actor.getSnapshot().status === 'active') this.#recorder.along({ from, to: 'session' }, () => actor.send(event));
    }
  }

  #tellServer(type: string, path: string, payload: Json): void {
    this.#recorder.record({ actor: 'server', from: 'server', to: 'pool', type, payload, path, ...tagged(type) });
  }

  #tellStream(type: string, path: string): void {
    const payload = { generation: this.#generation };
    this.#recorder.record({
      actor: 'stream',
      from: 'server',
      to: 'worker',
      type,
      payload,
      path,
      changes: [{ path: 'generation', after: this.#generation }],
      ...tagged(type),
    });
  }
}

function factsOf({ directory, turn, turns }: SessionContext) {
  return { directory, taskId: turn?.taskId ?? null, turns };
}

/** The pool's context without the chunks and buckets that make it fast. */
function projectPool(value: unknown): unknown {
  const { waiting, holders, ...context } = value as PoolContext;
  return {
    ...context,
    holders: holders.flat(),
    waiting: waiting.map(({ priority, groups }) => ({
      priority,
      groups: groups.map(({ name, waiting: queue }) => ({ name, tasks: queue.flat().slice(0, 20) })),
    })),
  };
}
