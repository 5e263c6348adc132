import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readHead } from '../capture/agent-refs.ts';
import { beforeState, type Before } from '../capture/before.ts';
import { commitTree } from '../capture/commit.ts';
import { directoryOf, ownedBy, stage } from '../capture/stage.ts';
import { failure, unless } from '../errors.ts';
import { readable } from '../git/bytes.ts';
import type { Git } from '../git/git.ts';
import { isUnborn, resolveBase, type Base, type Source } from '../git/source.ts';
import type { LeaseRecord } from '../keep/ledger.ts';
import { pin } from '../keep/pins.ts';
import { removeTree } from '../keep/remove.ts';
import { inTree, scratchOf, type Part, type Run } from '../run.ts';
import type { SetupCommand } from '../types.ts';
import { copySource } from './copy.ts';
import { copyIncluded } from './include.ts';
import { checkOut, copyIndex, gitDirAt, isWhole, makeRepository, ownRepository, replaceRepository, settingsOfClone } from './repository.ts';
import { ignoredEntries, keepTemplate, runCommand, templateOf, useTemplate, type Place } from './setup.ts';
import { addSubmodules, findSubmodules, contentOf } from './submodules.ts';
import { addWorktree, isWholeMetadata, metadataOf, removeMetadata, underWorktreeLock } from './worktree.ts';

export interface Created {
  readonly parts: readonly Part[];
  readonly before: Before;
}

/** Setups that make a template just now, by its directory: the others wait for it. */
export type Templates = Map<string, Promise<void>>;

/** Makes a workspace, from nothing to the moment at which an agent may begin. */
export async function create(run: Run, lease: LeaseRecord, base: string, place: Place, templates: Templates): Promise<Created> {
  const scratch = scratchOf(run, lease);
  await mkdir(scratch, { recursive: true });
  await mkdir(join(run.root, 'workspaces'), { recursive: true });
  const commit = run.source && (await baseOf(run, run.source, lease, base));
  const parts = lease.mode === 'copy' ? await makeCopy(run, lease, commit, scratch) : await makeTree(run, lease, commit, scratch);
  const included = lease.mode !== 'copy' && (await copyIncluded(run, parts[0]!, lease.path, scratch));
  await mkdir(place.directory, { recursive: true });
  await setUp(run, lease, parts[0]!, place, commit?.lockFiles ?? [], templates);
  if (run.options.ready) await runCommand(run, place, 'ready', run.options.ready, 'WORKSPACE_NOT_READY');
  const before = await beforeState(run, lease, parts, isUntouched(run, lease, included));
  await writeFile(join(scratch, 'before.json'), JSON.stringify(before));
  return { parts, before };
}

/** A copy can be made of a repository without a commit too. */
async function baseOf(run: Run, source: Source, { mode }: LeaseRecord, name: string): Promise<Base | undefined> {
  if (mode === 'copy' && name === 'HEAD' && (await isUnborn(run.git, source))) return undefined;
  return readBase(run, source, name);
}

async function readBase(run: Run, source: Source, name: string): Promise<Base> {
  const resolved = await resolveBase(run.git, source, name);
  return { ...resolved, ...(await contentOf(run, source, resolved.commit)) };
}

/** Then there is nothing but what was checked out. */
function isUntouched({ options }: Run, { mode }: LeaseRecord, included: boolean): boolean {
  return mode !== 'copy' && !included && options.setup === undefined && options.ready === undefined;
}

async function setUp(
  run: Run,
  lease: LeaseRecord,
  part: Part,
  place: Place,
  lockFiles: readonly string[],
  templates: Templates,
): Promise<void> {
  const { setup } = run.options;
  if (!setup) return;
  const template = templateOf(run, lockFiles);
  const other = templates.get(template);
  const work = afterOther();
  // Of those that come at once the first makes the template; after it the others need none, or find that there is none.
  if (other === undefined)
    templates.set(
      template,
      work.catch(() => {}),
    );
  await work;

  async function afterOther(): Promise<void> {
    await other;
    if (setup?.template !== false && (await useTemplate(run, template, lease.path))) return;
    const git = (await inTree(run, part, lease.path, part.index)).as('WORKSPACE_CREATE_FAILED');
    await runSetup(run, git, lease, place, setup!, template);
  }
}

async function runSetup(run: Run, git: Git, lease: LeaseRecord, place: Place, setup: SetupCommand, template: string): Promise<void> {
  const before = new Set(await ignoredEntries(git));
  await runCommand(run, place, 'setup', setup, 'WORKSPACE_SETUP_FAILED');
  const changed = [
    ...(await git.list(['diff-files', '-z', '--name-only', '--ignore-submodules=all'])),
    ...(await git.list(['ls-files', '-z', '--others', '--exclude-standard'])),
  ].map(readable);
  if (changed.length > 0) {
    const message = `The setup changed files that are not ignored, so they stand in the patch: ${changed.slice(0, 5).join(', ')}.`;
    run.note({ code: 'setup_changed_files', key: lease.key, message });
  }
  // A directory that was there already may hold new things, and is no part of a template.
  const isTemplate = changed.length === 0 && ![...before].some((entry) => entry.endsWith('/'));
  if (setup.template === false || !isTemplate) return;
  await keepTemplate(
    run,
    template,
    lease.path,
    (await ignoredEntries(git)).filter((entry) => !before.has(entry)),
  );
}

