/** Of the records of `--json`; it changes when a field goes or means something else. */
const schemaVersion = 1;

/** Fields whose content is of others, and stays as it is: users, opencode, tools. */
const foreign: ReadonlySet<string> = new Set(['raw', 'input', 'metadata', 'properties', 'opencode_config', 'task']);

/** A record as it is told: with the version of its schema behind its type, and errors in the words of records. */
export function versioned(record: object): object {
  const { type, ...fields } = record as { readonly type?: unknown };
  return { type, schema_version: schemaVersion, ...(withToldErrors(fields) as object) };
}

/** The value with `snake_case` names, as records have them; what is foreign in it stays as it is. */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => snakeCased(item));
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).map(([name, item]) => [snakeName(name), foreign.has(name) ? item : snakeCased(item)]);
  return Object.fromEntries(entries);
}

/** Details of errors have the names that programs use. */
export function withToldErrors(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => withToldErrors(item));
  if (!isPlain(value)) return value;
  const isError = typeof value['code'] === 'string' && isPlain(value['details']);
  const entries = Object.entries(value).map(([name, item]) => {
    if (foreign.has(name)) return [name, item];
    return [name, isError && name === 'details' ? snakeCased(item) : withToldErrors(item)];
  });
  return Object.fromEntries(entries);
}

function snakeName(name: string): string {
  return name.replaceAll(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
