import type { Process } from '../opencode/process.ts';
import type { Surroundings } from '../opencode/surroundings.ts';
import type { PortCall } from '../ports.ts';

/** Deadline of a request that names none, in milliseconds; as the HTTP client has it. */
const defaultTimeoutMs = 15_000;

/** A connection breaks a little before the end of its process is seen, in milliseconds. */
const exitSeenMs = 8;

export interface RequestOptions extends PortCall {
  /** A request that the link leaves alone: what it does matters more than how it travels. */
  readonly isSafe?: boolean;
}

/** Answers at once, or later, when the server gets to it. */
export type Handler<Answer> = (answer: (value: Answer) => void) => void;

/** The way of requests from the manager to a process and back: they take time, get lost, break off. */
export class Requests {
  readonly #world: Surroundings;
  readonly #counts = new Map<string, number>();
  /** Answers take so much longer until then. */
  #slow: { readonly untilMs: number; readonly delayMs: number } | undefined;

  constructor(world: Surroundings) {
    this.#world = world;
  }

  slowDown(delayMs: number, forMs: number): void {
    this.#slow = { untilMs: this.#world.queue.nowMs + forMs, delayMs };
  }

  /** One request. `handle` runs on the server, at an instant of its own, and may throw. */
  send<Answer>(
    process: Process,
    label: string,
    handle: Handler<Answer>,
    { timeoutMs = defaultTimeoutMs, signal, isSafe }: RequestOptions = {},
  ): Promise<Answer> {
    const request = new Request<Answer>(this.#world, process, label, this.#journey(label, isSafe === true));
    return request.run(handle, timeoutMs, signal);
  }

  #journey(label: string, isSafe: boolean): Journey {
    const { plan, random, queue, count } = this.#world;
    const { delayMs, slow, slowMs, lostRequest, lostAnswer, brokenAnswer, refusal } = plan.link;
    const nth = (this.#counts.get(label) ?? 0) + 1;
    this.#counts.set(label, nth);
    const chance = random.of(`request ${label} ${nth}`);
    const thereMs = chance.between(...delayMs);
    const isSlow = chance.chance(slow);
    let backMs = chance.between(...delayMs) + (isSlow ? chance.between(1000, slowMs) : 0);
    if (this.#slow && this.#slow.untilMs > queue.nowMs) backMs += this.#slow.delayMs;
    if (backMs > 1000) count('answer-slow');
    const fates = {
      lostRequest,
      lostAnswer,
      brokenAnswer,
      refusal,
      none: Math.max(0, 1 - lostRequest - lostAnswer - brokenAnswer - refusal),
    };
    return { thereMs, backMs, fate: isSafe ? 'none' : chance.weighted(fates) };
  }
}

interface Journey {
  readonly thereMs: number;
  readonly backMs: number;
  readonly fate: 'lostRequest' | 'lostAnswer' | 'brokenAnswer' | 'refusal' | 'none';
}

class Request<Answer> {
  readonly #world: Surroundings;
  readonly #process: Process;
  readonly #label: string;
  readonly #journey: Journey;
  readonly #answer = Promise.withResolvers<Answer>();
  #isSettled = false;
  #cleanUp: () => void = () => undefined;

  constructor(world: Surroundings, process: Process, label: string, journey: Journey) {
    this.#world = world;
    this.#process = process;
    this.#label = label;
    this.#journey = journey;
  }

  run(handle: Handler<Answer>, timeoutMs: number, signal: AbortSignal | undefined): Promise<Answer> {
    if (signal?.aborted) return Promise.reject(this.#error('REQUEST_ABORTED', 'aborted by the caller'));
    const { queue } = this.#world;
    const deadline = Number.isFinite(timeoutMs)
      ? queue.after(timeoutMs, `${this.#label} is overdue`, () => this.#fail('REQUEST_TIMEOUT', `no answer within ${timeoutMs} ms`))
      : undefined;
    const onAbort = () => this.#fail('REQUEST_ABORTED', 'aborted by the caller');
    signal?.addEventListener('abort', onAbort, { once: true });
    const listener = { fact: nothing, notice: nothing, silenced: nothing, broke: () => this.#lose() };
    this.#process.listeners.add(listener);
    this.#cleanUp = () => {
      queue.cancel(deadline);
      signal?.removeEventListener('abort', onAbort);
      this.#process.listeners.delete(listener);
    };
    if (this.#process.state === 'ended') this.#lose();
    else queue.after(this.#journey.thereMs, `${this.#label} arrives`, () => this.#arrive(handle));
    return this.#answer.promise;
  }

  #arrive(handle: Handler<Answer>): void {
    const { count } = this.#world;
    const { fate } = this.#journey;
    // A client that has hung up is not noticed (A6).
    if (this.#process.state !== 'running') return;
    if (fate === 'lostRequest') return count('request-lost');
    if (fate === 'refusal') {
      count('server-error');
      return this.#reply(() => this.#fail('SERVER_ERROR', 'Unexpected server error'));
    }
    try {
      handle((value) => this.#return(value));
    } catch (error) {
      // An error without a code is a fault of this world, not of its server.
      if (!(error as { code?: string }).code) throw error;
      this.#reply(() => this.#settle(() => this.#answer.reject(error)));
    }
  }

  #return(value: Answer): void {
    const { count } = this.#world;
    if (this.#journey.fate === 'lostAnswer') return count('answer-lost');
    if (this.#journey.fate === 'brokenAnswer') {
      count('answer-broken');
      return this.#reply(() => this.#fail('CONNECTION_LOST', 'the connection to the server failed'));
    }
    this.#reply(() => this.#settle(() => this.#answer.resolve(value)));
  }

  #reply(settle: () => void): void {
    this.#world.queue.after(this.#journey.backMs, `${this.#label} is answered`, () => this.#process.state === 'running' && settle());
  }

  #lose(): void {
    this.#world.queue.after(exitSeenMs, `${this.#label} breaks off`, () => this.#fail('SERVER_EXITED', 'the opencode server ended'));
  }

  #fail(code: string, why: string): void {
    this.#settle(() => this.#answer.reject(this.#error(code, why)));
  }

  #error(code: string, why: string): Error {
    return this.#world.error(code, `${this.#label}: ${why}.`);
  }

  #settle(how: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#cleanUp();
    how();
  }
}

const nothing = (): void => undefined;
