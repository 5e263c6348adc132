import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { OpencodeManagerError } from '@opencode-manager/core';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { RunFlags } from '../flags.ts';
import { printable } from '../render/index.ts';
import { runName } from '../run-view/run-name.ts';
import type { Terminal } from '../terminal/index.ts';
import { detachedVariable } from './streams.ts';

interface LaunchLine {
  readonly pid: number;
  readonly run: string;
  readonly run_dir: string | null;
}

/** Nothing could be looked at, or gone on with, of a run that keeps nothing. @throws OpencodeManagerError `USAGE` */
export function refuseDetachedWithoutDirectory(file: string | undefined, { runDir }: Pick<RunFlags, 'runDir'>): void {
  if (runDir !== false && (file !== undefined || runDir !== undefined)) return;
  throw new OpencodeManagerError('USAGE', '--detach: a run in the background needs a directory to be looked at. Add --run-dir DIR.');
}

/**
 * Starts this command line again in the background, and ends when its server answers, with its launch record; what keeps it from starting is
 * told here, with its exit code.
 */
export async function startDetached(terminal: Terminal, json: boolean): Promise<ExitCode> {
  const args = process.argv.slice(1).filter((arg) => arg !== '--detach');
  const child = spawn(process.execPath, [...process.execArgv, ...args, ...(json ? [] : ['--json'])], {
    detached: true,
    stdio: ['inherit', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, [detachedVariable]: '1' },
  });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward);
  const notices = createInterface({ input: child.stderr! });
  notices.on('line', (line) => terminal.notice(line));
  const exited = once(child, 'exit').then(([code]) => ({ code: (code ?? exitCodes.failed) as ExitCode }));
  const launch = await Promise.race([launchOf(child.stdio[3] as Readable), exited]);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, forward);
  if ('code' in launch) return launch.code;
  notices.close();
  child.stderr!.destroy();
  child.unref();
  tellLaunch(terminal, launch, json);
  return exitCodes.ok;
}

/** The launch record; never, when the process ends before. */
function launchOf(channel: Readable): Promise<LaunchLine> {
  return new Promise((resolve) => {
    createInterface({ input: channel }).once('line', (line) => {
      channel.destroy();
      resolve(JSON.parse(line) as LaunchLine);
    });
  });
}

function tellLaunch(terminal: Terminal, launch: LaunchLine, json: boolean): void {
  if (json) return terminal.record(launch);
  const { run, run_dir: path, pid } = launch;
  terminal.result(run);
  terminal.notice(printable(`The run goes on in the background, in process ${pid}: ${path ?? ''}`));
  const name = path === null ? run : runName(run, path);
  terminal.notice(printable(`To look at it: ocm status ${name}   To wait for its end: ocm wait ${name}   To stop it: kill -INT ${pid}`));
}
