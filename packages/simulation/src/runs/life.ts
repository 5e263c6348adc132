import type { Clock, PoolPorts } from '../ports.ts';

/** The life of a manager. After its end none of what it still does has an effect. */
export class Life {
  isOver = false;
  readonly #timers = new Set<unknown>();
  readonly #clock: Clock;
  readonly #wrapped = new WeakMap<object, object>();
  readonly #bare = new WeakMap<object, object>();
  readonly #onOrphan: (port: object) => void;

  /** @param onOrphan is given a server that a dead manager had started */
  constructor(clock: Clock, onOrphan: (server: object) => void) {
    this.#clock = clock;
    this.#onOrphan = onOrphan;
  }

  end(): void {
    this.isOver = true;
    for (const timer of this.#timers) this.#clock.clearTimeout(timer);
    this.#timers.clear();
  }

  /** A clock whose timers end with this life. */
  readonly clock: Clock = {
    now: () => this.#clock.now(),
    elapsed: () => this.#clock.elapsed(),
    setTimeout: (callback, delayMs, options) => {
      if (this.isOver) return undefined;
      const fire = () => {
        this.#timers.delete(timer);
        callback();
      };
      const timer: unknown = this.#clock.setTimeout(fire, delayMs, options);
      this.#timers.add(timer);
      return timer;
    },
    clearTimeout: (timer) => {
      this.#timers.delete(timer);
      this.#clock.clearTimeout(timer);
    },
  };

  /** The ports of a pool, for as long as this life lasts. */
  portsOf(ports: PoolPorts): PoolPorts {
    return {
      clock: this.clock,
      random: ports.random,
      launch: (config) => this.#promised(() => ports.launch(config)),
      openStream: (server) => {
        const stream = ports.openStream((this.#bare.get(server) ?? server) as typeof server);
        // It is nobody's.
        if (this.isOver) void stream.close();
        return this.#wrap(stream);
      },
    };
  }

  /** What a call gives, unless this life ends first: then it never settles. */
  #promised<Value>(call: () => Promise<Value>): Promise<Value> {
    if (this.isOver) return new Promise(() => {});
    return this.only(call());
  }

  /** A promise that settles in this life alone. */
  only<Value>(promise: Promise<Value>): Promise<Value> {
    const settled = Promise.withResolvers<Value>();
    const pass = (value: Value): void => {
      if (!this.isOver) settled.resolve(this.#wrap(value));
      else if (isObject(value) && 'relaunch' in value) this.#onOrphan(value);
    };
    promise.then(pass, (error: unknown) => this.isOver || settled.reject(error));
    return settled.promise;
  }

  /** Data is passed on as it is; of what can be called, each call ends with this life. */
  #wrap<Value>(value: Value): Value {
    if (!isObject(value) || !isPort(value)) return value;
    const known = this.#wrapped.get(value);
    if (known) return known as Value;
    const wrapped = new Proxy(value, { get: (target, name) => this.#part(target, Reflect.get(target, name, target), name) });
    this.#wrapped.set(value, wrapped);
    this.#bare.set(wrapped, value);
    return wrapped;
  }

  #part(target: object, part: unknown, name: string | symbol): unknown {
    if (part instanceof Promise) return this.only(part);
    if (typeof part !== 'function') return this.#wrap(part);
    return (...args: readonly unknown[]) => {
      if (this.isOver && !harmless.has(name)) return new Promise(() => {});
      const given = args.map((arg) => (typeof arg === 'function' ? this.#heard(arg as Listener) : arg));
      const result: unknown = Reflect.apply(part, target, given);
      return result instanceof Promise ? this.only(result) : this.#wrap(result);
    };
  }

  #heard(listener: Listener): Listener {
    return (...args) => (this.isOver ? undefined : listener(...args));
  }
}

type Listener = (...args: readonly unknown[]) => unknown;

/** Calls that answer at once and change nothing of the world. */
const harmless: ReadonlySet<string | symbol> = new Set([
  'output',
  'session',
  'operations',
  'fileUrl',
  'redact',
  'follow',
  'watch',
  'isFollowed',
]);

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Something that can be called: ports are; answers are plain data. */
function isPort(value: object): boolean {
  if (Array.isArray(value)) return false;
  return ['close', 'delete', 'deleteSession', 'submit', 'relaunch'].some((name) => name in value);
}
