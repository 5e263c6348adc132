import { copyFile, link, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findBinary, findMarkedProcesses, launchServer, type OpencodeServer } from '@opencode-manager/core';
import { requests } from '../src/protocol/v2/requests.ts';
import { operationsUsed } from '../src/protocol/v2/operations-used.ts';
import { failureOf } from './support/failure.ts';
import { expectIsolation } from './support/isolation.ts';
import { opencode2, without2 } from './support/opencode-2.ts';
import { startBench, type Bench } from './support/server.ts';
import { isV2 } from './support/tested.ts';

const shows = 'env; tr "\\0" "\\n" < /proc/$PPID/environ';
const bash = (command: string, more: object = {}) => ({
  toolCalls: [{ name: 'bash', arguments: { command, description: 'run it', ...more } }],
});

const rules = [
  { when: { user: /^show/ }, reply: [bash(shows), 'Shown.'] },
  { when: { user: /^sleep/ }, reply: [bash('setsid sleep 71 & sleep 72'), 'Slept.'] },
  { when: { user: /^long/ }, reply: [bash('sleep 74', { background: true }), 'Started.'] },
  { when: { user: /^later/ }, reply: [bash('sleep 1.5; echo done > later', { background: true }), 'Started.'] },
  {
    when: { user: /^never/ },
    reply: [bash('sleep 73; echo done > never', { background: true }), { text: 'word '.repeat(100), tokensPerSecond: 10 }],
  },
  {
    when: { user: /^delegate/ },
    reply: [
      { toolCalls: [{ name: 'task', arguments: { description: 'sub', prompt: 'below', subagent_type: 'general', background: true } }] },
      'Started.',
    ],
  },
  { name: 'below', when: { user: /^below/ }, reply: { text: 'From far below, and deep', tokensPerSecond: 2 } },
  { when: { user: /^<subagent .*state="cancelled"/ }, reply: { text: 'word '.repeat(50), tokensPerSecond: 5 } },
  { name: 'told', when: { user: /^<(shell|subagent) / }, reply: 'It is {{user.1}} that has ended.' },
  { name: 'slow', when: { user: /^slow/ }, reply: { text: 'word '.repeat(100), tokensPerSecond: 10 } },
  { name: 'queued', when: { user: /^queued/ }, reply: 'From the queue.' },
  {
    when: { user: /^ask/ },
    reply: [
      {
        toolCalls: [
          {
            name: 'question',
            arguments: { questions: [{ question: 'Which?', header: 'One', options: [{ label: 'A', description: '' }] }] },
          },
        ],
      },
      'Chosen.',
    ],
  },
  { when: { user: /^spend/ }, reply: { error: { status: 429, message: 'Usage limit reached', retryAfterSeconds: 3600 } } },
  { when: { user: /^soon/ }, reply: { error: { status: 429, message: 'Usage limit reached', retryAfterSeconds: 5 } } },
  { when: { user: /^say (\S+)/ }, reply: 'I say {{user.1}}.' },
];

const sleepsOf = async (runId: string) =>
  (await findMarkedProcesses(runId))
    .map(({ command }) => command)
    .filter((command) => command.startsWith('sleep'))
    .toSorted();

const inboxOf = async ({ client }: OpencodeServer, sessionId: string) => (await client.call(requests.inbox(sessionId))).data;

/** As users of opencode 2 write it. */
const ownForm = (baseURL: string) => ({
  model: { providerID: 'scripted', model: 'model' },
  plugins: ['./good', { package: './file.js' }, '-opencode.browser'],
  providers: {
    scripted: {
      package: 'aisdk:@ai-sdk/openai-compatible',
      settings: { baseURL, apiKey: '{env:KEY_OF_SCRIPTED}' },
      models: { model: { capabilities: { tools: true, input: ['text'], output: ['text'] }, limit: { context: 200_000, output: 32_000 } } },
    },
  },
  agents: {
    reviewer: { description: 'reviews', mode: 'primary', permissions: [{ action: 'shell', resource: '*', effect: 'deny' }] },
    plan: { disabled: true },
  },
  commands: { greet: { template: 'say $ARGUMENTS' } },
  mcp: {
    servers: { broken: { type: 'local', command: ['/nonexistent'] }, off: { type: 'local', command: ['/nonexistent'], disabled: true } },
  },
  experimental: {
    policies: [
      { action: 'provider.use', resource: '*', effect: 'deny' },
      { action: 'provider.use', resource: 'scripted', effect: 'allow' },
    ],
  },
});

