import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isManagerError } from '@opencode-manager/core/errors';
import { copyIndex } from '../create/repository.ts';
import { failure } from '../errors.ts';
import { readable } from '../git/bytes.ts';
import type { LeaseRecord } from '../keep/ledger.ts';
import { inObjects, scratchOf, type Part, type Run } from '../run.ts';
import type { Capture, LeftBehind, SubmoduleResult, TreeResult } from '../types.ts';
import { changedKeys, leftIn, sized, sourceState, type Before } from './before.ts';
import { commitTree, setRefs } from './commit.ts';
import { historyMark, takeHistory, type History } from './history.ts';
import type { Left } from './look.ts';
import { listChanges, writePatch } from './patch.ts';
import { directoryOf, isThere, ownedBy, stage, type Staged } from './stage.ts';

/** A lease with what its workspace is made of. */
export interface Leased {
  readonly record: LeaseRecord;
  readonly parts: readonly Part[];
  readonly before: Before;
}

/** What a workspace looked like when it was captured: it may be removed while it looks the same. */
export interface Standing {
  readonly read: readonly Staged[];
  readonly history: string;
}

export interface Taken {
  readonly capture: Omit<Capture, 'overlapsWith'>;
  readonly standing: Standing;
}

/** @throws `WORKSPACE_GONE` when the directory is not there, or something else is */
async function refuseGone({ record }: Pick<Leased, 'record'>): Promise<void> {
  if (await isThere(record.path)) return;
  throw failure('WORKSPACE_GONE', `The workspace of ${record.key}, ${record.path}, was removed or replaced.`, {
    key: record.key,
    path: record.path,
  });
}

/** What a git that was killed left locked is nobody's: nothing else of a lease happens at the same time. */
async function freshIndexes(parts: readonly Part[]): Promise<void> {
  for (const part of parts) {
    await rm(`${captureIndex(part)}.lock`, { force: true });
    await copyIndex(part.index, captureIndex(part));
  }
}

/** Reads the files of all parts into their indexes; after another reading, what changed since then alone. */
async function readParts(run: Run, { record, parts }: Leased, before?: readonly Staged[]): Promise<Staged[]> {
  const readPart = async (part: Part, n: number): Promise<Staged> => {
    // An agent has deleted a submodule: the tree above it tells so.
    if (!(await isThere(directoryOf(record.path, part)))) return { tree: gone, left: [], links: '' };
    return stage(run, part, record.path, ownedBy(part, parts), captureIndex(part), before?.[n]);
  };
  return Promise.all(parts.map(readPart));
}

/** Looks whether anything differs from what was captured; undefined when nothing does. */
export async function changeSince(run: Run, leased: Leased, { read, history }: Standing): Promise<'changed' | undefined> {
  const now = await readParts(run, leased, read);
  const isSame = describe(read) === describe(now) && history === (await historyMark(leased.parts));
  return isSame ? undefined : 'changed';
}

/** Whether an agent has left nothing that a ref would have to hold: no file differs, and no commit was made. */
export async function isUntouched(run: Run, leased: Leased): Promise<boolean> {
  const { parts, before } = leased;
  await freshIndexes(parts);
  const untouched = parts.map(({ base, gitlinks }) => ({ tree: base, left: [], links: JSON.stringify(gitlinks) }));
  const read = await readParts(run, leased, untouched);
  return describe(read) === describe(untouched) && (await historyMark(parts)) === before.history;
}

/** What is special is in the index at the first reading alone. */
function describe(read: readonly Staged[]): string {
  return JSON.stringify(
    read.map(({ tree, left }) => [tree, left.filter(({ reason }) => reason !== 'special').map(({ path, stamp }) => [path, stamp])]),
  );
}

const gone = 'gone';

function captureIndex(part: Part): string {
  return `${part.index}.capture`;
}

