import { join } from 'node:path';
import { readable } from '../git/bytes.ts';
import { readTree, type Store, type TreeContent } from '../git/source.ts';
import { settingsIn } from '../git/user-settings.ts';
import { inObjects, inStore, type Part, type Run } from '../run.ts';
import { pin } from '../keep/pins.ts';
import { checkOut, copyIndex, gitDirAt, makeRepository } from './repository.ts';

/** A submodule of a commit, with the repository that the source has of it. */
interface Found {
  readonly path: string;
  readonly commit: string;
  readonly store: Store | undefined;
}

/**
 * Checks out the submodules that the source has checked out, each as a repository that shares the objects of the source's; nothing is
 * fetched. The others stay empty, as they are in the source, and are told. Deeper ones follow theirs.
 */
export async function addSubmodules(
  run: Run,
  top: string | undefined,
  parent: Part,
  workspace: string,
  indexOf: (path: string) => string,
): Promise<Part[]> {
  const parts: Part[] = [];
  for (const found of await findSubmodules(run, top, parent)) {
    const path = join(parent.path, found.path);
    const { store, commit } = found;
    if (store === undefined) {
      run.note({
        code: 'submodule_left_empty',
        message: `The submodule ${path} is empty in workspaces: the source has no copy of ${commit}.`,
      });
      continue;
    }
    const directory = join(workspace, path);
    const part: Part = {
      ...store,
      path,
      base: commit,
      index: indexOf(path),
      agentDir: join(directory, '.git'),
      gitlinks: [...(await contentOf(run, store, commit)).gitlinks],
    };
    await pin(run, store, commit);
    await makeRepository(run, store, directory, { commit, settings: [] });
    await checkOut(run, store, directory, commit, part.index);
    await copyIndex(part.index, join(part.agentDir, 'index'));
    parts.push(part, ...(await addSubmodules(run, top && join(top, found.path), part, workspace, indexOf)));
  }
  return parts;
}

/** The submodules of a commit; `top` is where the source has that commit's files. */
export async function findSubmodules(
  run: Run,
  top: string | undefined,
  parent: Pick<Part, 'gitDir' | 'objects' | 'base' | 'gitlinks'>,
): Promise<Found[]> {
  if (parent.gitlinks.length === 0) return [];
  const names = await namesOf(run, parent);
  return Promise.all(
    parent.gitlinks.map(async ([bytes, commit]) => {
      const path = readable(bytes);
      const there = top === undefined ? undefined : await gitDirAt(join(top, path));
      const name = names.get(path);
      const candidates = [there, name === undefined ? undefined : join(parent.gitDir, 'modules', name)];
      return { path, commit, store: await firstWith(run, commit, candidates) };
    }),
  );
}

async function namesOf(run: Run, { gitDir, objects, base }: Pick<Part, 'gitDir' | 'objects' | 'base'>): Promise<Map<string, string>> {
  const git = await inStore(run, { gitDir, objects });
  const { stdout, exitCode } = await git.run(['config', '--blob', `${base}:.gitmodules`, '--list', '-z'], { accept: [0, 1, 128] });
  const paths = exitCode === 0 ? settingsIn(readable(stdout)).filter(([key]) => /^submodule\..*\.path$/.test(key)) : [];
  const named = paths.map(([key, path]) => [path, key.slice('submodule.'.length, -'.path'.length)] as const);
  // The name becomes a path.
  return new Map(named.filter(([, name]) => !name.split('/').includes('..')));
}

async function firstWith(run: Run, commit: string, gitDirs: readonly (string | undefined)[]): Promise<Store | undefined> {
  for (const gitDir of gitDirs) {
    if (gitDir === undefined) continue;
    const git = run.git.at({ GIT_DIR: gitDir });
    const { exitCode } = await git.run(['cat-file', '-e', `${commit}^{commit}`], { accept: [0, 1, 128] });
    if (exitCode !== 0) continue;
    const asked = ['rev-parse', '--path-format=absolute', '--git-common-dir', '--git-path', 'objects'];
    const [common = '', objects = ''] = (await git.text(asked)).split('\n');
    return { gitDir: common, objects };
  }
  return undefined;
}

/** What a commit of a store says; read once. */
export async function contentOf(run: Run, store: Store, commit: string): Promise<TreeContent> {
  const known = run.contents.get(commit) ?? inObjects(run, store).then((git) => readTree(git, commit));
  run.contents.set(commit, known);
  known.catch(() => run.contents.delete(commit));
  return known;
}
