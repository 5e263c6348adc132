import { createPool, type AskAnswer, type PoolPorts, type ServerPort } from '@opencode-manager/actors/hosts';
import type { Ask, AskDecision, PooledSession, SessionPool } from '@opencode-manager/actors';
import { OpencodeManagerError, type ErrorCode } from '@opencode-manager/core/errors';
import { emptyPlan, World } from '@opencode-manager/simulation';
import type { Json, Question, RunRecord } from '../trace/format.ts';
import { Pump, type Drain } from './pump.ts';
import { Recorder } from './recorder.ts';
import type { Beat, Scenario } from './scenarios.ts';
import { calm, turnIn, type Weather } from './weather.ts';

/** What the world does against the pool while it is set. */
export interface Adversity extends Weather {
  /** New sessions fail, as on a server that is overloaded: the pool tries again within its restart budget. */
  refuseSessions: boolean;
  /** Servers that are to take the place of another end at their start. */
  failingStarts: boolean;
  /** The server's memory grows until another one takes its place. */
  growingMemory: boolean;
}

export interface SimulatedRunOptions {
  readonly scenario: Scenario;
  readonly onRecord: (record: RunRecord) => void;
  readonly drain: Drain;
}

const directories = ['/srv/one', '/srv/two', '/srv/three'] as const;
const memoryLimit = { maxBytes: 2_000_000_000, minAgeMs: 4000, checkMs: 1000 } as const;
const leakedBytes = 260_000_000;
const outageMs = 1500;

/** Longer than a server takes to start, in milliseconds. */
const startupMs = 10_000;

/** A pool with its real hosts and machines in a simulated world, and a story that happens to it. */
export class SimulatedRun {
  readonly world: World;
  readonly scenario: Scenario;
  /** What the story has said so far. */
  readonly captions: { readonly atMs: number; readonly text: string }[] = [];
  pool: SessionPool | undefined;
  readonly #recorder: Recorder;
  readonly #pump: Pump;
  readonly #adversity: Adversity;
  readonly #aborts = new Map<string, AbortController>();
  readonly #leases = new Map<string, PooledSession>();
  #turns = 0;
  #waiting: Beat[] = [];

  constructor({ scenario, onRecord, drain }: SimulatedRunOptions) {
    this.scenario = scenario;
    this.#adversity = { ...calm, refuseSessions: false, failingStarts: false, growingMemory: false, ...scenario.weather };
    const error = (code: string, message: string) => new OpencodeManagerError(code as ErrorCode, message);
    const scriptOf = () => scenario.turn ?? turnIn(this.#adversity, (this.#turns += 1));
    this.world = new World(emptyPlan, { error, scriptOf });
    this.#pump = new Pump(this.world, drain);
    this.#recorder = new Recorder({ now: () => this.nowMs, onRecord: (record) => this.#onRecord(record, onRecord) });
  }

  /** Milliseconds since the epoch, by the clock of the world. */
  get nowMs(): number {
    return this.world.queue.nowMs;
  }

  /** Starts the server and the pool; the story begins when they are ready. */
  async open(): Promise<void> {
    const opening = createPool(
      {
        maxSessions: this.scenario.maxSessions,
        sessions: 'reuse',
        permissions: (ask) => this.#onAsk(ask),
        serverMemory: memoryLimit,
        inspect: this.#recorder.step,
      },
      this.#ports(),
    ).then((pool) => (this.pool = pool));
    await this.#pump.pass(startupMs, () => this.pool !== undefined);
    await opening;
    this.#begin();
  }

  /** Lets time pass, in milliseconds; less when `isOver` says so after an event. */
  pass(ms: number, isOver?: () => boolean): Promise<void> {
    return this.#pump.pass(ms, isOver);
  }

  /** To the next thing that anybody is told. */
  step(withinMs: number): Promise<void> {
    const before = this.#recorder.count;
    return this.#pump.pass(withinMs, () => this.#recorder.count > before);
  }

  isOn(what: keyof Adversity): boolean {
    return this.#adversity[what];
  }

  set(what: keyof Adversity, on: boolean): void {
    this.#adversity[what] = on;
    if (what === 'failingStarts') this.world.inject({ what: 'startFails', when: { atMs: 0 }, times: on ? Infinity : 0 });
    if (what === 'growingMemory' && on) this.#growMemory();
  }

  queueTasks(count: number, place: { readonly priority?: number; readonly group?: string } = {}): void {
    for (let index = 0; index < count; index += 1) {
      const number = this.#aborts.size + 1;
      const directory = directories[number % Math.min(directories.length, this.scenario.maxSessions)]!;
      this.#run(`task-${number}`, (id, signal) => this.pool?.run({ id, prompt: id, model: 'alpha/one', directory, ...place }, { signal }));
    }
  }

  /** One turn of a session that no task has. */
  prompt(sessionId: string, prompt: string): void {
    const held = this.#leases.get(sessionId);
    const session = held ?? this.pool?.getIdleSession({ id: sessionId });
    if (!session) throw new OpencodeManagerError('NOT_FOUND', `The pool has no idle session ${sessionId} (any more).`);
    this.#run(`by-hand-${this.#aborts.size + 1}`, (id, signal) =>
      session.run({ id, prompt, model: 'alpha/one' }, { signal }).finally(() => held ?? session.release()),
    );
  }

