import type { OpenAsk, SnapshotFacts } from '@opencode-manager/actors/machines';
import type { SteppedClock } from './clock.ts';

/** What may be wrong, or slow, or curious. Each holds for turns that come to it while it is set. */
export interface Weather {
  /** The provider answers 429; opencode waits and asks again. */
  rateLimited: boolean;
  /** With a rate limit: the provider asks for a wait of a day. */
  quotaSpent: boolean;
  /** Every answer takes six times as long. */
  slow: boolean;
  /** Each turn asks for a permission before it goes on. */
  asks: boolean;
  /** The server never says that it is idle, and never reads as idle either. */
  neverIdle: boolean;
  /** Aborts get no answer and have no effect. */
  deafToAborts: boolean;
  /** Each turn hands a part of its work to a sub-agent. */
  subAgents: boolean;
  /** Servers that are to take the place of another end at their start. */
  failingStarts: boolean;
  /** The server's memory grows until another one takes its place. */
  growingMemory: boolean;
}

export const calm: Weather = {
  rateLimited: false,
  quotaSpent: false,
  slow: false,
  asks: false,
  neverIdle: false,
  deafToAborts: false,
  subAgents: false,
  failingStarts: false,
  growingMemory: false,
};

/** An event of the stream, in the words of the session machine. */
export type StreamEvent =
  | { readonly type: 'session.busy' | 'session.idle' | 'progress' | 'turn.accepted' }
  | { readonly type: 'message.started'; readonly id: string }
  | { readonly type: 'message.finalised'; readonly message: NonNullable<SnapshotFacts['final']> }
  | { readonly type: 'session.retrying'; readonly retry: { readonly attempt: number; readonly message: string; readonly nextAtMs: number } }
  | { readonly type: 'ask.opened'; readonly ask: Omit<OpenAsk, 'atMs'> }
  | { readonly type: 'ask.closed'; readonly id: string }
  | { readonly type: 'child.busy' | 'child.quiet'; readonly sessionId: string };

interface ServerTurn {
  readonly sessionId: string;
  readonly messageId: string;
  readonly answerId: string;
  status: 'idle' | 'busy' | { readonly attempt: number; readonly message: string; readonly nextAtMs: number };
  asks: OpenAsk[];
  busyChildren: string[];
  final: SnapshotFacts['final'];
  over: boolean;
  /** Models are not equally fast: crowds must not march in step. */
  readonly pace: number;
}

export interface SimulatedServerOptions {
  readonly clock: SteppedClock;
  readonly weather: Weather;
  readonly emit: (sessionId: string, event: StreamEvent) => void;
}

const askedFor = ['npm test', 'git push origin main', 'curl https://example.com', 'rm -rf build'];

/**
 * What opencode does with turns, as far as a session machine can see: a script on the simulated clock. It knows the truth;
 * the stream may lose what it tells of it.
 */
export class SimulatedServer {
  readonly #options: SimulatedServerOptions;
  readonly #turns = new Map<string, ServerTurn>();
  #started = 0;
  alive = true;

  constructor(options: SimulatedServerOptions) {
    this.#options = options;
  }

