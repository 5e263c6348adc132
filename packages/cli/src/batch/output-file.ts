import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, statSync, writeSync, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { TaskResult } from '@opencode-manager/actors';
import { describeCode, describeLoss, FileOutlet, isWrittenAtOnce, StreamOutlet, withToldErrors, type Outlet } from '../terminal/index.ts';

/** A reader of a FIFO may take nothing for so long; the same as for standard output. */
const idleMs = 5 * 60_000;

/** What is to become of what a file holds already. */
export type OutputMode = 'new' | 'append' | 'overwrite';

/** Where `--out` puts results: one JSON object a line, each written when its task is finished. */
export interface OutputFile extends Disposable {
  write(result: TaskResult): void;
  /** Why the newest write failed; undefined while writes succeed. */
  readonly failure: string | undefined;
  /** Resolves when all is written. @throws OpencodeManagerError `OUTPUT_LOST` when something could not be */
  close(signal?: AbortSignal): Promise<void>;
}

/**
 * Opens the output and tries it, before anything starts. What stands in a file that is overwritten goes with the first result:
 * a run that fails earlier must not cost the results of the one before.
 * @throws OpencodeManagerError `OUTPUT_UNUSABLE`
 */
export function openOutputFile(path: string, mode: OutputMode): OutputFile {
  const fd = openForWriting(path);
  try {
    const stats = fstatSync(fd);
    if (stats.isFile()) tryFile(path, fd, stats, mode);
    return createOutput(path, fd, stats, mode);
  } catch (error) {
    closeSync(fd);
    throw error instanceof OpencodeManagerError ? error : unwritable(path, error);
  }
}

function createOutput(path: string, fd: number, stats: Stats, mode: OutputMode): OutputFile {
  const { outlet, end } = outletOn(fd, stats.isFile() && mode === 'overwrite');
  let closed = false;
  const close = () => {
    if (!closed) end();
    closed = true;
  };
  return {
    get failure() {
      return outlet.failure;
    },
    write: (result) => outlet.write(`${JSON.stringify(withToldErrors(result))}\n`, result.id),
    async close(signal) {
      const loss = await outlet.flush({ idleMs, ...(signal && { signal }) });
      close();
      if (loss)
        throw new OpencodeManagerError('OUTPUT_LOST', describeLoss(`--out ${path}`, loss, idleMs), { details: { ...loss, output: path } });
    },
    [Symbol.dispose]: close,
  };
}

/** A FIFO has a reader that may be slow; a file is written at once. */
function outletOn(fd: number, replaces: boolean): { readonly outlet: Outlet; readonly end: () => void } {
  if (isWrittenAtOnce(fd)) return { outlet: new FileOutlet(fd, { replaces }), end: () => closeSync(fd) };
  const socket = new Socket({ fd, readable: false, writable: true });
  return { outlet: new StreamOutlet(socket), end: () => socket.destroy() };
}

function openForWriting(path: string): number {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants;
  const there = statSync(path, { throwIfNoEntry: false });
  try {
    // Without O_NONBLOCK a FIFO that nobody reads would hold the whole process.
    if (there && !there.isFile()) return openSync(path, O_WRONLY | O_NONBLOCK);
    return openSync(path, O_WRONLY | O_CREAT | O_APPEND, 0o666);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO' && there?.isFIFO())
      throw unusable(path, 'is a FIFO that nobody reads. Start its reader first');
    throw unwritable(path, error);
  }
}

/** Refuses a file that holds something, and one that takes nothing more. */
function tryFile(path: string, fd: number, { size }: Stats, mode: OutputMode): void {
  if (size > 0 && mode === 'new')
    throw unusable(path, `holds ${size} bytes already. Give --append to add to them, or --overwrite to replace them`);
  // Its own room may be all that there is.
  if (size > 0 && mode === 'overwrite') return;
  writeSync(fd, '\n');
  // A run that was killed may have left half a line: what is added must not become a part of it.
  ftruncateSync(fd, size > 0 && !endsWithNewline(path, size) ? size + 1 : size);
}

function endsWithNewline(path: string, size: number): boolean {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const last = Buffer.alloc(1);
    readSync(fd, last, 0, 1, size - 1);
    return last.toString() === '\n';
  } finally {
    closeSync(fd);
  }
}

function unwritable(path: string, error: unknown): OpencodeManagerError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return unusable(path, `cannot be written (${describeCode(code)}). Name a file in an existing directory with room`, error);
}

function unusable(path: string, why: string, cause?: unknown): OpencodeManagerError {
  return new OpencodeManagerError('OUTPUT_UNUSABLE', `--out: ${path} ${why}. Nothing was started.`, {
    details: { output: path },
    ...(cause !== undefined && { cause }),
  });
}