async function makeTree(run: Run, lease: LeaseRecord, base: Base | undefined, scratch: string): Promise<Part[]> {
  const { source, store } = run;
  if (!source || !base)
    throw failure(
      'WORKSPACE_SOURCE_INVALID',
      `mode: ${lease.mode} needs a git repository, and ${run.top} is none. Use 'copy' or 'shared'.`,
    );
  await pin(run, store, base.commit);
  const index = indexIn(scratch)('');
  const isWorktree = lease.mode === 'worktree';
  const agentDir = isWorktree ? await makeWorktree(run, source, lease.path, base, index) : await makeClone(run, lease.path, base, index);
  const part: Part = {
    gitDir: store.gitDir,
    objects: store.objects,
    path: '',
    base: base.commit,
    gitlinks: [...base.gitlinks],
    agentDir,
    index,
  };
  return [part, ...(await addSubmodules(run, source.bare ? undefined : source.top, part, lease.path, indexIn(scratch)))];
}

/** How often a worktree is made that somebody else takes away meanwhile. */
const worktreeTries = 5;

/** Gives where the agent's git has its index. */
async function makeClone(run: Run, path: string, { commit, branch }: Base, index: string): Promise<string> {
  await makeRepository(run, run.store, path, { commit, branch, settings: settingsOfClone(run) });
  await checkOut(run, run.store, path, commit, index);
  await copyIndex(index, join(path, '.git', 'index'));
  return join(path, '.git');
}

/** A `prune` of somebody else that had looked before the worktree was locked takes what stands for it, while git says that all is well. */
async function makeWorktree(run: Run, { gitDir }: Source, path: string, { commit }: Base, index: string): Promise<string> {
  for (let attempt = 1; attempt <= worktreeTries; attempt += 1) {
    await addWorktree(run, gitDir, path, commit);
    const metadata = await metadataOf(gitDir, path);
    await checkOut(run, run.store, path, commit, index);
    if (metadata !== undefined) {
      await copyIndex(index, join(metadata, 'index')).catch(unless('ENOENT'));
      if (await isWholeMetadata(metadata)) return metadata;
    }
    await underWorktreeLock(gitDir, () => removeMetadata(gitDir, path));
    await removeTree(path);
  }
  throw failure(
    'WORKSPACE_CREATE_FAILED',
    `mode: another program keeps removing worktrees of ${gitDir} while they are made. Use 'clone', or end that program.`,
  );
}

function indexIn(scratch: string): (path: string) => string {
  return (path) => join(scratch, path === '' ? 'index' : `index.${encodeURIComponent(path)}`);
}

/** The base of a copy is what was copied, as a commit on top of the source's HEAD. */
async function makeCopy(run: Run, lease: LeaseRecord, head: Base | undefined, scratch: string): Promise<Part[]> {
  const gitFiles = await copySource(run, lease.path);
  // A `.git` file leads back to the user's repository, and so would whatever the agent does. Worktrees of the user's are not the copy's.
  for (const directory of gitFiles) await ownRepository(run, lease.path, directory);
  if (run.source && !run.source.bare) await separateCopy(run, run.source, lease.path);
  const { gitDir, objects } = run.store;
  const gitlinks = [...(head?.gitlinks ?? [])];
  const top: Part = {
    gitDir,
    objects,
    path: '',
    base: head?.commit ?? '',
    gitlinks,
    agentDir: join(lease.path, '.git'),
    index: indexIn(scratch)(''),
  };
  const parts = await snapshot(run, lease, top, run.top, indexIn(scratch));
  if (!run.source) {
    await makeRepository(run, run.store, lease.path, { commit: parts[0]!.base, branch: 'refs/heads/main', settings: [] });
    await copyIndex(top.index, join(top.agentDir, 'index'));
  }
  return parts;
}

/** Gives a copy a repository that is all its own: the copied one, unless it leads out of the copy. */
async function separateCopy(run: Run, source: Source, copy: string): Promise<void> {
  if (await isWhole(copy)) await detachCopy(source, join(copy, '.git'));
  else await replaceRepository(run, source.headDir, copy);
}

/**
 * Takes out of a copied git directory what is not the copy's: worktrees of the user's, our own notes, a lock of the moment. An object that was
 * written while the others were copied is found in the source.
 */
async function detachCopy({ objects }: Source, gitDir: string): Promise<void> {
  for (const name of ['worktrees', 'ocm', 'index.lock']) await rm(join(gitDir, name), { recursive: true, force: true });
  await mkdir(join(gitDir, 'objects', 'info'), { recursive: true });
  await appendFile(join(gitDir, 'objects', 'info', 'alternates'), `${objects}\n`);
}

/** Commits what a copy holds, the submodules first; gives the parts with that as base. */
async function snapshot(run: Run, lease: LeaseRecord, part: Part, top: string, indexOf: (path: string) => string): Promise<Part[]> {
  const below: Part[] = [];
  for (const { path, commit, store } of await findSubmodules(run, top, part)) {
    if (store === undefined) continue;
    const full = join(part.path, path);
    const agentDir = (await gitDirAt(join(lease.path, full))) ?? join(lease.path, full, '.git');
    const base = (await readHead(agentDir)) ?? commit;
    const gitlinks = [...(await contentOf(run, store, base)).gitlinks];
    below.push(
      ...(await snapshot(run, lease, { ...store, path: full, base, gitlinks, agentDir, index: indexOf(full) }, join(top, path), indexOf)),
    );
  }
  const git = (await inTree(run, part, directoryOf(lease.path, part), part.index)).as('WORKSPACE_CREATE_FAILED');
  await git.run(['read-tree', part.base === '' ? '--empty' : part.base]);
  const { tree } = await stage(run, part, lease.path, ownedBy(part, [part, ...below]), part.index);
  const isSame = part.base !== '' && (await git.text(['rev-parse', `${part.base}^{tree}`])) === tree;
  const base = isSame
    ? part.base
    : await commitTree(run, part, tree, part.base === '' ? [] : [part.base], `What was copied for ${lease.key}`);
  await pin(run, part, base);
  return [{ ...part, base }, ...below];
}