/** Takes the result of a lease: refs first, then the ledger, then the patch, which the refs can give again. */
export async function takeResult(run: Run, leased: Leased): Promise<Taken> {
  const { record, parts, before } = leased;
  await run.ledger.refuseGone();
  await refuseGone(leased);
  await freshIndexes(parts);
  const first = await readParts(run, leased);
  const history = await historyMark(parts);
  const read = await readParts(run, leased, first);
  if (describe(first) !== describe(read) || history !== (await historyMark(parts))) {
    const message = `Files of ${record.key} changed while its result was taken: something still writes in ${record.path}.`;
    throw failure('WORKSPACE_STILL_CHANGING', message, { key: record.key });
  }
  const left = await newlyLeft(run, leased, first);
  const results: SubmoduleResult[] = [];
  for (const [n, part] of parts.entries()) {
    const { tree } = read[n]!;
    if (tree === gone) continue;
    const { result, history: taken } = await partResult(run, record, part, tree);
    if (taken === undefined || taken.tooLarge) left.push({ path: join(part.path, '.git'), bytes: 0, reason: 'history', stamp: '' });
    if (result) results.push(result);
  }
  const [main, ...submodules] = results as [SubmoduleResult, ...SubmoduleResult[]];
  await run.ledger.append({ event: 'captured', id: record.id, commit: main.commit, tree: main.tree });
  const { path: _path, ...tree } = main;
  const sourceChanges = record.mode === 'worktree' ? changedKeys(before.source, await sourceState(run)) : [];
  const capture = { ...tree, leftBehind: left.map(leftBehind), submodules, sourceChanges };
  return { capture, standing: { read, history } };
}

/** What no tree has and was not there before, of all parts. */
async function newlyLeft(run: Run, { record, parts, before }: Leased, read: readonly Staged[]): Promise<Left[]> {
  const all: Left[] = [];
  for (const [n, part] of parts.entries()) {
    const { tree, left } = read[n]!;
    if (tree !== gone) all.push(...(await leftIn(run, part, record.path, captureIndex(part), left)));
  }
  return Promise.all(all.filter(({ path, stamp }) => before.stamps[path] !== stamp).map((one) => sized(record.path, one)));
}

function leftBehind({ path, bytes, reason }: Left): LeftBehind {
  return { path: readable(path).replace(/\/$/, ''), bytes, reason };
}

/** The result of one repository; none of a submodule that is as it was. */
async function partResult(
  run: Run,
  record: LeaseRecord,
  part: Part,
  tree: string,
): Promise<{ result: SubmoduleResult | undefined; history: History | undefined }> {
  const git = (await inObjects(run, part)).as('WORKSPACE_CAPTURE_FAILED');
  const history = await takeHistory(run, part, tree, scratchOf(run, record)).catch((error: unknown) => unreadable(run, record, error));
  const isSame = part.path !== '' && (await git.text(['rev-parse', `${part.base}^{tree}`])) === tree;
  if (isSame && history?.keeper === undefined && (history?.commits.length ?? 0) === 0) return { result: undefined, history };
  const commit = await commitTree(run, part, tree, [part.base], `${record.key}, attempt ${record.attempt}, run ${run.id}`);
  const historyRef = history?.keeper === undefined ? undefined : `${record.ref}.agent`;
  await setRefs(run, part, [[record.ref, commit], ...(historyRef === undefined ? [] : [[historyRef, history!.keeper!] as const])]);
  const patch = join(record.artifacts, part.path === '' ? 'patch.diff' : `patch.${encodeURIComponent(part.path)}.diff`);
  const isWritten = await writePatch(git, part.base, tree, patch, run.limits.patchBytes);
  const files = await listChanges(git, part.base, tree);
  const sum = (name: 'insertions' | 'deletions') => files.reduce((total, file) => total + (file[name] ?? 0), 0);
  const told: TreeResult = {
    baseCommit: part.base,
    tree,
    commit,
    ref: record.ref,
    repository: part.gitDir,
    patch: isWritten ? patch : undefined,
    truncated: !isWritten,
    filesChanged: files.length,
    insertions: sum('insertions'),
    deletions: sum('deletions'),
    files,
    commits: history?.commits ?? [],
    historyRef,
  };
  return { result: { ...told, path: part.path }, history };
}

/** An agent can damage its repository; its files count all the same. */
function unreadable(run: Run, record: LeaseRecord, error: unknown): undefined {
  if (!isManagerError(error, 'WORKSPACE_CAPTURE_FAILED')) throw error;
  run.note({ code: 'history_unreadable', key: record.key, message: `The commits of ${record.key} cannot be read: ${error.message}` });
  return undefined;
}
