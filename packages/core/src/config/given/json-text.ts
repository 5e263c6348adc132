/** A stretch of JSONC text between two boundaries. */
export interface Span {
  readonly kind: 'code' | 'string' | 'comment';
  readonly text: string;
  /** The key under which a string or what stands in its place is; empty at the top. */
  readonly field: string;
}

/** Cuts JSONC into strings (without their quotes), comments and the rest. Joined, the texts are the whole. Linear. */
export function* spansOf(text: string): Generator<Span> {
  const boundary = /"(?<string>(?:[^"\\]|\\.)*)(?:"|$)|(?<comment>\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$))/g;
  let at = 0;
  let field = '';
  let previous = '';
  for (const match of text.matchAll(boundary)) {
    const code = text.slice(at, match.index);
    if (/^\s*:/.test(code)) field = previous;
    if (code.trim() !== '') previous = '';
    yield { kind: 'code', text: code, field };
    const { string, comment } = match.groups!;
    if (comment !== undefined) yield { kind: 'comment', text: comment, field };
    if (string !== undefined) {
      yield { kind: 'code', text: '"', field };
      yield { kind: 'string', text: string, field };
      yield { kind: 'code', text: match[0].slice(string.length + 1), field };
      previous = string;
    }
    at = match.index + match[0].length;
  }
  yield { kind: 'code', text: text.slice(at), field };
}

/** What a value becomes inside a JSON string. One that is written for JSON already (`\n` in a key) stays, as in opencode. */
export function insideString(value: string): string {
  return isStringContent(value) ? value : JSON.stringify(value).slice(1, -1);
}

function isStringContent(value: string): boolean {
  try {
    return typeof JSON.parse(`"${value}"`) === 'string';
  } catch {
    return false;
  }
}
