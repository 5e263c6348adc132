import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { repositoryFacts } from '@opencode-manager/workspaces';
import { execa } from 'execa';
import type { Places } from '../batch/identity.ts';
import type { QueuedPlace } from './manifest.ts';
import { unsuited } from './refuse.ts';

/** Says of each directory of tasks where other hosts find the same. Each repository is asked once. */
export class QueuedPlaces {
  readonly #baseOf: Places['baseOf'];
  readonly #known = new Map<string, Promise<QueuedPlace>>();

  constructor({ baseOf }: Pick<Places, 'baseOf'>) {
    this.#baseOf = baseOf;
  }

  /** @throws OpencodeManagerError `QUEUE_UNSUITED` */
  of(directory: string, mode: string, key: string): Promise<QueuedPlace> {
    if (mode === 'shared') return Promise.resolve({ type: 'shared', path: resolve(directory) });
    if (mode !== 'clone')
      throw unsuited(
        `Task ${key} asks for a workspace ${mode}; of a queue it works in a clone, or in a directory that all hosts see (shared)`,
      );
    const known = this.#known.get(directory) ?? this.#clone(directory);
    this.#known.set(directory, known);
    return known;
  }

  async #clone(directory: string): Promise<QueuedPlace> {
    const at = await realpath(directory);
    const [facts, commit] = await Promise.all([repositoryFacts(at).catch(() => undefined), this.#baseOf(at)]);
    if (!facts || commit === undefined)
      throw unsuited(`${directory} is no git repository with a commit. When all hosts see it at this path, say --workspace shared`);
    return { type: 'clone', url: await remoteWith(at, commit), commit, prefix: facts.prefix };
  }
}

/** The address of a remote that has a commit, by what git knows of its remotes. */
async function remoteWith(directory: string, commit: string): Promise<string> {
  const names = await git(directory, ['for-each-ref', `--contains=${commit}`, '--format=%(refname:lstrip=2)', 'refs/remotes']);
  const name = names.split('\n').find((one) => one !== '');
  if (name === undefined)
    throw unsuited(
      `No remote of ${directory} is known to have the commit ${commit.slice(0, 12)}, so other hosts cannot get it. Push it (git push) and fetch`,
    );
  const url = (await git(directory, ['remote', 'get-url', name.split('/')[0]!])).trim();
  const { username, password } = URL.canParse(url) ? new URL(url) : { username: '', password: '' };
  if (password !== '' || (username !== '' && username !== 'git'))
    throw unsuited(
      `The address of the remote ${name.split('/')[0]} of ${directory} holds credentials. Give it one without, and the hosts credentials of their own`,
    );
  // A path of this machine: the hosts see it too, or cannot get it.
  return url.startsWith('.') ? resolve(directory, url) : url;
}

async function git(directory: string, args: readonly string[]): Promise<string> {
  const { PATH, HOME } = process.env;
  const { stdout } = await execa('git', [...args], {
    cwd: directory,
    env: { PATH, HOME, LANG: 'C.UTF-8' },
    extendEnv: false,
    stdin: 'ignore',
  });
  return stdout;
}
