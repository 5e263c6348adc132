import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findBinary } from '@opencode-manager/core';
import {
  startPostgres,
  startRedis,
  startScriptedModel,
  temporaryWorkspace,
  type ScriptedModel,
  type TestEngine,
} from '@opencode-manager/testing';
import { Ocm } from '../ocm.ts';
import { openNetwork, type Network } from './network.ts';
import type { QueueSoakOptions } from './options.ts';
import { scriptOf, type QueuedTask } from './tasks.ts';

const execute = promisify(execFile);

/** All that a soak of a queue has on this machine. */
export interface QueuePlace extends AsyncDisposable {
  readonly root: string;
  readonly repository: string;
  readonly temporary: string;
  readonly model: ScriptedModel;
  readonly engine: TestEngine;
  readonly network: Network;
  /** The queue, through the network. */
  readonly url: string;
  readonly configFile: string;
  ocm(...args: readonly string[]): Ocm;
}

export async function openQueuePlace(options: QueueSoakOptions, tasks: readonly QueuedTask[]): Promise<QueuePlace> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'ocm-queue-soak-')));
  const [temporary, home, remote] = [join(root, 'tmp'), join(root, 'home'), join(root, 'remote.git')];
  await Promise.all([temporary, home].map((path) => mkdir(path)));
  const engine = await (options.backend === 'redis' ? startRedis() : startPostgres());
  const network = await openNetwork(() => engine.port);
  const workspace = await temporaryWorkspace({ files: { 'README.md': '# Soak\n' } });
  const git = (...args: readonly string[]) =>
    execute('git', ['-C', workspace.path, ...args], { env: { PATH: process.env['PATH'], HOME: home } });
  await git('clone', '--quiet', '--bare', workspace.path, remote);
  await git('remote', 'add', 'origin', remote);
  await git('fetch', '--quiet', 'origin');
  const model = await startScriptedModel(scriptOf(tasks));
  const configFile = join(root, 'opencode.json');
  await writeFile(configFile, JSON.stringify(model.opencodeConfig()));
  await writeFile(join(root, 'tasks.jsonl'), tasks.map(({ id, prompt }) => `${JSON.stringify({ id, prompt })}\n`).join(''));
  const { path: binary } = await findBinary();
  const cache = process.env['NODE_COMPILE_CACHE'] ?? join(root, 'compiled');
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    TMPDIR: temporary,
    OPENCODE_BIN: binary,
    LANG: 'C.UTF-8',
    NODE_COMPILE_CACHE: cache,
  };
  return {
    root,
    repository: workspace.path,
    temporary,
    model,
    engine,
    network,
    url: engine.url.replace(`:${engine.port}`, `:${network.port}`),
    configFile,
    ocm: (...args) => new Ocm({ env, repository: workspace.path }, args),
    async [Symbol.asyncDispose]() {
      await model.stop();
      await network[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      if (options.keep) return console.log(`kept: ${root} ${workspace.path}`);
      await workspace.remove();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
