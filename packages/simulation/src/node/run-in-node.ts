import { createPool } from '@opencode-manager/actors/hosts';
import { OpencodeManagerError, type ErrorCode } from '@opencode-manager/core';
import type { Plan } from '../plan/types.ts';
import { runWorld, type RunOptions, type WorldReport } from '../run.ts';
import { trapRealTime } from './trap.ts';

export type NodeOptions = Partial<RunOptions>;

// Before anything is trapped.
const nextTurn = setImmediate;

/** All promises that can settle have done so when an immediate comes: it runs after the microtasks of those before it. */
const drain = (): Promise<void> => new Promise((resolve) => void nextTurn(resolve));

/** Runs a plan with the real hosts and machines of the pool. One at a time a thread: what is trapped is the thread's. */
export function runInNode(plan: Plan, options: NodeOptions = {}): Promise<WorldReport> {
  return inNode((own) => runWorld(plan, { ...own, createPool, ...options }));
}

/** What a world needs of Node, while real time and real chance are trapped. */
export async function inNode<Report>(
  run: (own: Pick<RunOptions, 'drain' | 'error'> & { readonly uncaught: () => readonly string[] }) => Promise<Report>,
): Promise<Report> {
  const errors: string[] = [];
  const onError = (error: unknown) => void errors.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.on('unhandledRejection', onError);
  process.on('uncaughtException', onError);
  const giveBack = trapRealTime((what) => errors.push(what));
  try {
    return await run({
      drain,
      error: (code, message) => new OpencodeManagerError(code as ErrorCode, message),
      uncaught: () => errors.splice(0),
    });
  } finally {
    giveBack();
    process.off('unhandledRejection', onError);
    process.off('uncaughtException', onError);
  }
}
