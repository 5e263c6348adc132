const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Hands out message ids; each sorts after the one before. */
export interface MessageIds {
  next(): string;
}

export interface MessageIdOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** A number in [0, 1). */
  readonly random?: () => number;
}

/**
 * Ids in the server's own shape, so that ours sort among its own: `msg_`, 12 hex digits of
 * (milliseconds x 4096 + counter) mod 2^48, 14 base62 characters. An id makes a turn findable, not idempotent: opencode
 * appends to the message when the same id comes twice.
 */
export function createMessageIds({ now = Date.now, random = Math.random }: MessageIdOptions = {}): MessageIds {
  let last = 0n;
  return {
    next() {
      const base = BigInt(now()) * 4096n + 1n;
      last = base > last ? base : last + 1n;
      const ordered = (last % (1n << 48n)).toString(16).padStart(12, '0');
      const tail = Array.from({ length: 14 }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
      return `msg_${ordered}${tail}`;
    },
  };
}
