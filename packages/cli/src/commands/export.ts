import { open, stat, type FileHandle } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { locateRun } from '@opencode-manager/runs/look';
import { readRun, resultsOf } from '@opencode-manager/runs/read';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { ExportFlags } from '../flags.ts';
import { junitCases, junitReport } from '../run-view/junit.ts';
import { isTaken } from '../run-view/results.ts';
import { leftOutText, predictionOf, type LeftOut } from '../run-view/swebench.ts';
import type { Terminal } from '../terminal/index.ts';

/** Takes a piece; false when nothing more is taken. */
type Write = (text: string, label?: string) => Promise<boolean>;

/** `ocm export`: a run as other tools read it. */
export async function exportRun(terminal: Terminal, name: string | undefined, { format, out, overwrite }: ExportFlags): Promise<ExitCode> {
  const path = await locateRun('.', name);
  const { run } = await readRun(path, { lastRows: 0 });
  const file = out === undefined ? undefined : await openOut(out, path, overwrite === true);
  try {
    const write = file ? writerTo(file, out!) : writerToStdout(terminal);
    if (format === 'junit') return (await write(await junitReport(run, junitCases(resultsOf(path))))) ? exitCodes.ok : exitCodes.failed;
    return await writePredictions(terminal, path, write);
  } finally {
    await file?.close();
  }
}

async function writePredictions(terminal: Terminal, path: string, write: Write): Promise<ExitCode> {
  const leftOut: LeftOut = { never_ran: 0, no_patch: 0, not_text: 0 };
  for await (const task of resultsOf(path)) {
    const prediction = await predictionOf(path, task, leftOut);
    if (prediction && !(await write(`${JSON.stringify(prediction)}\n`, task.key))) return exitCodes.failed;
  }
  for (const line of leftOutText(leftOut)) terminal.notice(line);
  return exitCodes.ok;
}

function writerToStdout(terminal: Terminal): Write {
  return (text, label) => {
    terminal.stdout.write(text, label);
    return isTaken(terminal);
  };
}

function writerTo(file: FileHandle, out: string): Write {
  return async (text) => {
    try {
      await file.appendFile(text);
      return true;
    } catch (error) {
      throw new OpencodeManagerError('OUTPUT_LOST', `--out ${out}: ${(error as Error).message}. What it holds is not whole.`, {
        cause: error,
      });
    }
  };
}

/** Never a file of the run itself, and what it holds goes only when that is asked for: it may be the task file. */
async function openOut(out: string, run: string, overwrite: boolean): Promise<FileHandle> {
  const unusable = (why: string, cause?: unknown) =>
    new OpencodeManagerError('OUTPUT_UNUSABLE', `--out ${out}: ${why}. Name another place.`, { details: { output: out }, cause });
  const way = relative(run, resolve(out));
  if (!way.startsWith('..')) throw unusable(`it lies in the directory of the run, ${run}`);
  const { size = 0 } = (await stat(out).catch(() => undefined)) ?? {};
  if (size > 0 && !overwrite) throw unusable(`it holds ${size} bytes already; give --overwrite to replace them`);
  try {
    return await open(out, 'w');
  } catch (error) {
    throw unusable((error as Error).message, error);
  }
}
