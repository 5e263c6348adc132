import { resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import { emptyTrash, runRemains, runsRemaining, type RunRemains } from '@opencode-manager/runs';
import { cleanRun, isPartOf, type CleanedRun, type FinishedRun } from '@opencode-manager/workspaces';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { CleanFlags } from '../flags.ts';
import { formatBytes, plural, printable } from '../render/index.ts';
import { countsText, statusText } from '../run-view/counts.ts';
import { mayGo, removeRemaining, Repositories, type RemovedRun } from '../run-view/remove-runs.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm clean`: lists what finished runs left of a repository, and removes it. A run that is not finished is listed, and kept. */
export async function clean(terminal: Terminal, names: readonly string[], flags: CleanFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../queue/clean.ts')).cleanQueue(terminal, names, flags);
  const repository = resolve(flags.directory ?? '.');
  const repositories = new Repositories();
  const wanted = await wantedRuns(repository, names, repositories);
  if (!flags.dryRun) await emptyTrash(repository);
  let isWhole = true;
  for (const remains of wanted.whole) {
    const found = await repositories.rest(remains, repository);
    if (remains.state === 'unfinished' && mayGo(remains, flags)) terminal.notice(lossText(remains));
    const removed = await removeRemaining(found, flags);
    tellRun(terminal, removed, flags);
    // Whoever names a run wants it gone; a listing of all has kept what it should.
    isWhole &&= removed.stays.length === 0 && (names.length === 0 || mayGo(remains, flags));
  }
  for (const one of wanted.workspaces) {
    const cleaned = await cleanRun(repository, one, flags);
    tell(terminal, cleaned, flags);
    isWhole &&= cleaned.stays.length === 0;
  }
  for (const part of wanted.unknown) terminal.notice(unknownText(part));
  const count = wanted.whole.length + wanted.workspaces.length;
  const exitCode = isWhole ? exitCodes.ok : exitCodes.failed;
  if (flags.json) terminal.record({ type: 'done', runs: count, exit_code: exitCode });
  else if (count === 0) terminal.notice('No finished run left anything here.');
  else if (flags.dryRun) terminal.notice('Nothing was removed.');
  return exitCode;
}

interface WantedRuns {
  /** Directories of runs: each goes as a whole, or stays. */
  readonly whole: readonly RunRemains[];
  /** What runs without such a directory left. */
  readonly workspaces: readonly FinishedRun[];
  /** Parts of runs whose directory is somewhere else: nobody here can say whether they are finished. */
  readonly unknown: readonly FinishedRun[];
}

/** @throws OpencodeManagerError `CONFIG_INVALID` for a name that no run has */
async function wantedRuns(repository: string, names: readonly string[], repositories: Repositories): Promise<WantedRuns> {
  const finished = await repositories.finishedRuns(repository);
  const known = await knownRuns(repository, finished);
  const isOf = (part: FinishedRun) => known.some(({ id }) => isPartOf(part.run, id));
  const alone = finished.filter((one) => !isOf(one));
  if (names.length === 0)
    return { whole: known, workspaces: alone.filter(({ isPart }) => !isPart), unknown: alone.filter(({ isPart }) => isPart) };
  const whole = new Map<string, RunRemains>();
  const workspaces = new Set<FinishedRun>();
  for (const name of names) {
    const remains = known.find(({ id }) => isPartOf(name, id)) ?? (await runRemains(resolve(name)));
    const one = alone.find(({ run }) => run === name);
    if (remains) whole.set(remains.path, remains);
    else if (one) workspaces.add(one);
    else {
      const message = `${name} is no run of ${repository} that left something, or a process uses it. To see them: ocm clean --dry-run`;
      throw new OpencodeManagerError('CONFIG_INVALID', message, { details: { option: 'run' } });
    }
  }
  return { whole: [...whole.values()], workspaces: [...workspaces], unknown: [] };
}

/** Runs beside the repository, and those whose directory lies elsewhere and has workspaces of it. */
async function knownRuns(repository: string, finished: readonly FinishedRun[]): Promise<RunRemains[]> {
  const beside = await runsRemaining(repository);
  const paths = new Set(finished.flatMap(({ runDirectory }) => runDirectory ?? []));
  for (const { path } of beside) paths.delete(path);
  const elsewhere = await Promise.all([...paths].map((path) => runRemains(path)));
  return [...beside, ...elsewhere.filter((run) => run !== undefined)];
}

function unknownText({ run, refs }: FinishedRun): string {
  const has = `${run} is kept, with ${plural(refs.length, 'ref')}: its run is in a directory that is not beside this repository`;
  return `${has}. Name that directory: ocm clean DIR. If it is gone: ocm clean ${run}`;
}

/** Before an unfinished run goes. */
function lossText({ name, counts }: RunRemains): string {
  const has = counts === undefined ? 'nobody knows what it holds' : countsText(counts);
  return printable(`${name} is not finished (${has}). It goes with its answers and transcripts, and cannot be resumed any more.`);
}

function tellRun(terminal: Terminal, found: RemovedRun, flags: CleanFlags): void {
  const { remains, parts, bytes, isRemoved, stays } = found;
  const { path, id, name, state } = remains;
  const workspaces = parts.flatMap(({ part }) => part.workspaces);
  const refs = parts.flatMap(({ part }) => part.refs);
  const goes = mayGo(remains, flags);
  const kept = goes ? null : keptBecause(remains);
  if (flags.json) {
    const what = { run: id, root: path, state, workspaces, refs, artifact_bytes: bytes };
    const areGone = goes && !flags.dryRun && stays.length === 0;
    return terminal.record({ type: 'run', ...what, removed: areGone, results_removed: isRemoved, kept, stays });
  }
  const content = flags.keepResults ? plural(workspaces.length, 'workspace') : contentText(workspaces.length, refs.length, bytes);
  const verb = kept !== null ? `is kept: ${kept}; it has` : isRemoved || (flags.keepResults && goes && !flags.dryRun) ? 'removed' : 'has';
  terminal.result(`${terminal.colors.bold(printable(name))}  ${printable(verb)} ${content}`);
  for (const { key, path: at, bytes: size } of workspaces) terminal.result(`  ${printable(key)}: ${printable(at)} (${formatBytes(size)})`);
  for (const { path: at, reason } of stays) terminal.result(`  stays: ${printable(at)}: ${printable(reason)}`);
}

function contentText(workspaces: number, refs: number, bytes: number): string {
  return `${plural(workspaces, 'workspace')}, ${plural(refs, 'ref')}, its directory with ${formatBytes(bytes)}`;
}

function keptBecause({ state, holder, endedBecause, counts, error, name }: RunRemains): string {
  if (state === 'held') return `${typeof holder === 'object' ? `process ${holder.pid} on ${holder.host}` : 'another process'} has it`;
  if (error) return `it cannot be read (${error.message}), and goes with ocm clean --unfinished ${name}`;
  const how = counts ? `${statusText(endedBecause ?? 'interrupted')}; ${countsText(counts)}` : statusText(endedBecause ?? 'interrupted');
  return `it is not finished (${how}). Go on with it: ocm resume ${name}. Remove it: ocm clean --unfinished ${name}`;
}

function tell(terminal: Terminal, found: CleanedRun, flags: CleanFlags): void {
  const { run, root, workspaces, refs, artifactBytes, stays } = found;
  const isRemoved = !flags.dryRun && stays.length === 0;
  if (flags.json) {
    const what = { run, root: root ?? null, workspaces, refs, artifact_bytes: artifactBytes };
    return terminal.record({ type: 'run', ...what, removed: isRemoved, results_removed: isRemoved && !flags.keepResults, stays });
  }
  terminal.result(`${terminal.colors.bold(run)}  ${isRemoved ? 'removed' : 'has'} ${contentOf(found, flags.keepResults === true)}`);
  for (const { key, path, bytes } of workspaces) terminal.result(`  ${printable(key)}: ${printable(path)} (${formatBytes(bytes)})`);
  for (const { path, reason } of stays) terminal.result(`  stays: ${printable(path)}: ${printable(reason)}`);
}

function contentOf({ workspaces, refs, artifactBytes }: FinishedRun, onlyWorkspaces: boolean): string {
  const places = plural(workspaces.length, 'workspace');
  return onlyWorkspaces ? places : `${places}, ${plural(refs.length, 'ref')}, ${formatBytes(artifactBytes)} of patches and logs`;
}
