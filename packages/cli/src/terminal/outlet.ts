import { fstatSync, type Stats } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Where lines go that must not be lost: standard output, `--out`. What it guarantees:
 * - lines leave in the order in which they were written, each whole or not at all in a file;
 * - a write never waits: what the other side does not take yet is kept;
 * - `flush` tells what did not leave, so that nobody takes silence for success.
 */
export interface Outlet {
  /** `label` names the line in a report of its loss. Bytes go as they are. */
  write(text: string | Uint8Array, label?: string): void;
  /**
   * Resolves when everything has left, when the reader has closed, when it has taken nothing for `idleMs`, or with the signal.
   * Gives what did not leave.
   */
  flush(options: FlushOptions): Promise<Loss | undefined>;
  /** Why the newest write failed (`ENOSPC`, `EPIPE`, ...); undefined while writes succeed. */
  readonly failure: string | undefined;
  /** Lines that have not left yet. */
  readonly pending: number;
}

export interface FlushOptions {
  /** Milliseconds without a byte taken. */
  readonly idleMs: number;
  readonly signal?: AbortSignal;
}

/** What did not leave. */
export interface Loss {
  readonly lines: number;
  /** Labels of the lines that have one. */
  readonly labels: readonly string[];
  /** The system's error code, or `idle` for a reader that took nothing, or `signal`. */
  readonly why: string;
}

/** What a stream of the process leads to; undefined for other streams. */
export function statsOf(stream: object): Stats | undefined {
  const fd = descriptorOf(stream);
  try {
    return fd === undefined ? undefined : fstatSync(fd);
  } catch {
    return undefined;
  }
}

/** Whether two of them lead to the same pipe, file or terminal. */
export function isSameFile(a: Stats | undefined, b: Stats | undefined): boolean {
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** Files, and devices such as /dev/null. Pipes, sockets and terminals have a reader that may be slow. */
export function isWrittenAtOnce(fd: number): boolean {
  try {
    const stats = fstatSync(fd);
    return stats.isFile() || stats.isBlockDevice() || (stats.isCharacterDevice() && !isatty(fd));
  } catch {
    return false;
  }
}

/** The file descriptor behind a stream of the process; undefined for other streams. */
export function descriptorOf(stream: object): number | undefined {
  const { fd } = stream as { readonly fd?: unknown };
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
