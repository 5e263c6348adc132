import { relative } from 'node:path';
import { OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { MessageWithParts, SessionInfo } from '../protocol/index.ts';
import { isInFamily, type FamilyContext } from './family.ts';
import { openSnapshots } from './snapshot-repository.ts';
import type { DirectorySnapshot, SessionOperations } from './types.ts';

export interface RevertContext extends FamilyContext {
  /** The state directory of the server, which holds the snapshots. */
  readonly stateDir: string;
  /** Root of the worktree that a directory is in; undefined outside git. */
  worktreeOf(directory: string): Promise<string | undefined>;
  /** Sessions of all directories of a directory's project. */
  projectSessions(directory: string, options?: CallOptions): Promise<readonly SessionInfo[]>;
  snapshot(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
}

export interface RevertPlan {
  readonly operations: SessionOperations;
  readonly messageId: string;
  /** The whole history of the session. */
  readonly messages: readonly MessageWithParts[];
  /** Root of the session's worktree. */
  readonly worktree: string;
}

/**
 * One step of a turn: the snapshots at its begin and end, and the files that changed in between, whoever changed them. A step that
 * was aborted has no snapshot of its end.
 */
interface Step {
  readonly before: string;
  readonly after: string | undefined;
  readonly files: readonly string[];
}

/**
 * Refuses a revert that would take back work of others. A step's patch holds whatever changed in the worktree while the step ran,
 * so another session's turn counts by its time; what changed between steps and after the last is seen in the files.
 * @throws `REVERT_CONFLICT` with `sessions` and `files` in its details
 */
export async function assertRevertSafe(context: RevertContext, plan: RevertPlan, options?: CallOptions): Promise<void> {
  const { operations, messageId, messages, worktree } = plan;
  const { revertedTo } = await operations.info(options);
  const from = messages.findIndex(({ info }) => info.id === messageId);
  // What an earlier revert took back is not taken back again.
  const until = messages.findIndex(({ info }) => info.id === revertedTo);
  const taken = messages.slice(from, until === -1 ? undefined : Math.max(from, until));
  const steps = stepsOf(taken, worktree);
  if (steps.every(({ files }) => files.length === 0)) return;
  const sessions = await sessionsSince(context, plan, messages[from]!.info.createdAtMs, options);
  const files = await changedFiles(context, worktree, steps);
  if (sessions.length > 0 || files.length > 0) throw conflict(messageId, sessions, files);
}

function stepsOf(messages: readonly MessageWithParts[], worktree: string): Step[] {
  return messages.flatMap(({ parts }) => {
    const before = parts.findLast((part) => part.type === 'step')?.snapshot;
    const after = parts.findLast((part) => part.type === 'step_end')?.snapshot;
    const files = parts.flatMap((part) => (part.type === 'patch' ? part.files.map((file) => relative(worktree, file)) : []));
    return before === undefined ? [] : [{ before, after, files }];
  });
}

/** Other sessions that had a turn in the worktree at or after a time; sub-agents of this one are part of its turns. */
async function sessionsSince(
  context: RevertContext,
  { operations, worktree }: RevertPlan,
  sinceMs: number,
  options?: CallOptions,
): Promise<SessionInfo[]> {
  const all = await context.projectSessions(operations.directory, options);
  const roots = await Promise.all(all.map(({ directory }) => context.worktreeOf(directory).catch(() => undefined)));
  const there = all.filter((_, index) => roots[index] === worktree);
  const worked = await Promise.all(
    there.map(async (info) => {
      if (info.updatedAtMs < sinceMs || (await isInFamily(context, operations, info.id, options))) return false;
      return (await lastWorkedAtMs(context, info, options)) >= sinceMs;
    }),
  );
  return there.filter((_, index) => worked[index]);
}

/** A fork starts with copies of messages, which are older than itself: they are not its work. */
async function lastWorkedAtMs(context: RevertContext, { id, directory, createdAtMs }: SessionInfo, options?: CallOptions): Promise<number> {
  const { status } = await context.snapshot(directory, options);
  if (status[id] !== undefined) return Infinity;
  const newest = (await context.operationsOf(id, directory).messages({ limit: 1 }, options)).at(-1)?.info;
  if (!newest || newest.createdAtMs < createdAtMs) return -Infinity;
  return (newest.role === 'assistant' ? newest.completedAtMs : undefined) ?? newest.createdAtMs;
}

/** Files that the revert would change and that are not as the session's own steps left them. */
async function changedFiles({ stateDir }: RevertContext, worktree: string, steps: readonly Step[]): Promise<string[]> {
  const last = steps.findLast(({ after }) => after !== undefined)?.after;
  if (last === undefined) return [];
  const snapshots = await openSnapshots(stateDir, worktree, last);
  // Nobody can say what was changed.
  if (!snapshots) return [...new Set(steps.flatMap(({ files }) => files))].toSorted();
  const changed = new Set<string>();
  // Files of which it is known how the steps so far left them: not those that a step changed which has no end.
  const known = new Set<string>();
  let left: string | undefined;
  for (const { before, after, files } of steps) {
    if (left !== undefined) for (const file of await snapshots.changedBetween(left, before)) if (known.has(file)) changed.add(file);
    for (const file of files)
      if (after === undefined) known.delete(file);
      else known.add(file);
    left = after ?? left;
  }
  for (const file of await snapshots.changedSince(last, [...known])) changed.add(file);
  return [...changed].toSorted();
}

/** Most names that the message lists; the details have all. */
const namesInMessage = 5;

function conflict(messageId: string, sessions: readonly SessionInfo[], files: readonly string[]): OpencodeManagerError {
  const list = (all: readonly string[]) =>
    all.slice(0, namesInMessage).join(', ') + (all.length > namesInMessage ? `, and ${all.length - namesInMessage} more` : '');
  const reasons = [
    ...(sessions.length > 0
      ? [`other sessions worked in this worktree since (${list(sessions.map(({ id, title }) => `${id} "${title}"`))})`]
      : []),
    ...(files.length > 0 ? [`files were changed since (${list(files)})`] : []),
  ];
  return new OpencodeManagerError(
    'REVERT_CONFLICT',
    `A revert to before ${messageId} would take back work of others: ${reasons.join('; ')}. Nothing was changed; force: true reverts all the same.`,
    { details: { messageId, sessions: sessions.map(({ id, title }) => ({ id, title })), files } },
  );
}