  /** Takes a prompt; false when nobody is there to take it. */
  submit(sessionId: string, messageId: string): boolean {
    if (!this.alive) return false;
    this.#started += 1;
    const turn: ServerTurn = {
      sessionId,
      messageId,
      answerId: `${messageId}_answer`,
      status: 'busy',
      asks: [],
      busyChildren: [],
      final: null,
      over: false,
      pace: 1 + 0.07 * (((this.#started * 7) % 11) - 5),
    };
    this.#turns.set(sessionId, turn);
    const pace = this.#pace();
    this.#later(turn, 15, () => this.#tell(turn, { type: 'session.busy' }));
    this.#later(turn, 60 * pace, () => this.#askProvider(turn, 1));
    return true;
  }

  /** Ends a turn; the stream tells of it shortly after. */
  abort(sessionId: string): void {
    const turn = this.#turns.get(sessionId);
    if (!turn || turn.over || this.#options.weather.deafToAborts) return;
    this.#later(turn, 60, () => this.#finish(turn, { name: 'MessageAbortedError', message: 'The turn was aborted.' }));
  }

  answer(sessionId: string, askId: string): void {
    const turn = this.#turns.get(sessionId);
    if (!turn?.asks.some(({ id }) => id === askId)) return;
    turn.asks = turn.asks.filter(({ id }) => id !== askId);
    this.#later(turn, 20, () => this.#work(turn, 2));
  }

  /** The state of a turn as a read would find it. */
  read(sessionId: string, messageId: string): SnapshotFacts {
    const turn = this.#turns.get(sessionId);
    const mine = turn?.messageId === messageId ? turn : undefined;
    return {
      startedAtMs: this.#options.clock.now(),
      messageId,
      status: mine && !mine.over ? mine.status : 'idle',
      busyChildren: mine?.busyChildren ?? [],
      asks: mine?.asks ?? [],
      messageFound: mine !== undefined,
      final: mine?.final ?? null,
    };
  }

  /** What had its final answer is stored; what had not breaks off. */
  kill(): void {
    this.alive = false;
    for (const [sessionId, turn] of this.#turns) {
      if (!turn.final) this.#turns.delete(sessionId);
      turn.over = true;
      turn.status = 'idle';
    }
  }

  /** The next one, on the same state. */
  revive(): void {
    this.alive = true;
  }

  /** Whether the end of a turn is stored. */
  hasFinished(sessionId: string): boolean {
    return this.#turns.get(sessionId)?.final != null;
  }

  #askProvider(turn: ServerTurn, attempt: number): void {
    const { weather, clock } = this.#options;
    if (!weather.rateLimited) return this.#begin(turn);
    const waitMs = weather.quotaSpent && attempt > 1 ? 86_400_000 : 1000 * 2 ** attempt;
    const message = weather.quotaSpent ? 'You exceeded your current quota (429)' : 'Too Many Requests (429)';
    turn.status = { attempt, message, nextAtMs: clock.now() + waitMs };
    this.#tell(turn, { type: 'session.retrying', retry: turn.status });
    this.#later(turn, waitMs, () => this.#askProvider(turn, attempt + 1));
  }

  #begin(turn: ServerTurn): void {
    turn.status = 'busy';
    this.#tell(turn, { type: 'session.busy' });
    this.#tell(turn, { type: 'message.started', id: turn.answerId });
    const { weather } = this.#options;
    if (weather.asks) this.#later(turn, 350, () => this.#openAsk(turn));
    else if (weather.subAgents) this.#later(turn, 300, () => this.#delegate(turn));
    else this.#work(turn, 3 + (this.#started % 3));
  }

  #openAsk(turn: ServerTurn): void {
    const command = askedFor[this.#started % askedFor.length]!;
    const ask = {
      id: `per_${turn.messageId}`,
      kind: 'permission',
      sessionId: turn.sessionId,
      permission: 'bash',
      patterns: [command],
    } as const;
    turn.asks = [{ ...ask, atMs: this.#options.clock.now() }];
    this.#tell(turn, { type: 'ask.opened', ask });
  }

  #delegate(turn: ServerTurn): void {
    const child = `${turn.sessionId}_child`;
    turn.busyChildren = [child];
    this.#tell(turn, { type: 'child.busy', sessionId: child });
    this.#later(turn, 1800 * this.#pace(), () => {
      turn.busyChildren = [];
      this.#tell(turn, { type: 'child.quiet', sessionId: child });
      this.#work(turn, 2);
    });
  }

  /** Says something now and then, and comes to an end. */
  #work(turn: ServerTurn, steps: number): void {
    if (steps === 0) return this.#finish(turn, undefined);
    this.#later(turn, 380 * turn.pace * this.#pace(), () => {
      this.#tell(turn, { type: 'progress' });
      this.#work(turn, steps - 1);
    });
  }

  #finish(turn: ServerTurn, error: { readonly name: string; readonly message: string } | undefined): void {
    const { weather } = this.#options;
    turn.final = { id: turn.answerId, empty: false, ...(error ? { error } : { finish: 'stop' }) };
    turn.asks = [];
    this.#tell(turn, { type: 'message.finalised', message: turn.final });
    if (weather.neverIdle && !error) return;
    this.#later(turn, 12, () => {
      turn.over = true;
      turn.status = 'idle';
      this.#tell(turn, { type: 'session.idle' });
    });
  }

  #pace(): number {
    return this.#options.weather.slow ? 6 : 1;
  }

  #tell(turn: ServerTurn, event: StreamEvent): void {
    this.#options.emit(turn.sessionId, event);
  }

  /** Does something later, unless the turn is over or the server gone by then. */
  #later(turn: ServerTurn, delayMs: number, act: () => void): void {
    this.#options.clock.setTimeout(() => {
      if (this.alive && !turn.over && this.#turns.get(turn.sessionId) === turn) act();
    }, delayMs);
  }
}
