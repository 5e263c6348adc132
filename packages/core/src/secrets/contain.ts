import type { Redactor } from './redactor.ts';

/** The same object, whose calls fail without secrets in their errors. Methods that give promises are covered, getters pass. */
export function withCleanErrors<Target extends object>(target: Target, redactor: Redactor): Target {
  const calls = new Map<unknown, unknown>();
  return new Proxy(target, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      if (!calls.has(value)) calls.set(value, (...args: unknown[]) => call(value.bind(of) as Call, args, redactor));
      return calls.get(value);
    },
  });
}

type Call = (...args: unknown[]) => unknown;

function call(method: Call, args: unknown[], redactor: Redactor): unknown {
  const result = method(...args);
  if (!(result instanceof Promise)) return result;
  return result.catch((error: unknown) => {
    throw redactor.error(error);
  });
}