// The rest of this package's tests run on either (OPENCODE_BIN); these run beside those of opencode 1.
describe.skipIf(opencode2 === undefined)(`opencode 2${without2}`, () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(rules, opencode2 === undefined ? {} : { binary: opencode2 });
  });
  afterAll(() => bench?.[Symbol.asyncDispose]());

  test('reads, changes and joins nothing of its user', () => expectIsolation(opencode2));

  test('is found outside its package, where it says its version itself', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'installed-'));
    try {
      const path = join(directory, 'opencode');
      await link(opencode2!, path).catch(() => copyFile(opencode2!, path));
      const { version } = bench.server;
      expect(await findBinary({ environment: { PATH: directory } })).toEqual({ path, version, source: 'PATH', protocol: 'v2' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('describes all operations that are used of it', async () => {
    expect(operationsUsed(await bench.server.client.call(requests.openapi()))).toEqual([]);
  });

  test.skipIf(isV2)('has a state that an opencode 1 does not take (skipped where there is none)', async () => {
    const { server, workspace } = bench;
    const error = await failureOf(launchServer({ directory: workspace.path, stateDir: server.stateDir }));
    expect([error.code, error.message]).toEqual([
      'STATE_DIRECTORY_PROTOCOL',
      expect.stringContaining('holds a database of opencode 2.x; opencode 1.'),
    ]);
  });

  test('works with a configuration of its own form, and says which parts of it do not', async () => {
    const { model } = bench;
    const plugin = 'export default { id: "users.good", setup: async () => { globalThis.usersGood = true } }';
    await using place = await temporaryWorkspace({
      files: {
        'good/package.json': '{"name":"good","version":"1.0.0","type":"module","exports":"./index.js"}',
        'good/index.js': plugin,
        'file.js': plugin,
        'opencode.json': JSON.stringify(ownForm(model.url)),
      },
    });
    const path = (name: string) => pathToFileURL(join(place.path, name)).href;
    await using server = await launchServer({
      directory: bench.workspace.path,
      binary: opencode2!,
      opencodeConfig: join(place.path, 'opencode.json'),
      env: { KEY_OF_SCRIPTED: 'key-of-the-scripted' },
    });
    expect(await server.parts({ settled: true })).toEqual([
      { kind: 'provider', name: 'scripted', status: 'alive' },
      { kind: 'agent', name: 'reviewer', status: 'alive' },
      { kind: 'agent', name: 'plan', status: 'disabled' },
      { kind: 'mcp', name: 'broken', status: 'failed', reason: expect.any(String) },
      { kind: 'mcp', name: 'off', status: 'disabled' },
      { kind: 'plugin', name: path('good'), status: 'alive' },
      { kind: 'plugin', name: path('file.js'), status: 'failed', reason: expect.stringContaining('from a directory, not from a file') },
    ]);
    const session = await server.createSession();
    expect((await session.prompt('say hello', { agent: 'reviewer' })).text).toBe('I say hello.');
    expect((await session.executeCommand('greet', 'you')).text).toBe('I say you.');
    const { data } = await server.client.call(requests.plugins(server.directory));
    const active = data.flatMap(({ id, state }) => (state?.status === 'active' ? [id] : []));
    expect(active).toContain('users.good');
    // They would ask for models at ports of the user's machine.
    expect(active.filter((id) => /ollama|lmstudio|vllm/.test(id ?? ''))).toEqual([]);
  });

  test('shows its password to no tool and no shell line, nor in its environment', async () => {
    const { server, model } = bench;
    const session = await server.createSession();
    expect((await session.prompt('show')).text).toBe('Shown.');
    const { text: line } = await session.executeShell(shows);
    const block = await readFile(`/proc/${server.pid}/environ`, 'latin1');
    for (const text of [JSON.stringify(model.calls), line, block]) {
      expect(text).toContain(`OPENCODE_MANAGER_RUN_ID=${server.runId}`);
      expect(text).not.toContain(server.credentials().password);
    }
  });

  test('a turn is over when the shell and the sub-agent that it left in the background are, and that is answered', async () => {
    const session = await bench.server.createSession();
    expect((await session.prompt('later', { timeoutMs: 30_000 })).text).toBe('It is shell that has ended.');
    expect(await bench.workspace.read('later')).toBe('done\n');
    expect((await session.prompt('delegate', { timeoutMs: 30_000 })).text).toBe('It is subagent that has ended.');
    expect((await session.messages()).filter(({ info }) => info.role === 'user')).toHaveLength(2);
  });

  test('an abort ends what runs in the background, and takes queued prompts away', async () => {
    const { server, model } = bench;
    const session = await server.createSession();
    const turn = failureOf(session.prompt('never'));
    await vi.waitFor(async () => expect(await sleepsOf(server.runId)).toEqual(['sleep 73']), { timeout: 15_000, interval: 50 });
    // Somebody else's: our own prompts wait for each other.
    await server.client.call(
      requests.prompt(session.id, { id: 'msg_zzzzzzzzzzzzzzzzzzzzzzzzzz', text: 'queued', delivery: 'queue' } as never),
    );
    await vi.waitFor(async () => expect(await inboxOf(server, session.id)).toHaveLength(1), { timeout: 5000 });
    await session.abort();
    expect((await turn).code).toBe('TURN_ABORTED');
    // The end of the shell is told to the model with the next prompt.
    expect((await inboxOf(server, session.id)).map(({ type }) => type)).toEqual(['synthetic']);
    expect((await session.prompt('say after')).text).toBe('I say after.');
    expect(await sleepsOf(server.runId)).toEqual([]);
    expect(
      model.calls.filter(({ rule }) => rule === 'queued' || rule === 'told').filter(({ sessionId }) => sessionId === session.id),
    ).toEqual([]);
  });

  test('an abort ends a sub-agent in the background, for which alone the turn waits', async () => {
    const { server, model } = bench;
    const session = await server.createSession();
    const turn = failureOf(session.prompt('delegate'));
    const seen = () => model.calls.filter(({ rule, parentSessionId }) => rule === 'below' && parentSessionId === session.id);
    await vi.waitFor(async () => expect(JSON.stringify(await session.messages())).toContain('Started.'), { timeout: 15_000, interval: 50 });
    await session.abort();
    expect((await turn).code).toBe('TURN_ABORTED');
    expect((await server.snapshot()).status).toEqual({});
    await model.waitForIdle();
    expect(seen().map(({ outcome }) => outcome)).toEqual(['aborted']);
    expect((await session.prompt('say after')).text).toBe('I say after.');
  });

  test('a file that opencode cannot read is refused by its name, before a model is asked; others are sent once', async () => {
    const { server, model } = bench;
    const session = await server.createSession();
    const ask = (url: string, filename: string) =>
      session.prompt(
        [
          { type: 'text', text: 'say nothing' },
          { type: 'file', mime: 'image/png', filename, url },
        ],
        { timeoutMs: 30_000 },
      );
    const half = await failureOf(ask('data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA', 'half.png'));
    expect([half.code, half.message]).toEqual(['PROMPT_INVALID', expect.stringContaining('Image could not be decoded: half.png')]);
    const none = await failureOf(ask('data:image/png;base64,AAAA', 'none.png'));
    expect([none.code, none.message]).toEqual(['PROMPT_INVALID', expect.stringContaining('cannot read none.png')]);
    expect((await ask('data:text/plain;base64,QUFBQQ==', 'text.txt')).text).toBe('I say nothing.');
    const asked = model.turnCalls.filter(({ sessionId }) => sessionId === session.id);
    expect(asked.map(({ messages }) => JSON.stringify(messages.at(-1)).includes('AAAA'))).toEqual([true]);
    expect((await session.messages()).map(({ info }) => info.role)).toEqual(['user', 'assistant']);
  });

  test('a question that is rejected ends its turn at once', async () => {
    const session = await bench.server.createSession();
    expect((await failureOf(session.prompt('ask', { timeoutMs: 30_000 }))).code).toBe('INPUT_NEEDED');
    expect((await session.messages()).at(-1)?.info).toMatchObject({ role: 'assistant', completed: true, finish: 'tool-calls' });
    expect((await session.prompt('say after')).text).toBe('I say after.');
  });

  test('a spent quota names the time at which its provider wants to be asked again', async () => {
    const session = await bench.server.createSession();
    const startedAtMs = Date.now();
    const { message, details } = await failureOf(session.prompt('spend', { timeoutMs: 30_000 }));
    expect(message).toBe('The turn ended with provider.quota: Usage limit reached');
    const resetAtMs = Number(details?.['resetAtMs']);
    expect([resetAtMs >= startedAtMs + 3_600_000, resetAtMs <= Date.now() + 3_600_000]).toEqual([true, true]);
    expect((await failureOf(session.prompt('soon', { timeoutMs: 30_000 }))).details).not.toHaveProperty('resetAtMs');
  });

  // The last one: the first server ends.
  test('after SIGKILL in the midst of tools and texts, the same sessions go on in a new process, and nothing is repeated', async () => {
    const { server, model } = bench;
    const [busy, writing, waiting] = await Promise.all([server.createSession(), server.createSession(), server.createSession()]);
    const turns = [busy.prompt('sleep'), writing.prompt('slow'), waiting.prompt('long')].map(failureOf);
    await model.waitForCalls(1, { rule: 'slow' });
    await vi.waitFor(async () => expect(await sleepsOf(server.runId)).toEqual(['sleep 71', 'sleep 72', 'sleep 74']), {
      timeout: 15_000,
      interval: 50,
    });
    await vi.waitFor(async () => expect(JSON.stringify(await waiting.messages())).toContain('Started.'), { timeout: 15_000, interval: 50 });
    process.kill(server.pid, 'SIGKILL');
    expect((await Promise.all(turns)).map(({ code }) => code)).toEqual(['SERVER_EXITED', 'SERVER_EXITED', 'SERVER_EXITED']);
    const asked = model.calls.length;
    const next = await server.relaunch();
    expect([next.stateDir, next.runId, await sleepsOf(next.runId)]).toEqual([server.stateDir, server.runId, []]);
    expect((await next.snapshot()).status).toEqual({});
    expect(model.calls).toHaveLength(asked);
    for (const { id } of [busy, writing, waiting]) {
      const session = await next.getSession(id);
      expect((await session.prompt('say again', { timeoutMs: 15_000 })).text).toBe('I say again.');
      const roles = (await session.messages()).map(({ info }) => info.role);
      expect([roles[0], roles.slice(-2)]).toEqual(['user', ['user', 'assistant']]);
    }
    expect(model.calls).toHaveLength(asked + 3);
  });
});
