import { open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gone, namingRoom } from '../errors.ts';
import { syncDirectory } from './replace-file.ts';

const newline = 10;

/**
 * A file of lines that only grows. Guarantees:
 * - when `append` resolves its lines survive a loss of power;
 * - lines are written in the order of the calls; those of calls that wait for each other are synced together;
 * - a line that does not fit on the disk leaves no piece of itself.
 */
export class AppendFile {
  private readonly path: string;
  private readonly file: FileHandle;
  private readonly inode: number;
  private length: number;
  /** A piece of a line stands at the end. */
  private isTorn = false;
  private waiting: string[] = [];
  private next: Promise<void> | undefined;
  private last: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle, inode: number, length: number) {
    this.path = path;
    this.file = file;
    this.inode = inode;
    this.length = length;
  }

  /** Makes the file when it is missing. A last line that a crash cut off is removed: it was never told. @throws `RUN_STORAGE_FULL` */
  static async open(path: string): Promise<AppendFile> {
    const file = await open(path, 'a+', 0o600);
    try {
      const { ino, size } = await file.stat();
      const length = await wholeLines(file, size);
      if (length < size) await file.truncate(length);
      await file.sync();
      await syncDirectory(dirname(path));
      return new AppendFile(path, file, ino, length);
    } catch (error) {
      await file.close();
      throw namingRoom(error, path);
    }
  }

  /** @throws `RUN_STORAGE_FULL`; `RUN_GONE` when somebody has removed the file: what is written into it then is written nowhere */
  append(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    this.waiting.push(...lines);
    if (this.next === undefined) {
      this.next = this.last.then(() => this.write());
      this.last = this.next.catch(() => {});
    }
    return this.next;
  }

  /** Again is allowed. */
  async close(): Promise<void> {
    await this.last;
    await this.file.close();
  }

  private async write(): Promise<void> {
    const text = this.waiting.map((line) => `${line}\n`).join('');
    this.waiting = [];
    this.next = undefined;
    const there = await stat(this.path).catch(() => undefined);
    if (there?.ino !== this.inode) throw gone(this.path);
    try {
      if (this.isTorn) await this.file.truncate(this.length);
      this.isTorn = true;
      await this.file.appendFile(text);
      await this.file.datasync();
      this.length += Buffer.byteLength(text);
      this.isTorn = false;
    } catch (error) {
      await this.file.truncate(this.length).then(
        () => (this.isTorn = false),
        () => {},
      );
      throw namingRoom(error, this.path);
    }
  }
}

/** The length of a file up to the end of its last whole line. */
async function wholeLines(file: FileHandle, size: number): Promise<number> {
  const piece = Buffer.alloc(65_536);
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - piece.length);
    const { bytesRead } = await file.read(piece, 0, end - start, start);
    const at = piece.subarray(0, bytesRead).lastIndexOf(newline);
    if (at !== -1) return start + at + 1;
    end = start;
  }
  return 0;
}
