import { createHash } from 'node:crypto';
import { failure } from '../errors.ts';

/**
 * JSON of which equal values have one text (RFC 8785): keys sorted by their UTF-16 units, no spaces, numbers as ECMAScript writes them.
 * Fields that are undefined do not exist.
 * @throws `TASK_INVALID` naming the place of what is no JSON (a function, a date, NaN)
 * @example canonicalJson({ b: 1, a: [true, undefined ?? null] }) // '{"a":[true,null],"b":1}'
 */
export function canonicalJson(value: unknown): string {
  return written(value, []);
}

/** SHA-256 of the canonical JSON, as 64 hexadecimal digits. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

function written(value: unknown, path: readonly string[]): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${Array.from(value, (item, index) => written(item, [...path, String(index)])).join()}]`;
  if (isPlain(value)) return `{${membersOf(value, path).join()}}`;
  throw notJson(value, path);
}

function membersOf(value: Readonly<Record<string, unknown>>, path: readonly string[]): string[] {
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  // Without a comparison: by UTF-16 units, whatever the language of the machine is.
  return names.toSorted().map((name) => `${JSON.stringify(name)}:${written(value[name], [...path, name])}`);
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function notJson(value: unknown, path: readonly string[]): Error {
  const what =
    typeof value === 'object' ? `an object of ${value?.constructor.name}` : typeof value === 'number' ? String(value) : typeof value;
  const where = path.join('.') || 'the value';
  return failure('TASK_INVALID', `${where}: ${what} is no JSON. Write text, a number, true, false, null, a list or an object.`, {
    field: where,
  });
}
