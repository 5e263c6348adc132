import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'jsonc-parser';
import { OpencodeManagerError } from '../errors/index.ts';

// Every session begins with a look at a dozen places, most of which do not exist. To ask a thread for one of them costs the
// main thread 0.1 ms, and the session waits for it; to look at all of them at once costs as much, and nobody waits.
// Sessions that begin together share a look (`shared-looks.ts`).

/** The nearest directory at or above `directory` that has a `.git`; undefined outside git. */
export function repositoryRoot(directory: string): string | undefined {
  return [...withParents(directory)].find((candidate) => existsSync(join(candidate, '.git')));
}

/**
 * Refuses a workspace that carries opencode plugins: `.opencode/plugin(s)/*` files, or `plugin`/`plugins` keys of an
 * opencode configuration, in the directory or above it up to the repository's root (outside git up to `/`). opencode
 * imports them into the server on the first prompt, and no switch of it stops that.
 * @throws `WORKSPACE_UNTRUSTED` naming what was found
 */
export function refuseUntrustedWorkspace(directory: string): void {
  const found = findPlugins(directory);
  if (found === undefined) return;
  throw new OpencodeManagerError(
    'WORKSPACE_UNTRUSTED',
    `directory: ${directory} carries opencode plugins (${found}), which would run as code inside the server. Remove them, or set projectConfig to 'all' when you trust this workspace.`,
    { details: { directory, found } },
  );
}

function findPlugins(directory: string): string | undefined {
  return firstOf(withParents(directory, repositoryRoot(directory)), pluginsAt);
}

function pluginsAt(place: string): string | undefined {
  const folder = join(place, '.opencode');
  if (!existsSync(folder)) return pluginKeys(place);
  return pluginFiles(folder) ?? pluginKeys(place) ?? pluginKeys(folder);
}

/** The AGENTS.md files from the repository's root down to the directory (outside git the directory's own alone), as one text. */
export function workspaceInstructions(directory: string): string | undefined {
  const root = repositoryRoot(directory);
  const places = root === undefined ? [directory] : [...withParents(directory, root)].toReversed();
  const texts = places.map(instructionsOf).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts.join('\n\n');
}

function instructionsOf(place: string): string | undefined {
  const path = join(place, 'AGENTS.md');
  const text = textOf(path);
  return text === undefined || text.trim() === '' ? undefined : `Instructions from: ${path}\n${text}`;
}

function pluginFiles(folder: string): string | undefined {
  return firstOf(['plugin', 'plugins'], (name) => {
    const path = join(folder, name);
    const plugin = namesIn(path).find((file) => /\.[cm]?[jt]sx?$/.test(file));
    return plugin && join(path, plugin);
  });
}

function pluginKeys(place: string): string | undefined {
  return firstOf(['opencode.json', 'opencode.jsonc'], (file) => {
    const path = join(place, file);
    const text = textOf(path);
    const config = text === undefined ? undefined : (parse(text) as Record<string, unknown> | undefined);
    const key = ['plugin', 'plugins'].find((name) => hasEntries(config?.[name]));
    return key && `${key} in ${path}`;
  });
}

function hasEntries(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : value !== undefined;
}

function* withParents(directory: string, root = '/'): Generator<string> {
  for (let at = directory; ; at = dirname(at)) {
    yield at;
    if (at === root || at === dirname(at)) return;
  }
}

function firstOf<Item>(items: Iterable<Item>, find: (item: Item) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Undefined when it cannot be read. A look first: the error of a failed read, which nobody reads, costs ten times as much. */
function textOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function namesIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
