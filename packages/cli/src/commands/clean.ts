import { resolve } from 'node:path';
import { cleanRuns, type CleanedRun, type FinishedRun } from '@opencode-manager/workspaces';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { CleanFlags } from '../program/care-commands.ts';
import { formatBytes, plural, printable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm clean`: lists what finished runs left of a repository, and removes it. */
export async function clean(terminal: Terminal, names: readonly string[], flags: CleanFlags): Promise<ExitCode> {
  const repository = resolve(flags.directory ?? '.');
  const { keepResults = false, dryRun = false } = flags;
  const found = await cleanRuns(repository, { ...(names.length > 0 && { runs: names }), keepResults, dryRun });
  for (const run of found) tell(terminal, run, flags);
  const exitCode = found.some(({ stays }) => stays.length > 0) ? exitCodes.failed : exitCodes.ok;
  if (flags.json) terminal.record({ type: 'done', runs: found.length, exit_code: exitCode });
  else if (found.length === 0) terminal.notice('No finished run left anything here.');
  else if (flags.dryRun) terminal.notice('Nothing was removed.');
  return exitCode;
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
