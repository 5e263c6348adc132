import { setTimeout as sleep } from 'node:timers/promises';
import { locateRun, type RunStatus } from '@opencode-manager/runs/look';
import { countStates, readRun, statusOfRun } from '@opencode-manager/runs/read';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { WaitFlags } from '../flags.ts';
import { printable } from '../render/index.ts';
import { countsText, exitCodeOfRun, statusText } from '../run-view/counts.ts';
import { runName } from '../run-view/run-name.ts';
import { parseDuration } from '../task-file/duration.ts';
import type { Terminal } from '../terminal/index.ts';

/** Milliseconds between two looks. */
const intervalMs = 250;

/** `ocm wait`: until a run has ended, however; with the exit code that `ocm run` has then. */
export async function wait(terminal: Terminal, name: string | undefined, flags: WaitFlags): Promise<ExitCode> {
  const timeoutMs = flags.timeout === undefined ? Number.POSITIVE_INFINITY : parseDuration(flags.timeout, '--timeout');
  const path = await locateRun('.', name);
  const until = performance.now() + timeoutMs;
  let status = await statusOfRun(path);
  while (isLive(status) && performance.now() < until) {
    await sleep(Math.min(intervalMs, Math.max(1, until - performance.now())));
    status = await statusOfRun(path);
  }
  const { run, history } = await readRun(path, { lastRows: 0 });
  const counts = countStates(history.tasks, isLive(status));
  const exitCode = isLive(status) ? exitCodes.stillRunning : exitCodeOfRun(status, counts);
  const { total, states, dropped } = counts;
  if (flags.json) terminal.record({ type: 'done', run: run.id, path, status, total, states, dropped, exit_code: exitCode });
  else terminal.result(`${printable(run.id)}  ${toldStatus(status, run.id, path)}; ${countsText(counts)}`);
  return exitCode;
}

function isLive(status: RunStatus): boolean {
  return status === 'running' || status === 'elsewhere';
}

function toldStatus(status: RunStatus, id: string, path: string): string {
  if (isLive(status)) return `${statusText(status)} still`;
  return status === 'done' ? 'done' : `${statusText(status)}: resume with ocm resume ${runName(id, path)}`;
}
