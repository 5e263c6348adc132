import type { Redactor } from './redactor.ts';

/** A value that does not stand under the name of a credential is a secret from this length on. */
const shortestPassed = 12;

/** Lines of a value that are looked for alone: a message may repeat one line of a key. */
const shortestLine = 12;

const credentialName =
  /api[-_]?key|token(?!i[sz])|secret|passw(?:or)?d|passphrase|authorization|credential|private[-_]?key|access[-_]?key|cookie|bearer|^(?:key|auth|pat|pass)$|[-_]key$/i;

/** `MAX_TOKENS` and `token_uri` hold no token. */
const otherwise = /max|limit|count|budget|(?:url|uri|endpoint|path|file|id|name)$/i;

/** Whether a field, header, variable or option of this name holds a credential: `apiKey`, `X-Auth-Token`, `DB_PASSWORD`. */
export function isCredentialName(name: string): boolean {
  return credentialName.test(name) && !otherwise.test(name);
}

/** How sure it is that a value is a secret: a credential by the name it stands under, or merely passed on. */
export type Standing = 'credential' | 'passed';

/**
 * Learns one value and the secrets inside it: the texts of a JSON value, the user part of a URL, what follows `Bearer`, and the
 * lines of a key. A value that was merely passed is no secret when it is short, a path, a model's name or a URL without a user part.
 */
export function learnValue(redactor: Redactor, given: string, standing: Standing): void {
  const value = given.trim();
  const parsed = parseContainer(value);
  if (parsed !== undefined) learnLeaves(redactor, parsed, standing);
  learnUrls(redactor, value);
  if (standing === 'passed' && (value.length < shortestPassed || isHarmless(value))) return;
  for (const form of new Set([given, value])) redactor.learn(form);
  learnScheme(redactor, value);
  for (const line of value.includes('\n') ? value.split('\n') : [])
    if (line.trim().length >= shortestLine && !/\s/.test(line.trim())) redactor.learn(line.trim());
}

/** Every text of a JSON value: each by the name of its own field. */
export function learnLeaves(redactor: Redactor, value: unknown, standing: Standing, name = ''): void {
  if (typeof value === 'string') return learnValue(redactor, value, isCredentialName(name) ? 'credential' : standing);
  if (typeof value !== 'object' || value === null) return;
  const inside = isCredentialName(name) ? 'credential' : standing;
  for (const [key, item] of Object.entries(value)) learnLeaves(redactor, item, inside, Array.isArray(value) ? name : key);
}

function parseContainer(value: string): unknown {
  if (!/^[[{]/.test(value)) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Learns the user parts and the credentials in the query of the URLs in a text. */
export function learnUrls(redactor: Redactor, text: string): void {
  for (const [found] of text.matchAll(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi)) {
    const url = URL.parse(found);
    if (!url) continue;
    const user = decoded(url.username);
    const password = decoded(url.password);
    // A token may be the user, or the password of a user whose name is no secret.
    if (password !== '') redactor.learn(password);
    else if (user.length >= shortestPassed) redactor.learn(user);
    if (password !== '') redactor.learn(Buffer.from(`${user}:${password}`).toString('base64'));
    for (const [key, value] of url.searchParams) if (isCredentialName(key)) redactor.learn(value);
  }
}

/** `Bearer TOKEN`, `Basic BASE64` */
function learnScheme(redactor: Redactor, value: string): void {
  const [, scheme, rest] = /^(Bearer|Basic|Token|ApiKey)\s+(\S+)$/i.exec(value) ?? [];
  if (scheme === undefined || rest === undefined) return;
  redactor.learn(rest);
  if (scheme.toLowerCase() !== 'basic') return;
  const login = Buffer.from(rest, 'base64').toString();
  const password = login.slice(login.indexOf(':') + 1);
  redactor.learn(password);
}

function isHarmless(value: string): boolean {
  return isPath(value) || isModelName(value) || isPlainUrl(value);
}

/** One path, or a list of them as in PATH. */
function isPath(value: string): boolean {
  return value.split(':').every((part) => /^(?:~|\.{1,2})?\/[\w.@,%~ /-]*$/.test(part) || part === '');
}

function isModelName(value: string): boolean {
  return /^[a-z][a-z0-9-]{1,40}(?:\/[\w.:@-]+)+$/.test(value);
}

function isPlainUrl(value: string): boolean {
  const url = /^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(value) ? URL.parse(value) : null;
  if (!url || url.username !== '' || url.password !== '') return false;
  return ![...url.searchParams.keys()].some((key) => isCredentialName(key));
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
