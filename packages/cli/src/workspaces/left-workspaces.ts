import { isManagerError, toManagerError } from '@opencode-manager/core';
import { findLeftWorkspaces, recoverLeftWorkspaces, type LeftRun } from '@opencode-manager/workspaces';
import { plural } from '../render/index.ts';

export interface LeftFinding {
  readonly status: 'ok' | 'note' | 'failed';
  readonly detail: string;
}

/** What runs left of a repository; with `reap` dead ones are brought to their end: results go to refs, then the workspaces go. */
export async function leftWorkspaces(directory: string, reap: boolean): Promise<LeftFinding[]> {
  let left: readonly LeftRun[];
  try {
    left = await findLeftWorkspaces(directory);
  } catch (error) {
    // Without git there is none.
    return [{ status: isManagerError(error, 'GIT_UNUSABLE') ? 'note' : 'failed', detail: toManagerError(error).message }];
  }
  const leases = left.flatMap((run) => run.leases);
  const kept = leases.filter(({ state }) => state === 'kept').map(({ path }) => path);
  const dead = left.filter(({ isGone, leases: own }) => isGone || own.length === 0 || own.some(({ state }) => state !== 'kept'));
  const findings: LeftFinding[] = [];
  if (kept.length > 0)
    findings.push({ status: 'note', detail: `kept: ${kept.join(', ')}. Look at them; remove them with: ocm clean --keep-results` });
  if (dead.length === 0) return findings;
  const what = `${plural(dead.length, 'dead run')} left ${plural(leases.length - kept.length, 'workspace')} of ${directory}`;
  const ask: LeftFinding = { status: 'failed', detail: `${what}. Take their results and remove them with: ocm doctor --reap` };
  return [...findings, reap ? await recovered(directory, what, kept) : ask];
}

async function recovered(directory: string, what: string, kept: readonly string[]): Promise<LeftFinding> {
  const ends = (await recoverLeftWorkspaces(directory)).flatMap((run) => run.leases);
  const stays = ends.filter(({ outcome, path }) => outcome === 'kept' && !kept.includes(path));
  const refs = ends.filter(({ outcome }) => outcome === 'removed').flatMap(({ ref }) => ref ?? []);
  const taken = refs.length === 0 ? '' : `; results: ${refs.join(', ')}`;
  if (stays.length === 0) return { status: 'ok', detail: `${what}; removed${taken}` };
  const reasons = stays.map(({ path, reason }) => `${path} (${reason})`).join(', ');
  return { status: 'failed', detail: `${what}; these stay: ${reasons}${taken}` };
}