  cancel(taskId: string): void {
    const abort = this.#aborts.get(taskId);
    if (!abort) throw new OpencodeManagerError('NOT_FOUND', `No task is called ${taskId}.`);
    abort.abort();
  }

  abortAll(): void {
    for (const abort of this.#aborts.values()) abort.abort();
  }

  /** A session that no task is given. */
  holdSession(): void {
    const created = this.pool?.createSession('by hand', { directory: directories[0] });
    void created?.then((session) => this.#leases.set(session.id, session)).catch(() => undefined);
  }

  answer(askId: string, said: AskAnswer): void {
    if (!this.world.processes.some(({ asks }) => asks.answer(askId, said)))
      throw new OpencodeManagerError('NOT_FOUND', `No ask ${askId} is open (any more).`);
  }

  /** Every open ask gets a yes. */
  answerAsks(): void {
    const open = this.world.ledger.asks.filter(({ closedAtMs, staleAtMs }) => closedAtMs === undefined && staleAtMs === undefined);
    for (const { id, kind } of open) this.answer(id, kind === 'permission' ? { type: 'allow' } : { type: 'answer', answers: [['yes']] });
  }

  deleteSession(id: string): void {
    const session = this.world.storage.find(id);
    if (session) this.world.current?.delete(session);
  }

  /** Cuts the event stream; it comes back after a while, without what was said meanwhile. */
  cutStream(): void {
    this.world.inject({ what: 'cut', when: { atMs: 0 }, silent: false, forMs: outageMs });
  }

  killServer(): void {
    this.world.inject({ what: 'kill', when: { atMs: 0 } });
  }

  rotateServer(): void {
    void this.pool?.rotateServer().catch(() => undefined);
  }

  setMemory(rssBytes: number): void {
    if (this.world.current) this.world.current.rssBytes = rssBytes;
  }

  /** Tells a machine a fact that nobody else tells, or lets a timer of it fire. */
  tell(actor: string, type: string, payload: Json): void {
    this.#recorder.send(actor, { type, ...(payload as object) });
  }

  #run(id: string, start: (id: string, signal: AbortSignal) => Promise<unknown> | undefined): void {
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    // What becomes of it is told by the machines. A pool that stopped takes none.
    start(id, abort.signal)?.catch(() => undefined);
  }

  #ports(): PoolPorts {
    const { launch, openStream, ...ports } = this.world.ports;
    return {
      ...ports,
      launch: async (config) => this.#refusing(await launch(config)),
      openStream: (server) => {
        const stream = openStream(server);
        this.#recorder.stream(stream);
        return stream;
      },
    };
  }

  /** A server that takes no new sessions while that is set. */
  #refusing(port: ServerPort): ServerPort {
    const own = { ...port };
    const refusal = () => new OpencodeManagerError('CONNECTION_LOST', 'The connection was lost before an answer came.');
    return Object.assign(port, {
      createSession: (options) => (this.#adversity.refuseSessions ? Promise.reject(refusal()) : own.createSession(options)),
      relaunch: async () => this.#refusing(await own.relaunch()),
      startSuccessor: async () => this.#refusing(await own.startSuccessor()),
    } satisfies Partial<ServerPort>);
  }

  /** Whoever looks at the page answers; a question's words are told for that. */
  #onAsk({ id, sessionId, questions }: Ask): AskDecision {
    const actor = this.world.storage.find(sessionId)?.rootId ?? sessionId;
    if (questions) {
      const asked: Question[] = questions.map(({ question, options, header = '', multiple = false }) => {
        return { question, header, multiple, options: options.map((label) => ({ label, description: '' })) };
      });
      this.#recorder.record({ actor, type: 'question.described', payload: { id, questions: asked as unknown as Json } });
    }
    return { action: 'escalate' };
  }

  #growMemory(): void {
    const grow = () => {
      if (!this.#adversity.growingMemory) return;
      this.setMemory((this.world.current?.rssBytes ?? 0) + leakedBytes);
      this.#growMemory();
    };
    this.world.queue.after(memoryLimit.checkMs, 'memory grows', grow, { background: true });
  }

  #begin(): void {
    const { queue, points } = this.world;
    for (const beat of this.scenario.beats) {
      const { when } = beat;
      if ('path' in when) this.#waiting.push(beat);
      else if ('atMs' in when) queue.after(when.atMs, 'the story goes on', () => this.#play(beat));
      else points.at({ point: when.point, nth: when.nth, afterMs: 1 }, 'the story goes on', () => this.#play(beat));
    }
    this.queueTasks(this.scenario.tasks);
  }

  #play({ text, act }: Beat): void {
    if (text !== undefined) this.captions.push({ atMs: this.nowMs, text });
    act?.(this);
  }

  #onRecord(record: RunRecord, tell: (record: RunRecord) => void): void {
    tell(record);
    const { path, actor } = record;
    const due =
      path === undefined
        ? undefined
        : this.#waiting.find(({ when }) => 'path' in when && when.path === path && (when.actor ?? actor) === actor);
    if (!due) return;
    this.#waiting = this.#waiting.filter((beat) => beat !== due);
    this.#play(due);
  }
}
