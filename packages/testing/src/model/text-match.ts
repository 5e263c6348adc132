import type { TextMatch } from '../script/types.ts';

/** Groups of a match by number and name; `''` for one that did not take part. */
type Groups = Readonly<Record<string, string>>;

/** Gives the groups when the text matches, undefined when it does not. */
export type TextMatcher = ((text: string) => Groups | undefined) & { readonly groupNames: readonly string[] };

/** Prepares a match once, when the script is compiled. Throws a `SyntaxError` for a malformed regular expression. */
export function compileTextMatch(match: TextMatch): TextMatcher {
  const { contains, equals, pattern } = normalize(match);
  const matcher = (text: string): Groups | undefined => {
    if (contains !== undefined && !text.includes(contains)) return undefined;
    if (equals !== undefined && text !== equals) return undefined;
    if (pattern === undefined) return {};
    const found = pattern.exec(text);
    return found ? groupsOf(found) : undefined;
  };
  return Object.assign(matcher, { groupNames: pattern ? namesOf(pattern) : [] });
}

function normalize(match: TextMatch): { contains?: string | undefined; equals?: string | undefined; pattern?: RegExp } {
  if (typeof match === 'string') return { contains: match };
  // g and y keep a position between calls: one call would change what the next one matches.
  if (match instanceof RegExp) return { pattern: new RegExp(match.source, match.flags.replace(/[gy]/g, '')) };
  const { matches, flags, ...rest } = match;
  return { ...rest, ...(matches !== undefined && { pattern: new RegExp(matches, flags) }) };
}

function groupsOf(found: RegExpExecArray): Groups {
  const numbered = Object.fromEntries(found.map((text, index) => [String(index), text ?? '']));
  const named = Object.fromEntries(Object.entries(found.groups ?? {}).map(([name, text]) => [name, text ?? '']));
  return { ...numbered, ...named };
}

/** The alternative with nothing in it always matches, so the result lists every group there is. */
function namesOf(pattern: RegExp): string[] {
  const found = new RegExp(`${pattern.source}|`, pattern.flags).exec('');
  return found ? Object.keys(groupsOf(found)) : [];
}
