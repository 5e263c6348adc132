import { assertCallOptions, OpencodeManagerError } from '../errors/index.ts';
import { longestTimerMs, type CallOptions } from '../http/index.ts';

/** Whether a job may have sent something: one that has to wait first says so. */
export interface Progress {
  sent: boolean;
}

/**
 * One deadline and one signal for all that a call does: its wait in a queue, its requests, and the waits between them. They end the
 * call at once, also where the job does not listen; the job itself goes on until it notices.
 * @throws `REQUEST_TIMEOUT`, `REQUEST_ABORTED`, and whatever the job throws
 */
export async function withinDeadline<Result>(
  what: string,
  options: CallOptions | undefined,
  job: (call: CallOptions, progress: Progress) => Promise<Result>,
): Promise<Result> {
  assertCallOptions(what, options);
  const { timeoutMs, signal: caller } = options ?? {};
  const progress: Progress = { sent: true };
  const deadline = deadlineSignal(timeoutMs);
  if (!deadline && !caller) return job(timeoutMs === undefined ? {} : { timeoutMs }, progress);
  const signal = AbortSignal.any([deadline, caller].filter((one) => one !== undefined));
  const over = Promise.withResolvers<never>();
  const end = () => over.reject(signal.reason as Error);
  signal.addEventListener('abort', end, { once: true });
  try {
    progress.sent = !signal.aborted;
    signal.throwIfAborted();
    const done = job({ signal, ...(timeoutMs !== undefined && { timeoutMs }) }, progress);
    return await Promise.race([done, over.promise]);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw endedBy(
      what,
      deadline?.aborted && !(caller?.aborted && signal.reason === caller.reason) ? timeoutMs : undefined,
      progress,
      error,
    );
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** Aborts after so long; undefined for a time that is no deadline. */
export function deadlineSignal(timeoutMs: number | undefined): AbortSignal | undefined {
  return timeoutMs === undefined || !(timeoutMs <= longestTimerMs) ? undefined : AbortSignal.timeout(Math.max(0, Math.ceil(timeoutMs)));
}

function endedBy(what: string, timeoutMs: number | undefined, { sent }: Progress, cause: unknown): OpencodeManagerError {
  const rest = sent ? 'Whether the server acted on it is unknown.' : 'Nothing was sent.';
  return timeoutMs === undefined
    ? new OpencodeManagerError('REQUEST_ABORTED', `${what}: aborted by the caller. ${rest}`, { details: { sent }, cause })
    : new OpencodeManagerError('REQUEST_TIMEOUT', `${what}: not over within ${timeoutMs} ms. ${rest}`, {
        details: { timeoutMs, sent },
        cause,
      });
}
