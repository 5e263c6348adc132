/** `{{user}}`, `{{user.1}}`, `{{ toolResult.name }}`; a backslash before it keeps it as it is. */
const placeholder = /(\\?)\{\{\s*([A-Za-z]\w*(?:\.\w+)?)\s*\}\}/g;

/** Values of placeholders by name. */
export type Values = Readonly<Record<string, string>>;

/** Fills placeholders in every string of a JSON value; keys stay as they are. */
export function fillPlaceholders<T>(value: T, values: Values): T {
  return mapStrings(value, (text) =>
    text.replace(placeholder, (whole, escape: string, name: string) => (escape ? whole.slice(1) : (values[name] ?? ''))),
  ) as T;
}

/** Names of the placeholders in every string of a JSON value. */
export function placeholdersIn(value: unknown): string[] {
  const names: string[] = [];
  mapStrings(value, (text) => {
    for (const [, escape, name] of text.matchAll(placeholder)) if (!escape && name !== undefined) names.push(name);
    return text;
  });
  return names;
}

function mapStrings(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapStrings(item, map)]));
}
