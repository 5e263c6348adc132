import { basename } from 'node:path';
import { isManagerError, type OpencodeManagerError } from '@opencode-manager/core/errors';
import { runDirectories } from '@opencode-manager/runs/look';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { RunsFlags } from '../flags.ts';
import { oneLine, printable } from '../render/printable.ts';
import { renderTable } from '../render/table.ts';
import { statusText } from '../run-view/counts.ts';
import { glanceAt, runRecord, type RunGlance } from '../run-view/run-at-a-glance.ts';
import type { Terminal } from '../terminal/index.ts';

interface Unreadable {
  readonly path: string;
  readonly error: OpencodeManagerError;
}

/** `ocm runs`: the runs of a repository, the newest first. */
export async function runs(terminal: Terminal, flags: RunsFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../queue/look.ts')).queueRuns(terminal, flags);
  const found: (RunGlance | Unreadable)[] = [];
  for (const path of await runDirectories(flags.directory ?? '.')) found.push(await glance(path));
  if (flags.json) for (const one of found) terminal.record('error' in one ? unreadableRecord(one) : runRecord(one));
  else if (found.length === 0) terminal.notice('There is no run here. Start one with: ocm run FILE');
  else for (const line of table(found, terminal)) terminal.result(line);
  return exitCodes.ok;
}

/** One run that cannot be read does not hide the others. */
async function glance(path: string): Promise<RunGlance | Unreadable> {
  try {
    return await glanceAt(path);
  } catch (error) {
    if (!isManagerError(error, 'RUN_UNREADABLE')) throw error;
    return { path, error };
  }
}

function unreadableRecord({ path, error }: Unreadable): object {
  return { type: 'run', id: basename(path), path, status: 'unreadable', error: error.toJSON() };
}

function table(found: readonly (RunGlance | Unreadable)[], { colors }: Terminal): string[] {
  const columns = [
    { title: 'RUN' },
    { title: 'STATUS' },
    { title: 'SUCCEEDED', align: 'right' },
    { title: 'STARTED' },
    { title: 'TASKS' },
  ] as const;
  const rows = found.map((one) => {
    if ('error' in one) return [printable(basename(one.path)), 'unreadable', '', '', oneLine(one.error.message, 120)];
    const { run, status, counts, path } = one;
    // Of a directory that was named, its path is its name.
    const name = basename(path) === run.id ? run.id : path;
    const succeeded = `${counts.states.succeeded ?? 0} of ${counts.total}`;
    return [printable(name), statusText(status), succeeded, run.created_at.slice(0, 19).replace('T', ' '), printable(run.source ?? '-')];
  });
  return renderTable(columns, rows, colors.bold);
}
