/** Looks at one directory within so many milliseconds are one look: what begins together sees the same files. */
const sharedForMs = 20;

/**
 * Lets sessions that begin together share a look at their workspace, which costs the main thread a dozen calls of the file system.
 * A look that throws is not remembered.
 */
export function shareLooks<Seen>(look: (directory: string) => Seen): (directory: string) => Seen {
  const seen = new Map<string, Seen>();
  let untilMs = 0;
  return (directory) => {
    const nowMs = performance.now();
    if (nowMs >= untilMs) {
      seen.clear();
      untilMs = nowMs + sharedForMs;
    }
    if (seen.has(directory)) return seen.get(directory)!;
    const now = look(directory);
    seen.set(directory, now);
    return now;
  };
}
