import type { Stats } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { agentFileAt, configFileNames, templateAt } from '../config/index.ts';
import { userHome } from '../process/user.ts';
import { orUndefined, reasonOf } from './workspace/read-file.ts';

/** What came of the copy of a configuration directory. */
export interface CopiedDirectory {
  /** Models that the front matter of agents, modes and commands names. */
  readonly models: readonly string[];
  /** What was left out; sentences. */
  readonly notes: readonly string[];
}

/** Configuration itself is read and joined apart from the copy. */
const leftOut = new Set<string>([...configFileNames, '.git']);

/** Files that are copied at a time. */
const batchSize = 32;

/**
 * Copies a user's configuration directory (agents, commands, plugins, skills) into the state; opencode writes into the directory that it
 * is given. Links are followed. What nobody could read (a link to nothing, a FIFO, a directory that leads back into itself) is left out
 * and told. What an earlier start copied and the user has removed since goes.
 */
export async function copyConfigDirectory(source: string | undefined, target: string): Promise<CopiedDirectory> {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true, mode: 0o700 });
  if (source === undefined) return { models: [], notes: [] };
  const copy: Copy = { notes: [], texts: [] };
  await copyEntries({ from: source, to: target, above: [] }, copy);
  const models = await Promise.all(copy.texts.map(({ path, kind }) => resolveText(path, kind)));
  return { models: models.flat(), notes: copy.notes };
}

interface Copy {
  readonly notes: string[];
  /** Markdown files that opencode reads as configuration. */
  readonly texts: { readonly path: string; readonly kind: TextKind }[];
}

type TextKind = 'agent' | 'command';

interface Step {
  readonly from: string;
  readonly to: string;
  /** Real paths of the directories that lead here. */
  readonly above: readonly string[];
  /** What the files here are for. */
  readonly kind?: TextKind;
}

const kinds: Readonly<Record<string, TextKind>> = {
  agent: 'agent',
  agents: 'agent',
  mode: 'agent',
  modes: 'agent',
  command: 'command',
  commands: 'command',
};

async function copyEntries({ from, to, above, kind }: Step, copy: Copy): Promise<void> {
  const own = await realpath(from);
  const names = (await readdir(from)).filter((name) => above.length > 0 || !leftOut.has(name));
  for (let at = 0; at < names.length; at += batchSize) {
    await Promise.all(
      names.slice(at, at + batchSize).map((name) => {
        const inner = kind ?? (above.length === 0 ? kinds[name] : undefined);
        return copyEntry({ from: join(from, name), to: join(to, name), above: [...above, own], ...(inner && { kind: inner }) }, copy);
      }),
    );
  }
}

async function copyEntry(step: Step, copy: Copy): Promise<void> {
  const { from, to, above, kind } = step;
  const why = await copyKnown(step, copy).catch((error: unknown) => {
    // The state directory is full or gone: that is no matter of the entry.
    if (['ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return reasonOf(error);
  });
  if (why !== undefined) copy.notes.push(`opencodeConfigDir: ${from} ${why}; it was left out`);
  else if (kind !== undefined && from.endsWith('.md') && above.length > 1) copy.texts.push({ path: to, kind });
}

/** Gives why an entry was not copied. */
async function copyKnown(step: Step, copy: Copy): Promise<string | undefined> {
  const { from, to, above } = step;
  const stats = await stat(from);
  if (stats.isDirectory()) {
    if ((await lstat(from)).isSymbolicLink() && above.includes(await realpath(from))) return 'leads back to a directory above it';
    await mkdir(to, { recursive: true, mode: 0o700 });
    await copyEntries(step, copy);
    return undefined;
  }
  if (!stats.isFile()) return `is not a regular file (${specialKind(stats)})`;
  await copyFile(from, to);
  // A file that its owner may not write could not be replaced at the next start.
  await chmod(to, (stats.mode & 0o700) | 0o600);
  return undefined;
}

function specialKind(stats: Stats): string {
  if (stats.isFIFO()) return 'FIFO';
  return stats.isSocket() ? 'socket' : 'device';
}

/** Gives an agent's or command's paths the meaning that they have for the user; tells the models that it names. */
async function resolveText(path: string, kind: TextKind): Promise<string[]> {
  const text = await orUndefined(readFile(path, 'utf8'));
  const home = userHome();
  if (text === undefined) return [];
  const own = home === undefined ? text : kind === 'agent' ? agentFileAt(text, home) : templateAt(text, home);
  if (own !== text) await writeFile(path, own);
  const frontMatter = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1] ?? '';
  const model = /^model:\s*["']?([^\s"']+)/m.exec(frontMatter)?.[1];
  return model === undefined ? [] : [model];
}
