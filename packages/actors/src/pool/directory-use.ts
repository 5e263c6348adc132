import type { ServerPort } from '../ports/index.ts';

export interface DirectoryUseOptions {
  /** The server of the moment; asked for at each use. */
  readonly server: () => ServerPort;
  /** Directories without a turn that the server may keep, besides its own. */
  readonly maxIdle: number;
}

/**
 * Knows in which directories the pool works, and lets the server forget the others: it keeps some 13 MB of each it has ever
 * worked in, and gets slower with their number. Those used last stay, because to meet one again costs half a second.
 */
export class DirectoryUse {
  readonly #options: DirectoryUseOptions;
  readonly #uses = new Map<string, number>();
  /** Without a use, the one used last at the end. */
  readonly #idle = new Set<string>();
  readonly #disposals = new Map<string, Promise<void>>();
  /** How directories are removed that are not to be used again. */
  readonly #removals = new Map<string, () => Promise<void>>();
  /** The one that has met what is idle: the next one has not. */
  #server: ServerPort;

  constructor(options: DirectoryUseOptions) {
    this.#options = options;
    this.#server = options.server();
  }

  /** How many directories the server of the moment holds: its own, those in use, and those that were used last. */
  get size(): number {
    const server = this.#options.server();
    const idle = server === this.#server ? this.#idle.size : 0;
    return this.#uses.size + idle + (this.#uses.has(server.directory) ? 0 : 1);
  }

  /** From now on the server keeps the directory. Resolves when it does not forget it any more: a turn that began before would end. */
  async enter(directory: string): Promise<void> {
    this.#uses.set(directory, (this.#uses.get(directory) ?? 0) + 1);
    this.#idle.delete(directory);
    await this.#disposals.get(directory);
  }

  /** Ends one use. */
  leave(directory: string): void {
    const left = (this.#uses.get(directory) ?? 0) - 1;
    if (left > 0) return void this.#uses.set(directory, left);
    this.#uses.delete(directory);
    const remove = this.#removals.get(directory);
    if (remove) this.#goesAway(directory, remove);
    else this.#rest(directory);
  }

  /** Ends one use of a directory that goes: with its last use it is removed, and who enters it meanwhile waits and finds it gone. */
  discard(directory: string, remove: () => Promise<void>): void {
    this.#removals.set(directory, remove);
    this.leave(directory);
  }

  #goesAway(directory: string, remove: () => Promise<void>): void {
    this.#removals.delete(directory);
    this.#noteDisposal(directory, remove());
  }

  #rest(directory: string): void {
    const server = this.#options.server();
    if (server !== this.#server) this.#idle.clear();
    this.#server = server;
    if (directory === server.directory) return;
    this.#idle.add(directory);
    for (const oldest of this.#idle) {
      if (this.#idle.size <= this.#options.maxIdle) return;
      this.#dispose(server, oldest);
    }
  }

  #dispose(server: ServerPort, directory: string): void {
    this.#idle.delete(directory);
    // Where somebody else works, or the server does not answer, the directory is kept until it has been used again.
    this.#noteDisposal(directory, server.disposeDirectory(directory));
  }

  #noteDisposal(directory: string, work: Promise<unknown>): void {
    const disposal = work.then(nothing, nothing);
    this.#disposals.set(directory, disposal);
    void disposal.then(() => this.#disposals.delete(directory));
  }
}

const nothing = (): void => undefined;
