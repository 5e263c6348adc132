import { createHash } from 'node:crypto';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import { execa } from 'execa';
import type { QueuedPlace } from '../queue/manifest.ts';

type ClonedPlace = Extract<QueuedPlace, { type: 'clone' }>;

/** Clones of the repositories that tasks name, one a repository and commit: workspaces are made of them. */
export class Repositories {
  readonly #root: string;
  readonly #againMs: number;
  readonly #clones = new Map<string, Promise<string>>();
  readonly #commits = new Map<string, string>();

  /** One that cannot be had is tried again after `againMs`. */
  constructor(root: string, againMs: number) {
    this.#root = root;
    this.#againMs = againMs;
  }

  /**
   * The directory of a task in the clone of its repository.
   * @throws OpencodeManagerError `WORKSPACE_SOURCE_INVALID` when it cannot be had
   */
  async directoryOf({ url, commit, prefix }: ClonedPlace): Promise<string> {
    const name = createHash('sha256')
      .update(JSON.stringify([url, commit]))
      .digest('hex')
      .slice(0, 16);
    const clone = this.#clones.get(name) ?? this.#begin(name, url, commit);
    const directory = join(await clone, prefix);
    this.#commits.set(directory, commit);
    return directory;
  }

  #begin(name: string, url: string, commit: string): Promise<string> {
    const clone = this.#clone(url, commit, join(this.#root, name));
    this.#clones.set(name, clone);
    // A network that was away may be there for a later task; the next ones need not ask for it again.
    clone.catch(() => setTimeout(() => this.#clones.delete(name), this.#againMs).unref());
    return clone;
  }

  /** The commit on which workspaces of a directory begin. */
  baseOf(directory: string): string | undefined {
    return this.#commits.get(directory);
  }

  async #clone(url: string, commit: string, path: string): Promise<string> {
    if (await stat(path).catch(() => undefined)) await rm(path, { recursive: true, force: true });
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    try {
      await git(this.#root, ['clone', '--quiet', '--no-checkout', '--', url, path]);
      await git(path, ['checkout', '--quiet', '--detach', commit]).catch(async () => {
        // A commit that no branch reaches any more may be served by its name.
        await git(path, ['fetch', '--quiet', 'origin', commit]);
        await git(path, ['checkout', '--quiet', '--detach', commit]);
      });
      return path;
    } catch (error) {
      await rm(path, { recursive: true, force: true });
      const why = ((error as { stderr?: string }).stderr ?? (error as Error).message).trim().split('\n').at(-1)!;
      throw new OpencodeManagerError(
        'WORKSPACE_SOURCE_INVALID',
        `The repository ${url} at ${commit.slice(0, 12)} cannot be cloned (${withoutUser(why)}). Give this host access to it.`,
        { details: { url, commit }, cause: error },
      );
    }
  }
}

/** An address in which git's configuration of this host has put credentials is told to all who read the queue. */
function withoutUser(text: string): string {
  return text.replaceAll(/:\/\/[^/@\s]+@/g, '://');
}

/** With the credentials of this host: its own git configuration, keys and agents. Nothing is asked on a terminal. */
async function git(cwd: string, args: readonly string[]): Promise<void> {
  await execa('git', [...args], { cwd, env: { GIT_TERMINAL_PROMPT: '0', LANG: 'C.UTF-8' }, stdin: 'ignore', timeout: 30 * 60_000 });
}
