import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScriptedModel } from '@opencode-manager/testing';
import type { PlacedRow } from './place.ts';
import { callOf, normalised, readRoutes, type Json, type Reading } from './reading.ts';
import type { Turn } from './row.ts';

/** Deadline of a request, in milliseconds. */
const requestMs = 120_000;

/** An opencode as a user starts it: an ordinary home, no isolation, nothing of ours. */
export interface PlainOpencode extends AsyncDisposable {
  /** Reads a row that stands in the server's root. */
  read(placed: PlacedRow): Promise<Reading>;
}

export async function openPlain(
  root: string,
  binary: string,
  model: ScriptedModel,
  env: Readonly<Record<string, string>>,
): Promise<PlainOpencode> {
  const server = await startPlain(root, binary, env);
  return {
    async read(placed) {
      await request(server.url, 'POST', '/global/dispose', undefined, {});
      const get = (path: string) => request(server.url, 'GET', path, placed.directory);
      const reading = await answers(get, server.url, placed, model).catch((error: Error): Reading => ({ refused: error.message }));
      return normalised(reading, replacementsOf(placed, model.url));
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function answers(get: (path: string) => Promise<unknown>, url: string, placed: PlacedRow, model: ScriptedModel): Promise<Reading> {
  const routes = await readRoutes(get);
  const turns: Json[] = [];
  for (const turn of placed.row.turns ?? []) turns.push(await haveTurn(url, placed, model, turn));
  return { ...routes, turns };
}

async function haveTurn(url: string, { directory }: PlacedRow, model: ScriptedModel, turn: Turn): Promise<Json> {
  const before = model.turnCalls.length;
  try {
    const { id } = (await request(url, 'POST', '/session', directory, {})) as { id: string };
    const agent = turn.agent !== undefined && { agent: turn.agent };
    if (turn.command === undefined)
      await request(url, 'POST', `/session/${id}/message`, directory, { parts: [{ type: 'text', text: turn.prompt }], ...agent });
    else
      await request(url, 'POST', `/session/${id}/command`, directory, { command: turn.command, arguments: turn.arguments ?? '', ...agent });
  } catch (error) {
    return { refused: (error as Error).message };
  }
  const call = model.turnCalls[before];
  return call ? callOf(turn, call) : { refused: 'nothing reached the model' };
}

function replacementsOf({ root, home, work }: PlacedRow, modelUrl: string): [string, string][] {
  return [
    [join(home, '.config/opencode'), '<CONFIG>'],
    [join(home, '.local/share/opencode'), '<DATA>'],
    [join(root, 'tmp'), '<TMP>'],
    [home, '<HOME>'],
    [work, '<WORK>'],
    [root, '<ROOT>'],
    [modelUrl, '<MODEL>'],
  ];
}

interface PlainServer extends AsyncDisposable {
  readonly url: string;
}

async function startPlain(root: string, binary: string, env: Readonly<Record<string, string>>): Promise<PlainServer> {
  const [home, tmp, managed] = ['home', 'tmp', 'managed'].map((name) => join(root, name)) as [string, string, string];
  for (const path of [home, tmp, managed]) await mkdir(path, { recursive: true });
  const child = spawn(binary, ['serve', '--hostname=127.0.0.1', '--port=0'], {
    cwd: root,
    env: {
      PATH: process.env['PATH'] ?? '',
      LANG: 'C.UTF-8',
      SHELL: '/bin/bash',
      HOME: home,
      TMPDIR: tmp,
      ...env,
      // Where a row has none, opencode ignores that it is missing.
      OPENCODE_CONFIG: join(root, 'conf/opencode.json'),
      // What a machine or the network would put in.
      OPENCODE_TEST_MANAGED_CONFIG_DIR: managed,
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
      npm_config_offline: 'true',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  const end = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  try {
    return { url: await readyUrl(child), [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function readyUrl(child: ChildProcess): Promise<string> {
  let output = '';
  const deadline = AbortSignal.timeout(requestMs);
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
  for await (const text of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    output += text as string;
    const url = /listening on (http:\S+)/.exec(output)?.[1];
    if (url !== undefined) {
      child.stdout!.resume();
      return url;
    }
    deadline.throwIfAborted();
  }
  throw new Error(`opencode did not start: ${output}`);
}

async function request(url: string, method: string, path: string, directory?: string, body?: object): Promise<unknown> {
  const query = directory === undefined ? '' : `?directory=${encodeURIComponent(directory)}`;
  const response = await fetch(`${url}${path}${query}`, {
    method,
    signal: AbortSignal.timeout(requestMs),
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error((JSON.parse(text) as { name?: string }).name ?? `HTTP ${response.status}`);
  return text === '' ? undefined : JSON.parse(text);
}
