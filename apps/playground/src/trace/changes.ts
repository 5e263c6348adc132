import type { Change, Json } from './format.ts';

/** Objects below this depth are compared as wholes. */
const maxDepth = 6;

/** What differs between two values, leaf by leaf. Costs one walk over what is not identical. */
export function diff(before: unknown, after: unknown, path = '', depth = 0): Change[] {
  if (Object.is(before, after)) return [];
  if (isRecord(before) && isRecord(after) && depth < maxDepth) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => diff(before[key], after[key], path === '' ? key : `${path}.${key}`, depth + 1));
  }
  if (isSame(before, after)) return [];
  return [{ path, ...(before !== undefined && { before: before as Json }), ...(after !== undefined && { after: after as Json }) }];
}

/** The value with the changes made to it; shares what did not change. */
export function applyChanges(value: Json | undefined, changes: readonly Change[]): Json | undefined {
  return changes.reduce((result, change) => setAt(result, change.path === '' ? [] : change.path.split('.'), change.after), value);
}

function setAt(value: Json | undefined, [key, ...rest]: readonly string[], after: Json | undefined): Json | undefined {
  if (key === undefined) return after;
  const object = isRecord(value) ? value : {};
  const next = setAt(object[key], rest, after);
  if (next !== undefined) return { ...object, [key]: next };
  const { [key]: _gone, ...others } = object;
  return others;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return JSON.stringify(a) === JSON.stringify(b);
}
