import { isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { OpencodeConfig } from '../jsonc.ts';
import { isMap } from './merge.ts';
import { absolutePath } from './substitute.ts';

/** Where the paths of a configuration count from. */
export interface Position {
  /** The directory of its file. */
  readonly base: string;
  /** The user's own home; the server has another one. */
  readonly home: string | undefined;
  /** A directory that the server finds elsewhere: plugins in it are loaded from the copy, once. */
  readonly copied?: { readonly from: string; readonly to: string };
}

/**
 * Makes every path of a configuration one that means the same in the server, which reads it from another place and has another home.
 * Relative `instructions` and skills count from each session's directory, so that they stay.
 */
export function withOwnPlaces(config: OpencodeConfig, position: Position): OpencodeConfig {
  const result: Record<string, unknown> = { ...config };
  const change = (name: string, by: (value: unknown) => unknown) => {
    if (result[name] !== undefined) result[name] = by(result[name]);
  };
  change('instructions', (list) => eachText(list, (entry) => fromHome(entry, position)));
  change('plugin', (list) => (Array.isArray(list) ? list.map((entry) => pluginAt(entry, position)) : list));
  change('plugins', (list) => (Array.isArray(list) ? list.map((entry) => newerPluginAt(entry, position)) : list));
  change('skills', (skills) => skillsAt(skills, position));
  for (const name of ['references', 'reference']) change(name, (map) => eachValue(map, (entry) => referenceAt(entry, position)));
  change('permission', (permission) => permissionAt(permission, position));
  change('permissions', (rules) => rulesAt(rules, position));
  for (const name of ['agent', 'agents', 'mode']) change(name, (map) => eachValue(map, (agent) => agentAt(agent, position)));
  for (const name of ['command', 'commands']) change(name, (map) => eachValue(map, (command) => commandAt(command, position)));
  return result;
}

function fromHome(path: string, { home }: Position): string {
  return path.startsWith('~/') && home !== undefined ? join(home, path.slice(2)) : path;
}

/** A plugin by path, alone or with options; others are names of packages. */
function pluginAt(entry: unknown, position: Position): unknown {
  if (Array.isArray(entry)) return [pluginAt(entry[0], position), ...(entry.slice(1) as unknown[])];
  if (typeof entry !== 'string' || !(entry.startsWith('file://') || entry.startsWith('.') || isAbsolute(entry))) return entry;
  const path = entry.startsWith('file://') ? pathOfUrl(entry) : resolve(position.base, entry);
  return path === undefined ? entry : pathToFileURL(inCopy(path, position)).href;
}

/** The same in the form of opencode 2, where options stand in an object. */
function newerPluginAt(entry: unknown, position: Position): unknown {
  return isMap(entry) ? { ...entry, package: pluginAt(entry['package'], position) } : pluginAt(entry, position);
}

function pathOfUrl(url: string): string | undefined {
  try {
    return fileURLToPath(url);
  } catch {
    return undefined;
  }
}

function inCopy(path: string, { copied }: Position): string {
  if (!copied) return path;
  const inside = relative(copied.from, path);
  return inside.startsWith('..') || isAbsolute(inside) ? path : join(copied.to, inside);
}

function skillsAt(skills: unknown, position: Position): unknown {
  if (Array.isArray(skills)) return eachText(skills, (path) => fromHome(path, position));
  if (!isMap(skills)) return skills;
  return { ...skills, ...(skills['paths'] !== undefined && { paths: eachText(skills['paths'], (path) => fromHome(path, position)) }) };
}

/** A directory, or a repository: `./x`, `~/x`, `/x` and what stands in `path` are directories. */
function referenceAt(entry: unknown, { base, home }: Position): unknown {
  if (typeof entry === 'string') return /^[./~]/.test(entry) ? absolutePath(entry, base, home) : entry;
  return isMap(entry) && typeof entry['path'] === 'string' ? { ...entry, path: absolutePath(entry['path'], base, home) } : entry;
}

/** Patterns may begin with `~` or `$HOME`, whatever the permission is. */
function permissionAt(permission: unknown, { home }: Position): unknown {
  if (home === undefined) return permission;
  return eachValue(permission, (rules) =>
    isMap(rules) ? Object.fromEntries(Object.entries(rules).map(([pattern, action]) => [patternAt(pattern, home), action])) : rules,
  );
}

/** Rules in the form of opencode 2. */
function rulesAt(rules: unknown, { home }: Position): unknown {
  if (home === undefined || !Array.isArray(rules)) return rules;
  return rules.map((rule: unknown) =>
    isMap(rule) && typeof rule['resource'] === 'string' ? { ...rule, resource: patternAt(rule['resource'], home) } : rule,
  );
}

/** As opencode expands it. */
function patternAt(pattern: string, home: string): string {
  if (pattern === '~' || pattern.startsWith('~/')) return home + pattern.slice(1);
  return pattern.startsWith('$HOME') ? home + pattern.slice('$HOME'.length) : pattern;
}

function agentAt(agent: unknown, position: Position): unknown {
  if (!isMap(agent)) return agent;
  const { permission, permissions } = agent;
  return {
    ...agent,
    ...(permission !== undefined && { permission: permissionAt(permission, position) }),
    ...(permissions !== undefined && { permissions: rulesAt(permissions, position) }),
  };
}

function commandAt(command: unknown, { home }: Position): unknown {
  if (!isMap(command) || typeof command['template'] !== 'string' || home === undefined) return command;
  return { ...command, template: templateAt(command['template'], home) };
}

/** `@~/notes.md` puts a file of the user's home into a command. */
export function templateAt(template: string, home: string): string {
  return template.replaceAll(/(?<![\w`])@~\//g, `@${home}/`);
}

/**
 * The same for an agent's markdown file: the patterns of permissions in its front matter. They are keys, in quotes or without, on lines of
 * their own or in braces; in the form of opencode 2 they stand behind the key `resource`.
 */
export function agentFileAt(text: string, home: string): string {
  const matter = /^\uFEFF?---\r?\n[\s\S]*?\r?\n---/.exec(text)?.[0];
  if (matter === undefined) return text;
  const changed = matter.replaceAll(
    /((?:^|[\n{,])[ \t]*["']?)(~(?=\/[^\n]*:|["']?[ \t]*:)|\$HOME(?=[^\n]*:))/g,
    (_, before: string) => before + home,
  );
  const inRules = changed.replaceAll(
    /((?:^|[\n{,])[ \t]*(?:-[ \t]+)?["']?resource["']?[ \t]*:[ \t]*["']?)(?:~(?=[/"'\s,}])|\$HOME)/g,
    (_, before: string) => before + home,
  );
  return inRules + text.slice(matter.length);
}

function eachText(list: unknown, change: (text: string) => string): unknown {
  return Array.isArray(list) ? list.map((entry: unknown) => (typeof entry === 'string' ? change(entry) : entry)) : list;
}

function eachValue(map: unknown, change: (value: unknown) => unknown): unknown {
  return isMap(map) ? Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)])) : map;
}
