import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentReader, FileContent } from './content.ts';
import { orUndefined, reasonOf, throwIfExhausted } from './read-file.ts';

/** What opencode would load from one directory: `opencode.json(c)` and what stands below `.opencode`. */
export interface PlaceSurvey {
  /** Path to what stands there: its kind, its content's hash, its target. What is missing is absent. */
  readonly entries: ReadonlyMap<string, string>;
  /** Plugins: code that opencode would load into the server. */
  readonly plugins: readonly string[];
  /** Configuration files with references. */
  readonly references: readonly string[];
  /** Files that opencode would read and nobody should: it would wait for a FIFO for ever, and the turn with it. */
  readonly unreadable: readonly string[];
  /** What was not looked at. */
  readonly notes: readonly string[];
  /** True when there was more than is looked at: which entries are missing tells nothing then. */
  readonly truncated: boolean;
}

/** Bounds of one place; a note says what lies beyond. Plugins are looked for apart from them, so that none hides there. */
const limits = { entries: 5000, depth: 16 } as const;

/** Below `.opencode`: packages, which plugins and tools alone load; what opencode writes itself; plans, which agents write. */
const passedOver = new Set(['node_modules', 'plans', '.gitignore']);

const configNames = ['opencode.json', 'opencode.jsonc'] as const;

/** From where below `.opencode` it reads the rest. */
const loaded = /\/\.opencode\/(?:plugin|tool|agent|command|mode|skill)s?\//;

interface Findings {
  readonly folder: string;
  /** Where opencode looks for configuration files: beside the folder and in it. */
  readonly configs: readonly string[];
  readonly read: ContentReader;
  readonly entries: Map<string, string>;
  readonly plugins: string[];
  readonly references: string[];
  readonly unreadable: string[];
  readonly notes: Set<string>;
  truncated: boolean;
}

/** Where the walk is. `above`: the directories that lead here, by device and inode; a link may lead back to one of them. */
interface Position {
  readonly path: string;
  readonly above: readonly string[];
}

/** Looks at one directory. Never throws. */
export async function surveyPlace(place: string, read: ContentReader): Promise<PlaceSurvey> {
  const folder = join(place, '.opencode');
  const configs = [place, folder].flatMap((directory) => configNames.map((name) => join(directory, name)));
  const lists = { entries: new Map(), plugins: [], references: [], unreadable: [], notes: new Set<string>() };
  const found: Findings = { folder, configs, read, ...lists, truncated: false };
  const [own] = await Promise.all([orUndefined(lstat(folder)), ...configs.slice(0, 2).map((path) => visitFile(path, found))]);
  // Most places have none.
  if (own) await visitFolder(found);
  const { entries, plugins, references, unreadable, notes, truncated } = found;
  return { entries, plugins, references, unreadable, notes: [...notes], truncated };
}

async function visitFolder(found: Findings): Promise<void> {
  const { folder, configs, plugins } = found;
  // First what can name or be a plugin: none hides behind the bounds.
  await Promise.all(configs.slice(2).map((path) => visitFile(path, found)));
  const files = await Promise.all(['plugin', 'plugins'].map((name) => pluginFiles(join(folder, name))));
  plugins.push(...files.flat());
  await visit({ path: folder, above: [] }, found);
}

async function pluginFiles(path: string): Promise<string[]> {
  const names = (await orUndefined(readdir(path))) ?? [];
  return names.filter((file) => /\.[cm]?[jt]sx?$/.test(file)).map((file) => join(path, file));
}

async function visit({ path, above }: Position, found: Findings): Promise<void> {
  const own = await orUndefined(lstat(path));
  if (!own) return;
  const stats = own.isSymbolicLink() ? await orUndefined(stat(path)) : own;
  if (!stats?.isDirectory()) return visitFile(path, found);
  const link = own.isSymbolicLink() ? `link ${(await orUndefined(readlink(path))) ?? ''}, ` : '';
  const identity = `${stats.dev}:${stats.ino}`;
  if (!add(path, `${link}directory`, found) || above.includes(identity)) return;
  if (above.length >= limits.depth) {
    found.notes.add(`${found.folder} is more than ${limits.depth} directories deep; what lies below that is not compared`);
    return;
  }
  await visitDirectory({ path, above: [...above, identity] }, found);
}

async function visitDirectory({ path, above }: Position, found: Findings): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throwIfExhausted(error);
    found.notes.add(`${path} ${reasonOf(error)}; it is not compared`);
    return [];
  });
  const wanted = entries.filter(({ name }) => path !== found.folder || !passedOver.has(name));
  for (const batch of batches(wanted, 32)) {
    await Promise.all(
      batch.map((entry) => {
        const inner = join(path, entry.name);
        return entry.isFile() ? visitFile(inner, found) : visit({ path: inner, above }, found);
      }),
    );
  }
}

async function visitFile(path: string, found: Findings): Promise<void> {
  const seen = await found.read(path);
  if (!seen || seen.kind === 'missing' || !add(path, seen.print, found)) return;
  if (seen.pluginKey !== undefined && found.configs.includes(path)) found.plugins.push(`${seen.pluginKey} in ${path}`);
  if (seen.hasReferences === true && found.configs.includes(path)) found.references.push(path);
  if (path === join(found.folder, 'package.json')) await visitPackages(seen.packages ?? [], found);
  const why = whyUnreadable(path, seen, found);
  if (why !== undefined) found.unreadable.push(`${path} ${why}`);
  else if (seen.kind === 'dangling' || seen.kind === 'unreachable') found.notes.add(`${path} ${seen.why}; opencode cannot read it either`);
  else if (seen.kind === 'foreign') found.notes.add(`${path} ${seen.why}; it is not compared`);
}

/** What was seen of opencode: with such a thing in the place of its configuration a turn never ends, and a FIFO keeps one of its few threads. */
function whyUnreadable(path: string, { kind, why }: FileContent, { folder, configs }: Findings): string | undefined {
  if (kind === 'dangling') return undefined;
  if (path === folder) return why ?? 'is not a directory';
  if (configs.includes(path)) return why;
  return kind === 'foreign' && loaded.test(path) ? why : undefined;
}

/** What the packages of `.opencode` are: their manifests stand for them. */
async function visitPackages(names: readonly string[], found: Findings): Promise<void> {
  await Promise.all(names.map((name) => visitFile(join(found.folder, 'node_modules', name, 'package.json'), found)));
}

function add(path: string, print: string, found: Findings): boolean {
  if (found.entries.size >= limits.entries) {
    found.truncated = true;
    found.notes.add(`${found.folder} has more than ${limits.entries} entries; the rest is not compared`);
    return false;
  }
  found.entries.set(path, print);
  return true;
}

function* batches<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}
