import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'jsonc-parser';
import { OpencodeManagerError } from '../errors/index.ts';
import { shareReads } from './shared-reads.ts';

/** The nearest directory at or above `directory` that has a `.git`; undefined outside git. */
export async function repositoryRoot(directory: string): Promise<string | undefined> {
  for (const candidate of withParents(directory)) if (await exists(join(candidate, '.git'))) return candidate;
  return undefined;
}

/** Many sessions begin in one directory at once, and each look at it is a dozen calls of the file system. */
const lookForPlugins = shareReads(findPlugins);
const readInstructions = shareReads(findInstructions);

/**
 * Refuses a workspace that carries opencode plugins: `.opencode/plugin(s)/*` files, or `plugin`/`plugins` keys of an
 * opencode configuration, in the directory or above it up to the repository's root (outside git up to `/`). opencode
 * imports them into the server on the first prompt, and no switch of it stops that.
 * @throws `WORKSPACE_UNTRUSTED` naming what was found
 */
export async function refuseUntrustedWorkspace(directory: string): Promise<void> {
  const found = await lookForPlugins(directory);
  if (found === undefined) return;
  throw new OpencodeManagerError(
    'WORKSPACE_UNTRUSTED',
    `directory: ${directory} carries opencode plugins (${found}), which would run as code inside the server. Remove them, or set projectConfig to 'all' when you trust this workspace.`,
    { details: { directory, found } },
  );
}

async function findPlugins(directory: string): Promise<string | undefined> {
  const root = await repositoryRoot(directory);
  const found = await Promise.all([...withParents(directory, root)].map(pluginsAt));
  return found.find((plugins) => plugins !== undefined);
}

/** Every task begins with this look, and most places have none of it: what is not there is not looked into. */
async function pluginsAt(place: string): Promise<string | undefined> {
  const folder = join(place, '.opencode');
  const hasFolder = await exists(folder);
  const [files, ...keys] = await Promise.all([
    hasFolder ? pluginFiles(folder) : undefined,
    ...[place, ...(hasFolder ? [folder] : [])].map(pluginKeys),
  ]);
  return files ?? keys.find((found) => found !== undefined);
}

/** The AGENTS.md files from the repository's root down to the directory (outside git the directory's own alone), as one text. */
export function workspaceInstructions(directory: string): Promise<string | undefined> {
  return readInstructions(directory);
}

async function findInstructions(directory: string): Promise<string | undefined> {
  const root = await repositoryRoot(directory);
  const places = root === undefined ? [directory] : [...withParents(directory, root)].toReversed();
  const texts = await Promise.all(places.map(instructionsOf));
  const found = texts.filter((text) => text !== undefined);
  return found.length === 0 ? undefined : found.join('\n\n');
}

async function instructionsOf(place: string): Promise<string | undefined> {
  const path = join(place, 'AGENTS.md');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined || text.trim() === '' ? undefined : `Instructions from: ${path}\n${text}`;
}

async function pluginFiles(folder: string): Promise<string | undefined> {
  for (const name of ['plugin', 'plugins']) {
    const path = join(folder, name);
    const names = await readdir(path).catch(() => []);
    const plugin = names.find((file) => /\.[cm]?[jt]sx?$/.test(file));
    if (plugin !== undefined) return join(path, plugin);
  }
  return undefined;
}

async function pluginKeys(place: string): Promise<string | undefined> {
  for (const file of ['opencode.json', 'opencode.jsonc']) {
    const path = join(place, file);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const config = parse(text) as Record<string, unknown> | undefined;
    for (const key of ['plugin', 'plugins']) if (hasEntries(config?.[key])) return `${key} in ${path}`;
  }
  return undefined;
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

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
