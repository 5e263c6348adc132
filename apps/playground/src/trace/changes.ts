import type { Change, Json } from './format.ts';

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

function isRecord(value: Json | undefined): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
