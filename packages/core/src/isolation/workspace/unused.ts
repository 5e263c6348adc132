import { basename, relative } from 'node:path';
import type { Seen } from './judge.ts';

/** Configuration of a workspace that opencode would use and a server does not, unless `projectConfig` is `all`. */
export interface UnusedConfiguration {
  readonly files: readonly string[];
  /** The files of agents and commands, by their names. */
  readonly agents: Readonly<Record<string, string>>;
  readonly commands: Readonly<Record<string, string>>;
}

/** Names shown in a note. */
const maxShown = 5;

const configuration = /\/\.opencode\/(?<kind>agent|command|mode|skill|tool|theme)s?\/(?<inner>.+)$|(?:^|\/)opencode\.jsonc?$/;

/** What of the workspace's own configuration counts for nothing; `given` are files and directories that the user handed over by name. */
export function unusedIn({ places }: Pick<Seen, 'places'>, given: readonly string[]): UnusedConfiguration {
  const files: string[] = [];
  const agents: Record<string, string> = {};
  const commands: Record<string, string> = {};
  for (const { entries } of places.values()) {
    for (const [path, print] of entries) {
      const match = configuration.exec(path);
      if (!match || !/^(?:link .*, )?file /s.test(print) || given.some((one) => path === one || path.startsWith(`${one}/`))) continue;
      files.push(path);
      const { kind, inner = '' } = match.groups!;
      const name = inner.replace(/\.md$/, '');
      if (name === inner) continue;
      if (kind === 'agent' || kind === 'mode') agents[name] ??= path;
      if (kind === 'command') commands[name] ??= path;
    }
  }
  return { files, agents, commands };
}

/** One sentence that names the files and the switch; undefined when there are none. */
export function unusedNote(directory: string, { files }: UnusedConfiguration, projectConfig: string): string | undefined {
  if (files.length === 0) return undefined;
  const names = files.slice(0, maxShown).map((path) => relative(directory, path) || basename(path));
  const more = files.length > maxShown ? ` and ${files.length - maxShown} more` : '';
  return `${directory}: opencode configuration of the workspace is not used (${names.join(', ')}${more}), because projectConfig is '${projectConfig}'; set it to 'all' (--project-config all) when you trust this workspace`;
}
