import { fstatSync, fsyncSync, ftruncateSync, writeSync } from 'node:fs';
import type { Loss, Outlet } from './outlet.ts';

interface Line {
  readonly bytes: Buffer;
  readonly label: string | undefined;
}

/**
 * Lines of a file or a device, written at once. A full disk may have room again: what could not be written is tried again with
 * the next line and at the end.
 */
export class FileOutlet implements Outlet {
  readonly #fd: number;
  readonly #waiting: Line[] = [];
  /** Bytes of the first waiting line that are written: a disk fills up in the middle of one. */
  #written = 0;
  #failure: string | undefined;
  /** What the file holds goes with the first line. */
  #replaces: boolean;

  constructor(fd: number, { replaces = false }: { readonly replaces?: boolean } = {}) {
    this.#fd = fd;
    this.#replaces = replaces;
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  get pending(): number {
    return this.#waiting.length;
  }

  write(text: string | Uint8Array, label?: string): void {
    this.#waiting.push({ bytes: Buffer.from(text), label });
    this.#writeAll();
  }

  async flush(): Promise<Loss | undefined> {
    this.#writeAll();
    if (this.#failure === undefined) this.#sync();
    if (this.#failure === undefined) return undefined;
    this.#removeHalfLine();
    const labels = this.#waiting.map(({ label }) => label).filter((label) => label !== undefined);
    return { lines: this.#waiting.length, labels, why: this.#failure };
  }

  #writeAll(): void {
    if (this.#waiting.length === 0) return;
    try {
      if (this.#replaces) ftruncateSync(this.#fd, 0);
      this.#replaces = false;
      for (let line = this.#waiting[0]; line; line = this.#waiting[0]) {
        this.#written += writeSync(this.#fd, line.bytes, this.#written);
        if (this.#written < line.bytes.length) continue;
        this.#waiting.shift();
        this.#written = 0;
      }
      this.#failure = undefined;
    } catch (error) {
      this.#failure = codeOf(error);
    }
  }

  /** Some file systems say only now that they had no room. */
  #sync(): void {
    try {
      fsyncSync(this.#fd);
    } catch (error) {
      // Pipes and devices have nothing to be synced.
      if (!['EINVAL', 'ENOTSUP', 'EROFS', 'ENOSYS'].includes(codeOf(error))) this.#failure = codeOf(error);
    }
  }

  /** Whoever reads the file later reads whole lines. */
  #removeHalfLine(): void {
    if (this.#written === 0) return;
    try {
      const stats = fstatSync(this.#fd);
      if (stats.isFile()) ftruncateSync(this.#fd, stats.size - this.#written);
      this.#written = 0;
    } catch {
      // The loss is told; the half line stays.
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
