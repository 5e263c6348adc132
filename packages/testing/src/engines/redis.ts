import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { askPort, freePort, runEngine, type TestEngine } from './engine.ts';

/** The `redis-server` or `valkey-server` on PATH; undefined when there is none. */
export function findRedis(): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return ['redis-server', 'valkey-server'].flatMap((name) => directories.map((one) => join(one, name))).find(existsSync);
}

/** Starts a Redis that loses nothing it has answered. @throws Error when none is installed, or it does not come up */
export async function startRedis(): Promise<TestEngine> {
  const command = findRedis();
  if (command === undefined) throw new Error('No redis-server is on PATH. On Debian: apt-get install redis-server');
  const directory = await mkdtemp(join(tmpdir(), 'ocm-redis-'));
  const port = await freePort();
  return runEngine({
    name: 'redis',
    url: `redis://127.0.0.1:${port}`,
    port,
    directory,
    command,
    args: [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
    ],
    async probe() {
      const answer = await askPort(port, Buffer.from('PING\r\n'));
      if (!answer.toString().startsWith('+PONG')) throw new Error(answer.toString());
    },
  });
}
