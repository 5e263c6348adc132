import { execa } from 'execa';
import { printable } from '../render/index.ts';
import { versioned, type Terminal } from '../terminal/index.ts';

/** It may send a message, and must not hold the end of a run for ever. */
const timeoutMs = 10 * 60_000;

/**
 * Runs the user's command of `--on-done` once, with the summary on its standard input, and the user's own environment. What it prints goes to
 * standard error. How it ends changes nothing of the run.
 */
export async function runOnDone(terminal: Terminal, command: string, summary: object): Promise<void> {
  const { exitCode, all, timedOut, shortMessage } = await execa(command, {
    shell: true,
    input: `${JSON.stringify(terminal.redactor.json(versioned(summary)))}\n`,
    all: true,
    reject: false,
    timeout: timeoutMs,
    killDescendants: true,
    maxBuffer: 1_000_000,
  });
  if (all) terminal.notice(printable(all));
  if (exitCode === 0) return;
  const how = timedOut
    ? `did not end within ${timeoutMs / 60_000} minutes`
    : exitCode === undefined
      ? (shortMessage ?? 'failed')
      : `ended with ${exitCode}`;
  terminal.notice(printable(`--on-done: the command ${how}. The results are as they were told.`));
}
