import { isAbsolute, join, resolve } from 'node:path';
import { insideString, spansOf, type Span } from './json-text.ts';
import { readText } from './read-text.ts';

/** Something that was put into a configuration from elsewhere. */
export interface Substitution {
  readonly kind: 'env' | 'file';
  /** The name of the variable, or the path of the file. */
  readonly target: string;
  /** The key under which it stands. */
  readonly field: string;
  readonly value: string;
}

export interface Substituted {
  /** Texts that stood for a variable which is not set hold {@link unsetMark}. */
  readonly text: string;
  readonly substitutions: readonly Substitution[];
}

export interface SubstitutionTerms {
  /** Where relative paths of `{file:}` count from. */
  readonly base: string;
  readonly home: string | undefined;
  readonly variables: NodeJS.ProcessEnv;
  /** What an error calls the configuration. */
  readonly label: string;
}

/** Stands for a variable that is not set, until it is known where. Neither a file nor a variable holds these characters. */
export const unsetMark = /\uF8F0([^\uF8F1]*)\uF8F1/g;

/**
 * Puts in what `{env:NAME}` and `{file:PATH}` stand for, in the text and before it is parsed, as opencode does: a value may be a number or
 * a whole list, and that of a variable may name a file. Comments are left alone.
 * @throws `OPENCODE_CONFIG_INVALID` for a file that cannot be read
 */
export async function substitute(text: string, terms: SubstitutionTerms): Promise<Substituted> {
  const substitutions: Substitution[] = [];
  const named = [...spansOf(text)].map((span) => withVariables(span, terms, substitutions)).join('');
  const pieces: string[] = [];
  for (const span of spansOf(named)) pieces.push(await withFiles(span, terms, substitutions));
  return { text: pieces.join(''), substitutions };
}

function withVariables({ kind, text, field }: Span, { variables }: SubstitutionTerms, substitutions: Substitution[]): string {
  if (kind === 'comment') return text;
  return text.replaceAll(/\{env:([^}]+)\}/g, (_, target: string) => {
    const value = variables[target];
    if (value === undefined) return kind === 'string' ? `\uF8F0${target}\uF8F1` : '';
    substitutions.push({ kind: 'env', target, field, value });
    return kind === 'string' ? insideString(value) : value;
  });
}

async function withFiles(
  { kind, text, field }: Span,
  { base, home, label }: SubstitutionTerms,
  substitutions: Substitution[],
): Promise<string> {
  if (kind === 'comment') return text;
  const pieces: string[] = [];
  let at = 0;
  for (const match of text.matchAll(/\{file:([^}]+)\}/g)) {
    const path = absolutePath(kind === 'string' ? unescaped(match[1]!) : match[1]!, base, home);
    const value = (await readText(path, `${label}: ${match[0]}`)).trim();
    substitutions.push({ kind: 'file', target: path, field, value });
    pieces.push(text.slice(at, match.index), JSON.stringify(value).slice(1, -1));
    at = match.index + match[0].length;
  }
  return pieces.join('') + text.slice(at);
}

/** A path that a user wrote: `~/` is the user's own home, and what is relative counts from `base`. */
export function absolutePath(path: string, base: string, home: string | undefined): string {
  if (path.startsWith('~/') && home !== undefined) return join(home, path.slice(2));
  return isAbsolute(path) ? path : resolve(base, path);
}

function unescaped(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text;
  }
}
