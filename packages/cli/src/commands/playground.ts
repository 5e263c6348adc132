import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { isManagerError, OpencodeManagerError } from '@opencode-manager/core';
import type { RunInfo, TraceHeader } from '@opencode-manager/playground/trace';
import { locateRun, lookAtRun } from '@opencode-manager/runs/look';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { parseCount } from '../options/index.ts';
import { managerPid } from './client.ts';
import { findManager, type ManagerClient } from '../manager-socket/index.ts';
import { openInBrowser, RunFeed, servePage } from '../playground/index.ts';
import type { PlaygroundFlags } from '../flags.ts';
import { printable } from '../render/index.ts';
import { aborted, listenForStop, type StopSignals } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';

/** Longest first line of a trace that is read: it holds the definitions of the machines. */
const headerBytes = 1024 * 1024;

/** `ocm playground`: a page until Ctrl-C; of a recorded trace, of the directory of a run, of the running manager, or a simulation. */
export async function playground(terminal: Terminal, file: string | undefined, flags: PlaygroundFlags): Promise<ExitCode> {
  checkFlags(file, flags);
  using signals = listenForStop({ terminal });
  const { run } = flags;
  const manager = file === undefined && run === undefined && !flags.simulate ? await findWatched(flags) : undefined;
  if (manager && (await watchManager(manager, terminal, flags, signals))) return exitCodes.ok;
  if (run !== undefined) return showRun(run, terminal, flags, signals);
  const info = file === undefined ? simulation : await infoOf(file);
  await using page = await servePage({ info, port: portOf(flags), ...(file !== undefined && { trace: () => readFile(file, 'utf8') }) });
  await tell(terminal, page.url, flags);
  await aborted(signals.drain);
  return exitCodes.ok;
}

/** The page of a run, live or over, from its directory. @throws OpencodeManagerError `RUN_UNKNOWN`, `RUN_UNREADABLE` */
async function showRun(name: string, terminal: Terminal, flags: PlaygroundFlags, signals: StopSignals): Promise<ExitCode> {
  const { content = false } = flags;
  const path = await locateRun('.', name);
  const { run } = await lookAtRun(path);
  const info = { mode: 'run', title: run.id, control: false, content, batch: true } as const;
  await using page = await servePage({ info, port: portOf(flags), run: new RunFeed(path, { content }) });
  await tell(terminal, page.url, flags, `run ${printable(run.id)}`);
  await aborted(signals.drain);
  return exitCodes.ok;
}

function portOf({ port }: PlaygroundFlags): number {
  return port === undefined ? 0 : parseCount(port, '--port', { min: 0, max: 65_535 });
}

/** @throws OpencodeManagerError `USAGE` for flags that mean nothing together */
function checkFlags(file: string | undefined, flags: PlaygroundFlags): void {
  const { simulate, manager, port, run, allowControl } = flags;
  const shown = file === undefined ? `--run ${run}` : file;
  const other = simulate ? '--simulate' : manager === undefined ? undefined : '--manager';
  const problem =
    file !== undefined && run !== undefined
      ? `${file} and --run are two different pages; leave out one`
      : (file !== undefined || run !== undefined) && other !== undefined
        ? `${shown} is a page of its own; leave out ${other}`
        : run !== undefined && allowControl
          ? '--allow-control is for sessions, and the page of --run shows files alone; leave it out'
          : simulate && manager !== undefined
            ? '--simulate and --manager are two different pages; leave out one'
            : manager !== undefined && port !== undefined
              ? '--port is not for the page of a running manager, which chooses one itself; leave it out'
              : undefined;
  if (problem !== undefined) throw new OpencodeManagerError('USAGE', `${problem}.`);
}

/** The manager that is meant; undefined when none was named and none runs. */
async function findWatched({ manager }: PlaygroundFlags): Promise<ManagerClient | undefined> {
  try {
    return await findManager(manager === undefined ? undefined : managerPid(manager));
  } catch (error) {
    if (manager === undefined && isManagerError(error, 'MANAGER_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** The manager serves the page itself: it knows its machines. False when it serves none, and was not named. */
async function watchManager(client: ManagerClient, terminal: Terminal, flags: PlaygroundFlags, signals: StopSignals): Promise<boolean> {
  const request = { ...(flags.allowControl && { allow_control: true }), ...(flags.content && { content: true }) };
  try {
    for await (const { url } of client.stream('page', request, { signal: signals.drain }))
      await tell(terminal, url, flags, `manager ${client.run.managerPid}, ${client.run.directory}`);
  } catch (error) {
    if (signals.drain.aborted) return true;
    if (isManagerError(error, 'CONNECTION_LOST')) terminal.notice('The manager has ended, and its page with it.');
    else if (flags.manager !== undefined || !isManagerError(error, 'PLAYGROUND_UNAVAILABLE')) throw error;
    else {
      terminal.notice(`${error.message} This is a simulation.`);
      return false;
    }
  }
  return true;
}

async function tell(terminal: Terminal, url: string, flags: PlaygroundFlags, of?: string): Promise<void> {
  if (flags.json) terminal.record({ type: 'playground', url });
  else terminal.result(url);
  if (of !== undefined) terminal.notice(`The page shows the ${of}.`);
  terminal.notice('Open this address in a browser; it works once. Ctrl-C ends the page.');
  if (flags.open) await openInBrowser(url, terminal.notice);
}

const simulation: RunInfo = { mode: 'simulation', title: 'Simulation', control: true, content: true };

/** @throws OpencodeManagerError `USAGE` when the file is no trace */
async function infoOf(file: string): Promise<RunInfo> {
  const header = parseHeader(await firstLine(file));
  if (!header)
    throw new OpencodeManagerError(
      'USAGE',
      `${file} is not a trace of the playground. Export one from its page (Export, Run as a trace file).`,
    );
  return { mode: 'trace', title: `${header.title} (${basename(file)})`, control: false, content: header.content === true };
}

async function firstLine(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    return buffer.toString('utf8', 0, bytesRead).split('\n')[0] ?? '';
  } catch (error) {
    throw new OpencodeManagerError('USAGE', `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`, {
      cause: error,
    });
  }
}

function parseHeader(line: string): Partial<TraceHeader> | undefined {
  try {
    const header = JSON.parse(line) as Partial<TraceHeader>;
    return header.format === 'opencode-manager-trace' && header.version === 1 ? header : undefined;
  } catch {
    return undefined;
  }
}
