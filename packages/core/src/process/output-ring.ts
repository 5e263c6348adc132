/** Collects output in bounded memory: the newest `limit` characters, with secrets taken out when read. */
export interface OutputRing {
  push(chunk: string): void;
  /** The collected tail. */
  read(): string;
}

/** `secrets` never leave the ring: each occurrence reads as `[secret]`. */
export function createOutputRing(limit: number, secrets: readonly string[]): OutputRing {
  const hidden = secrets.filter((secret) => secret.length >= 8);
  const redact = (text: string) => hidden.reduce((output, secret) => output.replaceAll(secret, '[secret]'), text);
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
