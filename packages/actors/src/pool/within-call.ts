import type { CallOptions } from '@opencode-manager/core';
import { assertCallOptions, OpencodeManagerError } from '@opencode-manager/core/errors';
import type { Clock } from '../ports/index.ts';

/**
 * Ends a call at its deadline and with its signal, whatever it waits for. The job goes on until it notices.
 * @throws `REQUEST_TIMEOUT`, `REQUEST_ABORTED`, and whatever the job throws
 */
export async function withinCall<Result>(
  clock: Clock,
  what: string,
  options: CallOptions,
  job: (call: CallOptions) => Promise<Result>,
): Promise<Result> {
  assertCallOptions(what, options);
  const { timeoutMs, signal } = options;
  if (signal?.aborted) throw abortedByCaller(what, 'Nothing was sent.', signal.reason);
  if (timeoutMs === undefined && !signal) return job({});
  const calls = new AbortController();
  const over = Promise.withResolvers<never>();
  const end = (error: OpencodeManagerError) => {
    over.reject(error);
    calls.abort(error);
  };
  const onAbort = () => end(abortedByCaller(what, unknownFate, signal?.reason));
  const timer = isDeadline(timeoutMs) ? clock.setTimeout(() => end(late(what, timeoutMs)), Math.max(0, timeoutMs)) : undefined;
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([job({ signal: calls.signal, ...(timeoutMs !== undefined && { timeoutMs }) }), over.promise]);
  } finally {
    if (timer !== undefined) clock.clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

export function isDeadline(timeoutMs: number | undefined): timeoutMs is number {
  return timeoutMs !== undefined && Number.isFinite(timeoutMs);
}

const unknownFate = 'Whether the server acted on it is unknown.';

export function abortedByCaller(what: string, rest: string, cause: unknown): OpencodeManagerError {
  return new OpencodeManagerError('REQUEST_ABORTED', `${what}: aborted by the caller. ${rest}`, { cause });
}

const late = (what: string, timeoutMs: number) =>
  new OpencodeManagerError('REQUEST_TIMEOUT', `${what}: not over within ${timeoutMs} ms. ${unknownFate}`, { details: { timeoutMs } });
