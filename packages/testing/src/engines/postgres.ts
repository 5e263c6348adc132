import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { askPort, freePort, runEngine, type TestEngine } from './engine.ts';

const execute = promisify(execFile);

/** Where Debian keeps its versions; they are not on PATH. */
const debian = '/usr/lib/postgresql';

/** The directory with `initdb` and `postgres`; undefined when there is none. */
export function findPostgres(): string | undefined {
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : [];
  const directories = [...versions.map((one) => join(debian, one, 'bin')), ...(process.env['PATH'] ?? '').split(delimiter)];
  return directories.find((one) => existsSync(join(one, 'initdb')) && existsSync(join(one, 'postgres')));
}

/**
 * Starts a PostgreSQL with a database of its own. It refuses to run as root, so root runs it as the user `postgres`.
 * @throws Error when none is installed, or it does not come up
 */
export async function startPostgres(): Promise<TestEngine> {
  const binaries = findPostgres();
  if (binaries === undefined) throw new Error('No PostgreSQL is installed. On Debian: apt-get install postgresql');
  const user = await userOfServer();
  const directory = await mkdtemp(join(tmpdir(), 'ocm-postgres-'));
  if (user) await chown(directory, user.uid, user.gid);
  const data = join(directory, 'data');
  const init = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C'];
  await execute(join(binaries, 'initdb'), init, { cwd: directory, ...user });
  const port = await freePort();
  const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: '200' };
  return runEngine({
    name: 'postgres',
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    directory,
    command: join(binaries, 'postgres'),
    args: ['-D', data, '-p', String(port), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    ...user,
    probe: () => probe(port),
  });
}

async function userOfServer(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (which) => Number((await execute('id', [which, 'postgres'])).stdout)));
  return { uid: uid!, gid: gid! };
}

/** Begins a session: it is answered with `R` (authentication) once the server takes any, with `E` while it starts. */
async function probe(port: number): Promise<void> {
  const words = Buffer.from('user\0postgres\0database\0postgres\0\0');
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + words.length, 0);
  head.writeInt32BE(196_608, 4);
  const answer = await askPort(port, Buffer.concat([head, words]));
  if (answer[0] !== 'R'.charCodeAt(0)) throw new Error(`It answered ${JSON.stringify(answer.toString())}`);
}
