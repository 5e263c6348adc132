import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { Redactor } from './redactor.ts';
import { isCredentialName, learnLeaves, learnUrls, learnValue } from './values.ts';

/** Fields of a configuration that hold what a model reads; a file named there is a text, not a key. */
const textFields: ReadonlySet<string> = new Set(['prompt', 'template', 'description', 'instructions', 'system']);

/** Fields whose maps are variables of a process, such as a local MCP server. */
const variableMaps: ReadonlySet<string> = new Set(['environment', 'env']);

/** Longest file that a `{file:}` is read from: a key is short, and a text is none. */
const longestFile = 64 * 1024;

/** A place in the configuration whose value opencode puts in from elsewhere. */
interface Reference {
  readonly kind: 'env' | 'file';
  readonly target: string;
  /** Name of the field that it stands in. */
  readonly field: string;
}

/** The server's user and password: as they are, and as the header of a request. */
export function learnLogin(redactor: Redactor, { username, password }: { readonly username: string; readonly password: string }): void {
  redactor.learn(password);
  redactor.learn(Buffer.from(`${username}:${password}`).toString('base64'));
}

/** Every text of an auth.json but the kind of each entry. */
export function learnAuth(redactor: Redactor, text: string | undefined): void {
  if (text === undefined) return;
  for (const entry of Object.values(JSON.parse(text) as Record<string, object>))
    for (const [field, value] of Object.entries(entry)) if (field !== 'type') learnLeaves(redactor, value, 'credential', field);
}

/** The named variables of an environment, each by its name. */
export function learnVariables(
  redactor: Redactor,
  environment: Readonly<Record<string, string | undefined>>,
  names: Iterable<string>,
): void {
  for (const name of names) {
    const value = environment[name];
    if (value !== undefined) learnValue(redactor, value, isCredentialName(name) ? 'credential' : 'passed');
  }
}

/**
 * The secrets of an opencode configuration: what stands in the position of a credential, and what `{env:}` and `{file:}` put in.
 * Names that the configuration itself uses (a provider's, a model's) are no secrets, though a key may be the same word.
 */
export async function learnConfig(redactor: Redactor, config: object, environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  const names = namesIn(config);
  const references: Reference[] = [];
  learnPositions(redactor, config, { field: '', credential: false, names, references });
  await Promise.all(references.map((reference) => learnReference(redactor, reference, environment)));
}

interface Position {
  readonly field: string;
  /** Something above it has the name of a credential. */
  readonly credential: boolean;
  readonly names: ReadonlySet<string>;
  readonly references: Reference[];
}

function learnPositions(redactor: Redactor, value: unknown, position: Position): void {
  if (typeof value === 'string') return learnText(redactor, value, position);
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    learnArguments(redactor, value);
    for (const item of value) learnPositions(redactor, item, position);
    return;
  }
  for (const [field, item] of Object.entries(value)) {
    const credential = position.credential || isCredentialName(field);
    if (variableMaps.has(position.field) && typeof item === 'string' && !credential)
      learnValue(redactor, withoutReferences(item), 'passed');
    learnPositions(redactor, item, { ...position, field, credential });
  }
}

function learnText(redactor: Redactor, text: string, { field, credential, names, references }: Position): void {
  for (const [, kind, target] of text.matchAll(/\{(env|file):([^}]+)\}/g))
    references.push({ kind: kind as Reference['kind'], target: target!.trim(), field: credential ? 'credential' : field });
  const literal = withoutReferences(text);
  learnUrls(redactor, literal);
  // `Bearer {env:TOKEN}` leaves `Bearer`, which is no secret.
  if (credential && literal === text && !names.has(text)) learnValue(redactor, text, 'credential');
}

function withoutReferences(text: string): string {
  return text.replaceAll(/\{(?:env|file):[^}]+\}/g, '');
}

/** `--token VALUE` and `--token=VALUE` in the command line of a local server. */
function learnArguments(redactor: Redactor, items: readonly unknown[]): void {
  let option = '';
  for (const item of items) {
    if (typeof item !== 'string') continue;
    const [, name = '', value] = /^--?([\w-]+)(?:=(.*))?$/s.exec(item) ?? [];
    if (value !== undefined && isCredentialName(name)) learnValue(redactor, value, 'credential');
    else if (isCredentialName(option) && name === '') learnValue(redactor, withoutReferences(item), 'credential');
    option = value === undefined ? name : '';
  }
}

async function learnReference(redactor: Redactor, { kind, target, field }: Reference, environment: NodeJS.ProcessEnv): Promise<void> {
  if (kind === 'env') {
    const value = environment[target];
    if (value !== undefined) learnValue(redactor, value, isCredentialName(field) || isCredentialName(target) ? 'credential' : 'passed');
    return;
  }
  if (textFields.has(field) || !isAbsolute(target)) return;
  const text = await readFile(target, 'utf8').catch(() => undefined);
  if (text !== undefined && text.length <= longestFile) learnValue(redactor, text, isCredentialName(field) ? 'credential' : 'passed');
}

/** Every key and every model or provider that a configuration names. */
function namesIn(value: unknown, names = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return names;
  for (const [key, item] of Object.entries(value)) {
    names.add(key);
    if (typeof item === 'string' && key.endsWith('model')) names.add(item);
    namesIn(item, names);
  }
  return names;
}
