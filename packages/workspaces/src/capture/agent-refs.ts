import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Of an agent's repository files are read here, and no git is started in it: its configuration counts for nothing. */
const hash = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** The commit of HEAD; undefined when there is none, or no repository. */
export async function readHead(gitDir: string): Promise<string | undefined> {
  const head = await firstLine(join(gitDir, 'HEAD'));
  if (hash.test(head)) return head;
  const name = /^ref: (refs\/.+)$/.exec(head)?.[1];
  if (name === undefined || name.includes('..')) return undefined;
  const common = await commonDir(gitDir);
  const loose = await firstLine(join(common, name));
  return hash.test(loose) ? loose : (await packedRefs(common)).get(name);
}

/** What an agent may have left in a repository of its own: HEAD, branches, tags, stashes, and where HEAD has been. By name, the first name wins. */
export async function readTips(gitDir: string): Promise<Map<string, string>> {
  const tips = new Map<string, string>();
  const add = (commit: string | undefined, name: string) => {
    if (commit !== undefined && hash.test(commit) && !tips.has(commit)) tips.set(commit, name);
  };
  add(await readHead(gitDir), 'HEAD');
  // The refs of a linked worktree are the source's, and stay there.
  if ((await commonDir(gitDir)) === gitDir) {
    for (const [name, commit] of await looseRefs(gitDir, 'refs')) add(commit, name);
    for (const [name, commit] of await packedRefs(gitDir)) if (!name.startsWith('refs/remotes/')) add(commit, name);
    for (const commit of await loggedCommits(join(gitDir, 'logs', 'refs', 'stash'))) add(commit, 'refs/stash');
    for (const [name, commit] of await worktreeHeads(gitDir)) add(commit, name);
  }
  for (const commit of await loggedCommits(join(gitDir, 'logs', 'HEAD'))) add(commit, 'HEAD@{before}');
  return tips;
}

/** Of worktrees that the agent added to its repository. */
async function worktreeHeads(gitDir: string): Promise<[string, string | undefined][]> {
  const names = await readdir(join(gitDir, 'worktrees')).catch(() => []);
  return Promise.all(
    names.map(async (name): Promise<[string, string | undefined]> => [
      `worktrees/${name}/HEAD`,
      await readHead(join(gitDir, 'worktrees', name)),
    ]),
  );
}

async function commonDir(gitDir: string): Promise<string> {
  const named = await firstLine(join(gitDir, 'commondir'));
  return named === '' ? gitDir : join(gitDir, named);
}

async function looseRefs(gitDir: string, path: string): Promise<[string, string][]> {
  const entries = await readdir(join(gitDir, path), { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry): Promise<[string, string][]> => {
      const name = `${path}/${entry.name}`;
      if (name === 'refs/remotes') return [];
      if (entry.isDirectory()) return looseRefs(gitDir, name);
      return entry.isFile() ? [[name, await firstLine(join(gitDir, name))]] : [];
    }),
  );
  return found.flat();
}

async function packedRefs(gitDir: string): Promise<Map<string, string>> {
  const text = await readFile(join(gitDir, 'packed-refs'), 'utf8').catch(() => '');
  const lines = Array.from(text.matchAll(/^([0-9a-f]{40,64}) (refs\/.+)$/gm), ([, commit = '', name = '']) => [name, commit] as const);
  return new Map(lines);
}

/** The newest 200 commits of a reflog. */
async function loggedCommits(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return Array.from(text.matchAll(/^[0-9a-f]+ ([0-9a-f]+) /gm), ([, commit = '']) => commit).slice(-200);
}

async function firstLine(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).split('\n', 1)[0]!;
}
