import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { launchServer, type OpencodeServer } from '@opencode-manager/core';
import {
  opencodeUnderTest,
  startScriptedModel,
  temporaryWorkspace,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { LeasedWorkspace, WorkspaceSource } from '../../src/index.ts';
import { createSessionPool } from '../support/pool.ts';

/** A tool in the server that does not hear of its abort: a file of its own, or of a plugin, as opencode 2 wants it. */
const work = `import { appendFileSync } from 'node:fs';
async function work(directory) {
  for (let n = 0; n < 600; n += 1) {
    appendFileSync(directory + '/deaf.txt', '.');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return 'done';
}
`;
const deaf = opencodeUnderTest().by<Record<string, string>>({
  v1: { 'tool/deaf.js': `${work}export default { description: 'deaf', args: {}, execute: (_, { directory }) => work(directory) };\n` },
  v2: {
    'plugin/deaf.js': `${work}const options = { codemode: false };
export default { id: 'deaf', setup: ({ location, tool }) => tool.transform((tools) => tools.add({
  name: 'deaf', description: 'deaf', options, input: { type: 'object', properties: {} },
  execute: async () => ({ content: await work(location.directory) }),
})) };
`,
  },
});
const bash = { name: 'bash', arguments: { command: 'touch began.txt; sleep 300', description: 'wait' } };

let model: ScriptedModel;
let home: TemporaryWorkspace;
let config: TemporaryWorkspace;
beforeAll(async () => {
  model = await startScriptedModel({
    rules: [
      { when: { user: /^deaf/ }, reply: { toolCalls: [{ name: 'deaf', arguments: {} }] } },
      // A tool that was ended is no end of its turn.
      { when: { user: /^wait/ }, reply: [{ toolCalls: [bash] }, { text: 'word '.repeat(400), tokensPerSecond: 4 }] },
      { reply: 'Said.' },
    ],
  });
  home = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  config = await temporaryWorkspace({ git: false, files: deaf });
});
afterAll(async () => {
  for (const thing of [model, home, config]) await thing[Symbol.asyncDispose]();
});

const launch = () =>
  launchServer({ directory: home.path, opencodeConfig: model.opencodeConfig(), opencodeConfigDir: config.path, startupTimeoutMs: 60_000 });

/** One place, with what is asked of it. */
async function onePlace(): Promise<WorkspaceSource & AsyncDisposable & { readonly log: string[]; readonly at: (name: string) => string }> {
  const place = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  const log: string[] = [];
  const lease: LeasedWorkspace = {
    directory: place.path,
    capture: async () => (log.push('capture'), null),
    release: async () => void log.push('release'),
  };
  return {
    log,
    at: (name) => join(place.path, name),
    acquire: async () => lease,
    [Symbol.asyncDispose]: () => place.remove(),
  };
}

const atLast = { timeout: 60_000, interval: 20 };

test('the place of a tool that goes on in the server after its abort is neither captured nor released before the server has ended', async () => {
  await using source = await onePlace();
  await using server = await launch();
  await using pool = await createSessionPool({ server, workspaces: source });
  const enough = new AbortController();
  const turn = pool.run({ id: 'deaf', prompt: 'deaf' }, { signal: enough.signal });
  await vi.waitFor(() => expect(existsSync(source.at('deaf.txt'))).toBe(true), atLast);
  enough.abort();
  const result = await turn;
  expect(result).toMatchObject({ outcome: 'aborted', notes: [expect.stringContaining('may still run in the server')] });
  expect(result).not.toHaveProperty('patch');
  const written = await readFile(source.at('deaf.txt'), 'utf8');
  // opencode says that it is idle, and the tool writes on.
  await vi.waitFor(async () => expect(await readFile(source.at('deaf.txt'), 'utf8')).not.toBe(written), atLast);
  await pool.drain();
  await pool.stop();
  expect(source.log).toEqual([]);
  await server.stop();
  await vi.waitFor(() => expect(source.log).toEqual(['release']), atLast);
});

/** Its aborts reach nobody. */
function withoutAborts(server: OpencodeServer): OpencodeServer {
  return {
    ...server,
    createOperations: async (options) => ({ ...(await server.createOperations(options)), abort: async () => undefined }),
  };
}

test('the place of a turn that no abort ends stays until another server has taken over and its own has ended', async () => {
  await using source = await onePlace();
  await using first = await launch();
  await using pool = await createSessionPool({
    server: withoutAborts(first),
    workspaces: source,
    recovery: true,
    permissions: 'allow',
    abortTimeoutMs: 300,
  });
  const gone = first.exited.then(() => source.log.push('server ended'));
  const enough = new AbortController();
  const turn = pool.run({ id: 'wait', prompt: 'wait' }, { signal: enough.signal });
  await vi.waitFor(() => expect(existsSync(source.at('began.txt'))).toBe(true), atLast);
  enough.abort();
  const result = await turn;
  expect(result).toMatchObject({ outcome: 'aborted', proof: null, notes: [expect.stringContaining('the end of its turn was not seen')] });
  expect(result).not.toHaveProperty('patch');
  await gone;
  await vi.waitFor(() => expect(source.log).toEqual(['server ended', 'release']), atLast);
  expect((await pool.run({ prompt: 'say', workspace: 'shared' })).output).toBe('Said.');
});
