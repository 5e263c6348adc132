/** What stands in place of a secret. */
export const marker = '[redacted]';

/** Shorter values are replaced as whole words alone: a key `abcd` is not the middle of another word. */
const wholeWordBelow = 12;

/** Shorter pieces of base64 would be found in texts that have nothing to do with the value. */
const shortestBase64 = 8;

/** Finds the forms of all known values in a text. Linear in the text; the cost grows with the number of values. */
export interface Pattern {
  /** Calls back for each piece that gives a value away; the pieces do not overlap. */
  replaceIn(text: string, onFound: () => void): string;
}

export function createPattern(values: Iterable<string>): Pattern | undefined {
  const plain = new Set<string>();
  const encoded = new Set<string>();
  for (const value of values) {
    for (const form of plainForms(value)) plain.add(form);
    for (const form of base64Forms(value)) encoded.add(form);
  }
  if (plain.size === 0) return undefined;
  // The longest first: a value may be the start of another.
  const alternatives = [...[...plain].map(sourceOf), ...[...encoded].map(escapeRegExp)].toSorted((a, b) => b.length - a.length);
  const expression = new RegExp(alternatives.join('|'), 'g');
  return { replaceIn: (text, onFound) => replace(text, { expression, encoded }, onFound) };
}

interface Search {
  readonly expression: RegExp;
  readonly encoded: ReadonlySet<string>;
}

function replace(text: string, { expression, encoded }: Search, onFound: () => void): string {
  let result = '';
  let from = 0;
  expression.lastIndex = 0;
  for (let match = expression.exec(text); match; match = expression.exec(text)) {
    const [start, end] = encoded.has(match[0])
      ? wholeToken(text, match.index, match.index + match[0].length, from)
      : [match.index, match.index + match[0].length];
    result += text.slice(from, start) + marker;
    from = end;
    expression.lastIndex = end;
    onFound();
  }
  return from === 0 ? text : result + text.slice(from);
}

/** What stands around the encoded value belongs to it: `user:` before it, the padding after it. */
function wholeToken(text: string, start: number, end: number, notBefore: number): readonly [number, number] {
  while (start > notBefore && isBase64(text[start - 1]!)) start -= 1;
  while (end < text.length && isBase64(text[end]!)) end += 1;
  return [start, end];
}

function isBase64(character: string): boolean {
  return /[A-Za-z0-9+/=_-]/.test(character);
}

function sourceOf(form: string): string {
  const source = escapeRegExp(form);
  return form.length < wholeWordBelow ? `(?<![A-Za-z0-9])${source}(?![A-Za-z0-9])` : source;
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

/** As it is, in a JSON text, in a JSON text inside another, and in a URL. */
function plainForms(value: string): string[] {
  const escaped = JSON.stringify(value).slice(1, -1);
  const component = encodeURIComponent(value.toWellFormed());
  const lowerCase = component.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
  return [value, escaped, JSON.stringify(escaped).slice(1, -1), component, lowerCase, component.replaceAll('%20', '+')];
}

/**
 * What base64 of any text that holds the value holds too (`user:value` of a Basic header among them): three forms, because
 * the value may begin at any of the three bytes of a group. The characters at its edges also depend on what stands beside it.
 */
function base64Forms(value: string): string[] {
  const bytes = Buffer.from(value);
  const forms = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    return text.slice(before === 0 ? 0 : before + 1, Math.floor(((before + bytes.length) * 8) / 6));
  });
  const urlSafe = forms.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'));
  return [...forms, ...urlSafe].filter((form) => form.length >= shortestBase64);
}
