import type { SessionFact } from '@opencode-manager/core/protocol';
import type { Listener, Process } from '../opencode/process.ts';
import type { ServerFact } from '../opencode/facts.ts';
import type { StoredSession } from '../opencode/storage.ts';
import type { Surroundings } from '../opencode/surroundings.ts';
import type { SerializedError, StreamNotice, StreamPort } from '../ports.ts';
import { StreamReader } from './stream-reader.ts';

/** Silence after which a stream counts as dead (P4), and the pace of heartbeats (A4), in milliseconds. */
const watchdogMs = 25_000;
const heartbeatMs = 10_000;

/** Deadline of a wait for the stream, in milliseconds; as the event monitor has it. */
const readyTimeoutMs = 30_000;

/** Wait before another connection, in milliseconds. */
const reconnectMs = [100, 200, 400, 800, 1600, 3200, 5000] as const;

type Told = { readonly session: StoredSession; readonly fact: ServerFact } | { readonly notice: StreamNotice };

/** Undelivered, in the order of the server. */
interface Sent {
  readonly told: Told;
  readonly sentAtMs: number;
}

/**
 * The events of one process on their way to the manager: late, twice, or never. They keep their order. What is stored (messages, parts,
 * sessions) is replayed after a gap; the rest is lost with it, and of 2.x all is.
 */
export class SimulatedStream implements StreamPort, Listener {
  readonly handle: never = undefined as never;
  readonly process: Process;
  state: StreamPort['state'] = 'opening';
  gaps = 0;
  readonly openedAtMs: number;
  failedAtMs: number | undefined;
  readonly #world: Surroundings;
  readonly #followers = new Map<string, Set<(fact: SessionFact) => void>>();
  readonly #watchers = new Set<(notice: StreamNotice) => void>();
  readonly #waits = new Set<PromiseWithResolvers<void>>();
  readonly #chance;
  readonly #reader: StreamReader;
  #underway: Sent[] = [];
  /** Stored facts that a gap has swallowed. */
  #missed: Told[] = [];
  /** Connections so far; what travels on an old one is lost. */
  #connection = 0;
  #generation = 0;
  #attempts = 0;
  #isDark = false;
  #outageUntilMs = 0;
  #lastDeliveryMs = 0;
  #connectedAtMs: number | null = null;
  #lastBytesMs: number | null = null;
  #lag: { readonly untilMs: number; readonly ms: number } | undefined;

  constructor(world: Surroundings, process: Process) {
    this.#world = world;
    this.process = process;
    this.openedAtMs = world.queue.nowMs;
    this.#chance = world.random.of(`stream ${process.number}`);
    this.#reader = new StreamReader(world.behaviour);
    process.listeners.add(this);
    this.#connectSoon(this.#chance.between(40, 200));
  }

  /** Listeners that were not taken away again. */
  get listenerCount(): number {
    return [...this.#followers.values()].reduce((sum, { size }) => sum + size, this.#watchers.size);
  }

  get lastRecordAtMs(): number | null {
    if (this.state !== 'live' || this.#isDark || this.process.state !== 'running' || this.#connectedAtMs === null) return this.#lastBytesMs;
    const nowMs = this.#world.queue.nowMs;
    const beat = this.#connectedAtMs + Math.floor((nowMs - this.#connectedAtMs) / heartbeatMs) * heartbeatMs;
    return Math.max(this.#lastBytesMs ?? 0, beat);
  }

  ready({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.state === 'live') return Promise.resolve();
    const { queue, error } = this.#world;
    const wait = Promise.withResolvers<void>();
    const onAbort = () => wait.reject(error('REQUEST_ABORTED', 'The wait for the event stream was aborted by the caller.'));
    const onDeadline = () => wait.reject(error('STREAM_UNAVAILABLE', `The event stream was not live within ${readyTimeoutMs} ms.`));
    const deadline = queue.after(readyTimeoutMs, 'stream is overdue', onDeadline, { background: false });
    this.#waits.add(wait);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    return wait.promise.finally(() => {
      queue.cancel(deadline);
      signal?.removeEventListener('abort', onAbort);
      this.#waits.delete(wait);
    });
  }

  follow({ id }: { readonly id: string }, listener: (fact: SessionFact) => void): () => void {
    const listeners = this.#followers.get(id) ?? new Set();
    this.#followers.set(id, listeners);
    const own = (fact: SessionFact) => listener(fact);
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (listeners.size === 0) this.#followers.delete(id);
    };
  }

