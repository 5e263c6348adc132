import type { ErrorCode } from './codes.ts';
import { OpencodeManagerError } from './error.ts';

/** Codes of faults that lie in the machine and pass with them: no task is to blame, and none succeeds meanwhile. */
const infrastructureCodes: ReadonlySet<string> = new Set<ErrorCode>(['STATE_DIRECTORY_FULL', 'RUN_STORAGE_FULL', 'RESOURCES_EXHAUSTED']);

/** All that opencode says when its database cannot be written, as on a full disk. */
export const databaseFailure = 'Failed to execute statement';

/** Errors of the system that say the same, by their `errno` name. */
const systemCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);

/** How Node's messages begin: `EMFILE: too many open files`, `connect EMFILE 127.0.0.1:1`, `spawn /bin/sh EAGAIN`. */
const systemMessage = /^(?:[\w-]+ (?:\S+ )?)?(E[A-Z]+)\b/;

/**
 * Whether an error tells of a fault of the machine (a full disk, no descriptors, processes or memory left, a database of opencode that cannot be
 * written), which passes or is repaired, and meets whatever is tried meanwhile. Give tasks back to the queue after one and hold back, instead of letting each
 * fail. Pure; takes errors as they were thrown and as {@link OpencodeManagerError.toJSON} writes them.
 *
 * @example
 * if (isInfrastructureFault(result.error)) queue.holdBack()
 * @public
 */
export function isInfrastructureFault(error: unknown): boolean {
  for (const { code, message } of causesOf(error)) if (infrastructureCodes.has(String(code)) || message === databaseFailure) return true;
  return systemFaultOf(error) !== undefined;
}

/** The name of the system's error (`EMFILE`, `ENOSPC`, ...) that stands somewhere in an error's causes; undefined for any other error. */
export function systemFaultOf(error: unknown): string | undefined {
  for (const cause of causesOf(error)) {
    const code = codeOf(cause);
    // Of a read or a write it means no more than "later".
    if (code === 'EAGAIN' && !/spawn|fork|uv_thread/.test(cause.message)) continue;
    if (code !== undefined && systemCodes.has(code)) return code;
  }
  return undefined;
}

interface CauseLike {
  readonly code?: unknown;
  readonly message: string;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

/** The error and what it comes of, the first first. */
function* causesOf(error: unknown, depth = 0): Generator<CauseLike> {
  if (typeof error !== 'object' || error === null || depth > 8) return;
  const { code, message, cause, errors = [] } = readableCause(error as CauseLike);
  yield { code, message };
  yield* causesOf(cause, depth + 1);
  // Of several addresses that were tried.
  for (const one of errors) yield* causesOf(one, depth + 1);
}

/** Anything can be thrown, also what throws when it is read. */
function readableCause(error: CauseLike): CauseLike {
  try {
    const { code, message, cause, errors } = error;
    return { code, message: typeof message === 'string' ? message : '', cause, ...(Array.isArray(errors) && { errors }) };
  } catch {
    return { message: '' };
  }
}

/** A cause that has crossed a thread or a file keeps its message alone. Messages of ours may repeat anything. */
function codeOf({ code, message }: CauseLike): string | undefined {
  if (typeof code === 'string') return code;
  return systemMessage.exec(message)?.[1];
}

/** What the system had no more of, and what limits it. */
function describeExhaustion(code: string): string | undefined {
  const texts: Record<string, string> = {
    EMFILE: 'file descriptors for this process (ulimit -n)',
    ENFILE: 'file descriptors (fs.file-max)',
    EAGAIN: 'processes for this user or container (ulimit -u, pids.max)',
    ENOMEM: 'memory',
  };
  return texts[code];
}

/** `RESOURCES_EXHAUSTED` for an error that comes of it; undefined for any other. */
export function exhaustionOf(error: unknown): OpencodeManagerError | undefined {
  const code = systemFaultOf(error);
  const what = code === undefined ? undefined : describeExhaustion(code);
  if (code === undefined || what === undefined) return undefined;
  const message = error instanceof Error ? error.message : String(error);
  return new OpencodeManagerError('RESOURCES_EXHAUSTED', `The system has no more ${what}: ${message}`, {
    details: { errno: code },
    cause: error,
    ...(error instanceof OpencodeManagerError && error.output !== undefined && { output: error.output }),
  });
}
