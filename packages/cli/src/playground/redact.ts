import type { PayloadOptions } from './payload.ts';

/** Output of the server, and what may repeat it: never for a page. */
const never: ReadonlySet<string> = new Set(['output', 'cause', 'details', 'stack', 'responseBody', 'responseHeaders']);

/** What an ask is about. */
const askTexts: ReadonlySet<string> = new Set(['patterns', 'rules', 'reason']);

/**
 * Takes out of contexts and payloads of the machines what a page may not see: without `content` the words of errors (a
 * provider may repeat a prompt in them), and what asks are about unless somebody is to answer them. The same object gives
 * the same result, so that what did not change is still seen as unchanged.
 */
export function createRedactor({ content, asks }: Pick<PayloadOptions, 'content' | 'asks'>): (value: unknown) => unknown {
  const known = new WeakMap<object, unknown>();
  const isHidden = (key: string, of: object): boolean =>
    never.has(key) || (askTexts.has(key) && !content && !asks) || (key === 'message' && !content && isError(of));
  const redact = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const before = known.get(value);
    if (before !== undefined) return before;
    const result = Array.isArray(value) ? keepSame(value, value.map(redact)) : redactObject(value);
    known.set(value, result);
    return result;
  };
  const redactObject = (value: object): object => {
    const entries = Object.entries(value).filter(([key]) => !isHidden(key, value));
    const changed = entries.map(([key, one]) => [key, redact(one)] as const);
    const same = entries.length === Object.keys(value).length && entries.every(([, one], index) => one === changed[index]![1]);
    return same ? value : Object.fromEntries(changed);
  };
  return redact;
}

function keepSame(before: readonly unknown[], after: readonly unknown[]): readonly unknown[] {
  return after.every((one, index) => one === before[index]) ? before : after;
}

/** Errors have a name; a provider's wait, which has a message too, has none. */
function isError(value: object): boolean {
  return 'name' in value && 'message' in value && typeof value.message === 'string';
}
