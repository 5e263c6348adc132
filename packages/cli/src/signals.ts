import { exitCodes } from './exit-codes.ts';
import type { Terminal } from './terminal/index.ts';

/** Equal signals within this time are one: through npm a Ctrl-C on the terminal arrives twice. */
const sameSignalMs = 300;

const exitCodeOfSignal = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated, SIGHUP: exitCodes.terminated } as const;
type StopSignal = keyof typeof exitCodeOfSignal;

/** How far the user wants to go: `drain` finishes what runs, `abort` ends it, `kill` does not wait for that either. */
export type StopStep = 'drain' | 'abort' | 'kill';

export interface StopSignals extends Disposable {
  /** Aborted from the first step on. */
  readonly drain: AbortSignal;
  readonly abort: AbortSignal;
  readonly kill: AbortSignal;
  /** The exit code of the first signal; undefined while none came. */
  readonly exitCode: 130 | 143 | undefined;
  readonly signal: StopSignal | undefined;
}

type SignalSource = Pick<NodeJS.Process, 'on' | 'off' | 'listeners'>;

export interface StopSignalOptions {
  /** Where a Ctrl-C is typed: what it leaves on a line there goes. */
  readonly terminal?: Pick<Terminal, 'clearEcho'>;
  /** SIGTERM and SIGHUP drain too: whoever sends them waits for the end. Default: they abort at once. */
  readonly termDrains?: boolean;
  /** Told once for each step that is reached. */
  readonly onStep?: (step: StopStep, signal: StopSignal) => void;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
  readonly source?: SignalSource;
}

/**
 * Turns signals into steps: the first SIGINT drains, the second aborts, the third kills; SIGTERM and SIGHUP abort at
 * once. Each further signal goes one step on. Dispose it to give the signals back.
 */
export function listenForStop({
  terminal,
  termDrains = false,
  onStep,
  now = () => performance.now(),
  source = process,
}: StopSignalOptions = {}): StopSignals {
  const steps: StopStep[] = ['drain', 'abort', 'kill'];
  const controllers = { drain: new AbortController(), abort: new AbortController(), kill: new AbortController() };
  const lastSeen = new Map<StopSignal, number>();
  let first: StopSignal | undefined;
  let reached = -1;
  const advance = (signal: StopSignal) => {
    const at = now();
    if (at - (lastSeen.get(signal) ?? -Infinity) < sameSignalMs) return;
    lastSeen.set(signal, at);
    first ??= signal;
    const target = Math.min(Math.max(reached + 1, signal === 'SIGINT' || termDrains ? 0 : 1), steps.length - 1);
    if (target === reached) return;
    reached = target;
    if (signal === 'SIGINT') tell(() => terminal?.clearEcho());
    for (const step of steps.slice(0, target + 1)) controllers[step].abort();
    tell(() => onStep?.(steps[target]!, signal));
  };
  const signals = Object.keys(exitCodeOfSignal) as StopSignal[];
  for (const signal of signals) source.on(signal, advance);
  return {
    drain: controllers.drain.signal,
    abort: controllers.abort.signal,
    kill: controllers.kill.signal,
    get exitCode() {
      return first && exitCodeOfSignal[first];
    },
    get signal() {
      return first;
    },
    [Symbol.dispose]() {
      for (const signal of signals) {
        holdFor(source, signal);
        source.off(signal, advance);
      }
    },
  };
}

/** Inside the handler of a signal a failure would end the process. */
function tell(listener: () => void): void {
  try {
    listener();
  } catch {
    // The step counts; that it could not be told is no reason to stop otherwise.
  }
}

/** The listeners that only hold the place, each by the source and the signal that it holds. */
const holders = new WeakMap<object, Map<StopSignal, () => void>>();

/**
 * Bridges the moment between one listener and the next: without any, Node drops a signal that has arrived and was not told yet.
 * One that comes while nobody else listens has its usual effect.
 */
function holdFor(source: SignalSource, signal: StopSignal): void {
  const held = holders.get(source) ?? new Map<StopSignal, () => void>();
  holders.set(source, held);
  if (held.has(signal)) return;
  const release = () => {
    held.delete(signal);
    source.off(signal, hold);
  };
  const hold = () => {
    if (source.listeners(signal).some((listener) => listener !== hold)) return;
    release();
    process.kill(process.pid, signal);
  };
  held.set(signal, hold);
  source.on(signal, hold);
  setImmediate(release);
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Calls once when the signal is aborted, at once when it is; gives what ends the wait. */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) callback();
  else signal.addEventListener('abort', callback, { once: true });
  return () => signal.removeEventListener('abort', callback);
}
