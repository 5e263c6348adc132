import type { Redactor } from './redactor.ts';
import { isCredentialName, learnLeaves, learnUrls, learnValue } from './values.ts';

/** Fields of a configuration that hold what a model reads; a file named there is a text, not a key. */
const textFields: ReadonlySet<string> = new Set(['prompt', 'template', 'description', 'instructions', 'system']);

/** Fields whose maps are variables of a process, such as a local MCP server. */
const variableMaps: ReadonlySet<string> = new Set(['environment', 'env']);

/** Longest file that is taken for a secret: a key is short, and a text is none. */
const longestFile = 64 * 1024;

/** What a configuration got from a variable or a file. */
export interface LearnedSubstitution {
  readonly kind: 'env' | 'file';
  readonly target: string;
  /** Name of the field that it stands in. */
  readonly field: string;
  readonly value: string;
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
 * The secrets of an opencode configuration that stand in the position of a credential. Names that the configuration itself uses (a
 * provider's, a model's) are no secrets, though a key may be the same word.
 */
export function learnConfig(redactor: Redactor, config: object): void {
  learnPositions(redactor, config, { field: '', credential: false, names: namesIn(config) });
}

/** What `{env:}` and `{file:}` put into a configuration. */
export function learnSubstitutions(redactor: Redactor, substitutions: readonly LearnedSubstitution[]): void {
  for (const { kind, target, field, value } of substitutions) {
    if (kind === 'file' && (textFields.has(field) || value.length > longestFile)) continue;
    const credential = isCredentialName(field) || (kind === 'env' && isCredentialName(target));
    learnValue(redactor, value, credential ? 'credential' : 'passed');
  }
}

interface Position {
  readonly field: string;
  /** Something above it has the name of a credential. */
  readonly credential: boolean;
  readonly names: ReadonlySet<string>;
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
    if (variableMaps.has(position.field) && typeof item === 'string' && !credential) learnValue(redactor, item, 'passed');
    learnPositions(redactor, item, { ...position, field, credential });
  }
}

function learnText(redactor: Redactor, text: string, { credential, names }: Position): void {
  learnUrls(redactor, text);
  if (credential && !names.has(text)) learnValue(redactor, text, 'credential');
}

/** `--token VALUE` and `--token=VALUE` in the command line of a local server. */
function learnArguments(redactor: Redactor, items: readonly unknown[]): void {
  let option = '';
  for (const item of items) {
    if (typeof item !== 'string') continue;
    const [, name = '', value] = /^--?([\w-]+)(?:=(.*))?$/s.exec(item) ?? [];
    if (value !== undefined && isCredentialName(name)) learnValue(redactor, value, 'credential');
    else if (isCredentialName(option) && name === '') learnValue(redactor, item, 'credential');
    option = value === undefined ? name : '';
  }
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