  watch(listener: (notice: StreamNotice) => void): () => void {
    const own = (notice: StreamNotice) => listener(notice);
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  isFollowed(sessionId: string): boolean {
    return this.#followers.has(sessionId);
  }

  close(): Promise<void> {
    this.#end('closed');
    for (const wait of this.#waits) wait.reject(this.#world.error('MONITOR_CLOSED', 'The stream was closed.'));
    return Promise.resolve();
  }

  // What the process tells.

  fact(session: StoredSession, fact: ServerFact): void {
    this.#send({ session, fact });
    // What is not stored comes once.
    const { plan, behaviour } = this.#world;
    if (behaviour.doublesEvents && this.#chance.chance(plan.link.doubled) && fact.type !== 'delta') {
      this.#world.count('event-doubled');
      this.#send({ session, fact });
    }
  }

  notice(notice: StreamNotice): void {
    this.#send({ notice });
  }

  broke(): void {
    this.#break('the server ended');
  }

  // What a plan does to it.

  /** The connection breaks; a silent cut is noticed when the watchdog has waited long enough. */
  cut({ silent, forMs }: { readonly silent: boolean; readonly forMs: number }): void {
    if (this.state !== 'live' || this.#isDark) return;
    this.#outageUntilMs = this.#world.queue.nowMs + forMs;
    if (!silent) {
      this.#world.count('stream-cut');
      return this.#break('the connection ended');
    }
    this.#world.count('stream-silent');
    this.#hush();
  }

  silenced(): void {
    if (this.state === 'live' && !this.#isDark) this.#hush();
  }

  #hush(): void {
    this.#world.tell('stream', 'brings nothing any more');
    this.#lastBytesMs = this.lastRecordAtMs;
    this.#goDark();
    const connection = this.#connection;
    const bark = () => connection === this.#connection && this.#break('silent for 25 s');
    this.#world.queue.after(watchdogMs, 'watchdog', bark, { background: false });
  }

  delay(lagMs: number, forMs: number): void {
    this.#lag = { untilMs: this.#world.queue.nowMs + forMs, ms: lagMs };
  }

  fail(): void {
    if (this.state === 'closed' || this.state === 'failed') return;
    this.#world.count('stream-failed');
    this.failedAtMs = this.#world.queue.nowMs;
    this.#goDark();
    this.#end('failed');
    const error = {
      name: 'OpencodeManagerError',
      code: 'STREAM_WORKER_LOST',
      message: 'The stream was lost too often.',
    } as SerializedError;
    this.#tellWatchers({ type: 'stream.failed', error });
    for (const wait of this.#waits) wait.reject(this.#world.error('STREAM_UNAVAILABLE', error.message));
  }

  #send(told: Told): void {
    if (this.state === 'closed' || this.state === 'failed') return;
    if (this.state !== 'live' || this.#isDark) return this.#miss(told);
    const nowMs = this.#world.queue.nowMs;
    const lagMs = this.#lag && this.#lag.untilMs > nowMs ? this.#lag.ms : this.#chance.between(2, 9);
    if (lagMs > 1000) this.#world.count('answer-before-events');
    this.#lastDeliveryMs = Math.max(this.#lastDeliveryMs, nowMs + lagMs);
    const sent = { told, sentAtMs: nowMs };
    this.#underway.push(sent);
    const connection = this.#connection;
    this.#world.queue.at(this.#lastDeliveryMs, 'event', () => this.#deliver(sent, connection), { background: false });
  }

  #deliver(sent: Sent, connection: number): void {
    if (connection !== this.#connection || this.#isDark) return;
    this.#underway.shift();
    this.#lastBytesMs = this.#world.queue.nowMs;
    this.#hand(sent.told);
  }

  #hand(told: Told): void {
    if ('notice' in told) return this.#tellWatchers(told.notice);
    const facts = this.#reader.read(told.session, told.fact);
    for (const fact of facts) for (const listener of this.#followers.get(told.session.id) ?? []) listener(fact);
  }

  #tellWatchers(notice: StreamNotice): void {
    for (const listener of this.#watchers) listener(notice);
  }

  /** Of what was not delivered, messages, parts and sessions come again: they are stored. */
  #miss(told: Told): void {
    if (!this.#world.behaviour.replays) return;
    const isStored =
      'notice' in told ? told.notice.type === 'session.created' : ['message', 'part', 'session.deleted'].includes(told.fact.type);
    if (isStored) this.#missed.push(told);
  }

  #goDark(): void {
    this.#isDark = true;
    this.#world.ledger.goDark(this, this.#world.queue.nowMs);
    for (const { told } of this.#underway) this.#miss(told);
    this.#underway = [];
  }

  #break(reason: string): void {
    if (this.state !== 'live') return;
    this.#lastBytesMs = this.lastRecordAtMs;
    this.#goDark();
    this.#connection += 1;
    this.state = 'reconnecting';
    this.gaps += 1;
    this.#world.tell('stream', `gap: ${reason}`);
    this.#attempts = 0;
    this.#tellWatchers({ type: 'stream.gap', generation: this.#generation, reason });
    this.#connectSoon(reconnectMs[0]);
  }

  #connectSoon(delayMs: number): void {
    const isOver = this.process.state === 'ended';
    this.#world.queue.after(delayMs, 'stream connects', () => this.#connect(), { background: isOver });
  }

  #connect(): void {
    if (this.state === 'closed' || this.state === 'failed') return;
    const { nowMs } = this.#world.queue;
    if (this.process.state !== 'running' || nowMs < this.#outageUntilMs) {
      this.#attempts += 1;
      return this.#connectSoon(reconnectMs[Math.min(this.#attempts, reconnectMs.length - 1)]!);
    }
    this.#connection += 1;
    this.#generation += 1;
    this.#isDark = false;
    this.#connectedAtMs = nowMs;
    this.#lastBytesMs = nowMs;
    this.state = 'live';
    this.#world.ledger.endDark(this, nowMs);
    this.#world.tell('stream', `live (generation ${this.#generation})`);
    const missed = this.#missed;
    this.#missed = [];
    for (const told of missed) this.#hand(told);
    const isIncomplete = this.gaps > 0 && !this.#world.behaviour.replays;
    this.#tellWatchers({ type: 'stream.live', generation: this.#generation, ...(isIncomplete && { incomplete: true }) });
    for (const wait of this.#waits) wait.resolve();
  }

  #end(state: 'closed' | 'failed'): void {
    this.state = state;
    this.#connection += 1;
    this.#underway = [];
    if (state === 'closed') this.#world.ledger.endDark(this, this.#world.queue.nowMs);
    this.process.listeners.delete(this);
  }
}
