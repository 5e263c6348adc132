/** Collects output in bounded memory: the newest `limit` characters, with secrets taken out when read. */
export interface OutputRing {
  push(chunk: string): void;
  /** The collected tail. */
  read(): string;
}

/** `secrets` never leave the ring: each occurrence reads as `[secret]`. */
export function createOutputRing(limit: number, secrets: readonly string[]): OutputRing {
  const hidden = secrets.filter((secret) => secret.length >= 8);
  let chunks: string[] = [];
  let length = 0;
  return {
    push(chunk) {
      chunks.push(chunk);
      length += chunk.length;
      // Joining on every other overflow only keeps the cost linear in what was printed.
      if (length <= limit * 2) return;
      const tail = chunks.join('').slice(-limit);
      chunks = [tail];
      length = tail.length;
    },
    read() {
      const text = hidden.reduce((output, secret) => output.replaceAll(secret, '[secret]'), chunks.join(''));
      return text.slice(-limit);
    },
  };
}
