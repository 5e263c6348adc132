import type { Writable } from 'node:stream';
import type { FlushOptions, Loss, Outlet } from './outlet.ts';

/** Bytes of one write: a page of a pipe. The progress of a slow reader shows by the writes that end. */
const pieceBytes = 4096;

interface Piece {
  readonly bytes: Buffer;
  /** Set on the last piece of a line. */
  readonly line: { readonly label: string | undefined } | undefined;
}

/**
 * Lines of a pipe, a socket or a terminal. A full pipe is not written synchronously, whatever its documentation says: the
 * lines wait here until the reader takes them.
 */
export class StreamOutlet implements Outlet {
  readonly #stream: Writable;
  /** Written to the stream or not; a piece goes when it has left. */
  readonly #pieces = new Set<Piece>();
  readonly #unsent: Piece[] = [];
  #full = false;
  #failure: string | undefined;
  #onProgress: () => void = () => undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('drain', () => {
      this.#full = false;
      this.#send();
    });
    stream.on('error', (error: NodeJS.ErrnoException) => this.#fail(error.code ?? 'EPIPE'));
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  get pending(): number {
    return [...this.#pieces].filter(({ line }) => line).length;
  }

  write(text: string | Uint8Array, label?: string): void {
    const bytes = Buffer.from(text);
    for (let from = 0; from < bytes.length || from === 0; from += pieceBytes) {
      const isLast = from + pieceBytes >= bytes.length;
      const piece = { bytes: bytes.subarray(from, from + pieceBytes), line: isLast ? { label } : undefined };
      this.#pieces.add(piece);
      this.#unsent.push(piece);
    }
    this.#send();
  }

  async flush({ idleMs, signal }: FlushOptions): Promise<Loss | undefined> {
    const why = await this.#settled(idleMs, signal);
    const lines = [...this.#pieces].map(({ line }) => line).filter((line) => line !== undefined);
    if (lines.length === 0) return undefined;
    const labels = lines.map(({ label }) => label).filter((label) => label !== undefined);
    return { lines: lines.length, labels, why: this.#failure ?? why };
  }

  /** Why the wait ended; empty when everything has left. */
  #settled(idleMs: number, signal: AbortSignal | undefined): Promise<string> {
    return new Promise((resolve) => {
      const end = (why: string) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#onProgress = () => undefined;
        resolve(why);
      };
      const onAbort = () => end('signal');
      const timer = setTimeout(() => end('idle'), idleMs);
      this.#onProgress = () => (this.#pieces.size === 0 || this.#failure !== undefined ? end('') : timer.refresh());
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
      else this.#onProgress();
    });
  }

  #send(): void {
    if (this.#failure !== undefined) return;
    let sent = 0;
    for (; sent < this.#unsent.length && !this.#full; sent += 1) {
      const piece = this.#unsent[sent]!;
      this.#full = !this.#stream.write(piece.bytes, (error) => this.#left(piece, error));
    }
    this.#unsent.splice(0, sent);
  }

  #left(piece: Piece, error: NodeJS.ErrnoException | null | undefined): void {
    if (error) return this.#fail(error.code ?? 'EPIPE');
    this.#pieces.delete(piece);
    this.#onProgress();
  }

  #fail(code: string): void {
    this.#failure ??= code;
    this.#onProgress();
  }
}
