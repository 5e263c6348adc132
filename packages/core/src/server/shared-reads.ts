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
