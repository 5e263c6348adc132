import { isManagerError } from '@opencode-manager/core';
import type { ExitCode } from '../exit-codes.ts';
import { findManager, type ManagerClient } from '../manager-socket/index.ts';
import { parseCount } from '../options/index.ts';
import type { ManagerFlag } from '../flags.ts';
import { listenForStop } from '../signals.ts';

/** Largest process id that Linux gives out. */
const maxPid = 4_194_304;

/** @throws OpencodeManagerError `USAGE` */
export function managerPid(text: string, option = '--manager'): number {
  return parseCount(text, option, { min: 1, max: maxPid });
}

/**
 * Runs a client's work on the manager that is meant. Any stop signal closes the connection, which aborts in the manager
 * what this client asked for.
 */
export async function withManager(
  flags: ManagerFlag,
  work: (manager: ManagerClient, signal: AbortSignal) => Promise<ExitCode>,
): Promise<ExitCode> {
  using signals = listenForStop();
  const pid = flags.manager === undefined ? undefined : managerPid(flags.manager);
  try {
    const exitCode = await work(await findManager(pid), signals.drain);
    return signals.exitCode ?? exitCode;
  } catch (error) {
    if (isManagerError(error, 'REQUEST_ABORTED') && signals.exitCode !== undefined) return signals.exitCode;
    throw error;
  }
}
