/** Collects output in bounded memory: the newest `limit` characters, with secrets taken out when read. */
export interface OutputRing {
  push(chunk: string): void;
  /** The collected tail. */
  read(): string;
}

/** Secrets never leave the ring: `redact` takes them out of what is read. */
export function createOutputRing(limit: number, redact: (text: string) => string): OutputRing {
  let chunks: string[] = [];
  let length = 0;
  return {
    push(chunk) {
      chunks.push(chunk);
      length += chunk.length;
      // Joining on every other overflow only keeps the cost linear in what was printed.
      if (length <= limit * 2) return;
      // Secrets go before the cut: half of one would not be recognised later.
      const tail = redact(chunks.join('')).slice(-limit);
      chunks = [tail];
      length = tail.length;
    },
    read: () => redact(chunks.join('')).slice(-limit),
  };
}
