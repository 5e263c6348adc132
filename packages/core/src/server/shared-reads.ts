import { assertCallOptions, OpencodeManagerError } from '../errors/index.ts';
import { defaultTimeoutMs, startDeadline, type CallOptions } from '../http/index.ts';

interface Reads<Value> {
  inFlight: Promise<Value> | undefined;
  next: Promise<Value> | undefined;
}

/**
 * Lets callers share reads of the same thing. A read that is in flight may have passed what the caller wants to see, so it is
 * not shared; the next one is. At most one read a key is in flight and one waits, however many ask.
 */
export function shareReads<Value>(read: (key: string) => Promise<Value>): (key: string) => Promise<Value> {
  const known = new Map<string, Reads<Value>>();

  function start(key: string, reads: Reads<Value>): Promise<Value> {
    const started = read(key).finally(() => {
      reads.inFlight = undefined;
      if (!reads.next) known.delete(key);
    });
    reads.inFlight = started;
    return started;
  }

  return (key) => {
    const reads = known.get(key) ?? { inFlight: undefined, next: undefined };
    known.set(key, reads);
    if (!reads.inFlight) return start(key, reads);
    reads.next ??= reads.inFlight
      .catch(() => undefined)
      .then(() => {
        reads.next = undefined;
        return start(key, reads);
      });
    return reads.next;
  };
}

/** Lets callers share one read for good. A read that fails is not remembered: the next caller reads again. */
export function rememberReads<Value>(read: (key: string) => Promise<Value>): (key: string) => Promise<Value> {
  const known = new Map<string, Promise<Value>>();
  return (key) => {
    const cached = known.get(key);
    if (cached) return cached;
    const started = read(key);
    known.set(key, started);
    started.catch(() => known.delete(key));
    return started;
  };
}

/**
 * Waits for a read that others wait for too. The deadline and the signal are this caller's: they end the wait, never the read.
 * @throws `REQUEST_TIMEOUT`, `REQUEST_ABORTED`, and whatever the read throws
 */
export async function joinRead<Value>(read: Promise<Value>, label: string, options: CallOptions = {}): Promise<Value> {
  // A caller that gives up does not hear of a failure that comes later.
  read.catch(() => undefined);
  assertCallOptions(label, options);
  const { timeoutMs = defaultTimeoutMs, signal } = options;
  if (signal?.aborted) throw aborted(label, signal);
  const given = Promise.withResolvers<never>();
  const onAbort = () => given.reject(aborted(label, signal!));
  const timer = startDeadline(timeoutMs, () => given.reject(timedOut(label, timeoutMs)));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([read, given.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

const aborted = (label: string, { reason }: AbortSignal) =>
  new OpencodeManagerError('REQUEST_ABORTED', `${label}: aborted by the caller.`, { cause: reason });

const timedOut = (label: string, timeoutMs: number) =>
  new OpencodeManagerError('REQUEST_TIMEOUT', `${label}: no answer within ${timeoutMs} ms.`, { details: { timeoutMs } });
