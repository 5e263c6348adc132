import { readFile } from 'node:fs/promises';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { printable } from '../render/index.ts';
import { patchOf } from '../run-view/patch-of.ts';
import { taskOfRun } from '../run-view/task-of-run.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm diff`: the patch of a task, byte for byte; in a terminal without what would steer it. */
export async function diff(terminal: Terminal, names: readonly (string | undefined)[]): Promise<ExitCode> {
  const { reading, key, state, attempt } = await taskOfRun(names);
  if (!attempt) return refuse(terminal, key, `No attempt of it has ended; it is ${state.replaceAll('_', ' ')}.`);
  const patch = await patchOf(reading.path, attempt);
  if (patch.type === 'missing') return refuse(terminal, key, patch.why);
  if (patch.type === 'empty') {
    terminal.notice(`${printable(key)} has changed no file.`);
    return exitCodes.ok;
  }
  const bytes = await readFile(patch.path);
  terminal.stdout.write(terminal.streams.stdout.isTTY ? printable(bytes.toString()) : bytes);
  const inside = (attempt.result.submodules ?? []).map(({ path }) => path);
  if (inside.length > 0) terminal.notice(printable(`Submodules have patches of their own, which ocm show names: ${inside.join(', ')}`));
  return exitCodes.ok;
}

function refuse(terminal: Terminal, key: string, why: string): ExitCode {
  terminal.notice(printable(`${key}: ${why}`));
  return exitCodes.failed;
}
