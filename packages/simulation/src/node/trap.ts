/** Where a call must not come from: what runs in a world has the world's time alone. */
const worldly = /packages\/(?:core|events|actors|runs|simulation)\/(?:src|dist)\/|\/xstate\//;

/** XState notes the time of a timer, and names it by chance: nothing comes of either. Its timers themselves are another matter. */
const harmless: ReadonlySet<string> = new Set(['Date.now', 'Math.random']);

/** Ours as well, and allowed: what drives a world from outside. */
const outside = /packages\/simulation\/(?:src|dist)\/(?:node|main)/;

/**
 * Takes real time and real chance away from whatever runs in a world: a call from there throws, and is reported. Others (a test runner)
 * are left alone. Call the result to give it back.
 */
export function trapRealTime(onCall: (what: string) => void): () => void {
  const undo: (() => void)[] = [];
  const trap = <Owner extends object>(owner: Owner, name: keyof Owner & string, label: string): void => {
    const real = owner[name] as (...args: unknown[]) => unknown;
    const trapped = function (this: unknown, ...args: unknown[]): unknown {
      check(label, onCall);
      return real.apply(this, args);
    };
    Object.assign(owner, { [name]: Object.assign(trapped, real) });
    undo.push(() => Object.assign(owner, { [name]: real }));
  };
  trap(globalThis, 'setTimeout', 'setTimeout');
  trap(globalThis, 'setInterval', 'setInterval');
  trap(globalThis, 'setImmediate', 'setImmediate');
  trap(Date, 'now', 'Date.now');
  trap(performance, 'now', 'performance.now');
  trap(AbortSignal, 'timeout', 'AbortSignal.timeout');
  trap(Math, 'random', 'Math.random');
  undo.push(trapNewDate(onCall));
  return () => {
    for (const one of undo.toReversed()) one();
  };
}

/** `new Date()` reads the time; with an argument it only converts. */
function trapNewDate(onCall: (what: string) => void): () => void {
  const real = globalThis.Date;
  globalThis.Date = new Proxy(real, {
    construct(target, args, self) {
      if (args.length === 0) check('new Date()', onCall);
      return Reflect.construct(target, args, self) as Date;
    },
  });
  return () => {
    globalThis.Date = real;
  };
}

function check(label: string, onCall: (what: string) => void): void {
  if (harmless.has(label) && callerOf().includes('/xstate/')) return;
  const stack = new Error('trap').stack?.split('\n').slice(3) ?? [];
  const caller = stack.find((line) => worldly.test(line));
  if (caller === undefined || outside.test(caller)) return;
  const what = `${label} was called in a world, ${caller.trim()}`;
  onCall(what);
  throw new Error(what);
}

/** Whoever called what is trapped; a short stack is cheap. */
function callerOf(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 4;
  const line = new Error('trap').stack?.split('\n')[4] ?? '';
  Error.stackTraceLimit = stackTraceLimit;
  return line;
}
