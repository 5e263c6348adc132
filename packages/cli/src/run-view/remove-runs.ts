import { stat } from 'node:fs/promises';
import { toManagerError } from '@opencode-manager/core/errors';
import { removeRun, type RunRemains } from '@opencode-manager/runs';
import { bytesIn, cleanRun, findFinishedRuns, isPartOf, type CleanedRun, type FinishedRun } from '@opencode-manager/workspaces';
import type { CleanFlags } from '../flags.ts';

/** A run directory, with what its run has in repositories. */
export interface RemainingRun {
  readonly remains: RunRemains;
  readonly bytes: number;
  readonly parts: readonly { readonly repository: string; readonly part: FinishedRun }[];
}

export interface RemovedRun extends RemainingRun {
  readonly isRemoved: boolean;
  readonly stays: CleanedRun['stays'];
}

/** What runs have left in repositories; each repository is looked at once. */
export class Repositories {
  readonly #found = new Map<string, Promise<FinishedRun[]>>();

  finishedRuns(repository: string): Promise<FinishedRun[]> {
    const found = this.#found.get(repository) ?? findFinishedRuns(repository);
    this.#found.set(repository, found);
    return found;
  }

  /** A run works in the repositories whose commits it began with. */
  async rest(remains: RunRemains, repository: string): Promise<RemainingRun> {
    const { run, id, path } = remains;
    const named = new Set([repository, ...Object.keys(run?.base_commits ?? {})]);
    const places = (await Promise.all([...named].map(async (place) => ((await isDirectory(place)) ? place : [])))).flat();
    const parts: RemainingRun['parts'][number][] = [];
    for (const place of places)
      for (const part of await this.finishedRuns(place).catch(() => [])) {
        const isKnown = parts.some((other) => other.part.run === part.run && other.part.root === part.root && sameRefs(other.part, part));
        if (isPartOf(part.run, id) && !isKnown) parts.push({ repository: place, part });
      }
    return { remains, bytes: await bytesIn(path), parts };
  }
}

/** Two directories of one repository tell the same. */
function sameRefs({ refs: one }: FinishedRun, { refs: other }: FinishedRun): boolean {
  return one.length === other.length && one.every((ref, index) => ref === other[index]);
}

/** Whether a run directory may go: never one that a process has, and one that is not finished only when that was asked for. */
export function mayGo({ state }: RunRemains, { unfinished = false }: CleanFlags): boolean {
  return state === 'finished' || state === 'not_begun' || (state === 'unfinished' && unfinished);
}

/** Removes workspaces, then refs, then the directory as a whole; with `keepResults` workspaces alone. What stays keeps the rest. */
export async function removeRemaining(run: RemainingRun, flags: CleanFlags): Promise<RemovedRun> {
  const { keepResults = false, unfinished = false, dryRun = false } = flags;
  if (dryRun || !mayGo(run.remains, flags)) return { ...run, isRemoved: false, stays: [] };
  const stays: CleanedRun['stays'][number][] = [];
  const removeRest = async () => {
    // All workspaces before any ref: one in which a process works keeps every result.
    for (const onlyWorkspaces of keepResults ? [true] : [true, false])
      for (const { repository, part } of stays.length > 0 ? [] : run.parts)
        stays.push(...(await cleanRun(repository, part, { keepResults: onlyWorkspaces })).stays);
    return stays.length === 0 && !keepResults;
  };
  try {
    const isRemoved = await removeRun(run.remains.path, unfinished, removeRest);
    return { ...run, isRemoved, stays };
  } catch (error) {
    return { ...run, isRemoved: false, stays: [...stays, { path: run.remains.path, reason: toManagerError(error).message }] };
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
