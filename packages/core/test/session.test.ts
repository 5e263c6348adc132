import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isManagerError } from '@opencode-manager/core';
import { protocolNamed } from '@opencode-manager/core/protocol';
import { carriedShellLine, carryShellLine } from '../src/protocol/v1/shell-line.ts';
import { startFaultProxy, temporaryWorkspace } from '@opencode-manager/testing';
import { createHttpClient, type HttpClient } from '../src/http/index.ts';
import { createCatalogueReader } from '../src/server/catalogue.ts';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';
import { by, isV2 } from './support/tested.ts';

const rules = [
  { when: { user: /edit the readme/, toolResult: /./ }, reply: 'Edited.' },
  {
    when: { user: /edit the readme/ },
    reply: { toolCalls: [{ name: 'write', arguments: { filePath: 'readme.txt', content: 'second\n' } }] },
  },
  { when: { user: /sleep in a tool/, toolResult: /./ }, reply: 'Slept.' },
  { when: { user: /sleep in a tool/ }, reply: { toolCalls: [{ name: 'bash', arguments: { command: 'sleep 30', description: 'sleep' } }] } },
  { when: { user: /slow/ }, reply: { text: 'one two three four five six seven eight nine ten', tokensPerSecond: 4 } },
  { when: { user: /say (\w+)/ }, reply: 'I say {{user.1}}.' },
  { when: { user: /refuse/ }, reply: { error: { status: 400, message: 'this model refuses' } } },
  {
    when: { user: /^delegate (.+)/, toolResult: '' },
    reply: 'Delegated.',
  },
  {
    when: { user: { matches: '^delegate (.+)' } },
    reply: { toolCalls: [{ name: 'task', arguments: { description: 'sub', prompt: '{{user.1}}', subagent_type: 'general' } }] },
  },
  { when: { user: /instructions/ }, reply: 'Read.' },
  { when: { user: /find it/, toolResult: /needle-in-file/ }, reply: 'Found.' },
  { when: { user: /find it/, toolResult: /./ }, reply: 'Not found.' },
  { when: { user: /find it/ }, reply: { toolCalls: [{ name: 'grep', arguments: { pattern: 'needle' } }] } },
];

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(
    rules,
    {
      profile: 'interactive',
      opencodeConfig: {
        command: { shout: { template: 'say $1', description: 'repeats a word' }, learn: { template: 'read the instructions $ARGUMENTS' } },
      },
    },
    {
      'readme.txt': 'first\n',
      'hay.txt': 'a needle-in-file\n',
      'AGENTS.md': 'Always be brief, says the root.\n',
      'sub/AGENTS.md': 'The sub directory says hello.\n',
      'sub/a file.md': '',
    },
  );
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('turns', () => {
  test('a prompt ends with its text, its tokens and the four signals that prove the end', async () => {
    const session = await bench.server.createSession({ title: 'greeting' });
    const result = await session.prompt('say hello', { timeoutMs: 30_000 });
    expect(result.text).toBe('I say hello.');
    expect(result.usage.input).toBeGreaterThan(0);
    expect(result.usage.output).toBeGreaterThan(0);
    expect(Object.values(result.proof).map(({ source }) => source)).toEqual(['snapshot', 'snapshot', 'snapshot', 'snapshot']);
    expect(result.messages.map(({ info }) => info.id)).toEqual([result.answerId]);
  });

  test('prompts of one session wait for each other and each gets its own answer', async () => {
    const session = await bench.server.createSession();
    const words = ['alpha', 'beta', 'gamma', 'delta'];
    const results = await Promise.all(words.map((word) => session.prompt(`say ${word}`)));
    expect(results.map(({ text }) => text)).toEqual(words.map((word) => `I say ${word}.`));
    const history = await session.messages();
    expect(history.map(({ info }) => info.role)).toEqual(words.flatMap(() => ['user', 'assistant']));
  });

  test('five sessions at once each get their own answer', async () => {
    const words = ['one', 'two', 'three', 'four', 'five'];
    const texts = await Promise.all(
      words.map(async (word) => {
        const session = await bench.server.createSession({ title: word });
        return (await session.prompt(`say ${word}`)).text;
      }),
    );
    expect(texts).toEqual(words.map((word) => `I say ${word}.`));
  });

  test('a command of the configuration and a shell line run as turns', async () => {
    const session = await bench.server.createSession();
    expect((await session.executeCommand('shout', 'loudly')).text).toBe('I say loudly.');
    const shell = await session.executeShell('pwd; echo "password=[$OPENCODE_SERVER_PASSWORD] allocator=[${Malloc-engine}]"');
    expect(shell.text).toBe(`${bench.workspace.path}\npassword=[] allocator=[engine]\n`);
  });

  test('promptAsync resolves when the server has taken the prompt; unread() gives each message once', async () => {
    const session = await bench.server.createSession();
    const { messageId } = await session.promptAsync('say soon');
    expect(messageId).toMatch(/^msg_/);
    await vi.waitFor(async () => expect((await session.messages()).at(-1)?.info).toHaveProperty('completedAtMs'), { timeout: 15_000 });
    expect((await session.unread()).map(({ info }) => info.role)).toEqual(['user', 'assistant']);
    expect(await session.unread()).toEqual([]);
  });

  test("the workspace's AGENTS.md files reach prompts, commands and sub-agents in their directory, and nothing else", async () => {
    const root = await bench.server.createSession();
    await root.prompt('read the instructions of root');
    const sub = await bench.server.createSession({ directory: `${bench.workspace.path}/sub` });
    await sub.prompt('read the instructions of sub');
    await sub.executeCommand('learn', 'of a command');
    await sub.prompt('delegate instructions of a sub-agent');
    const systemOf = (text: string) =>
      JSON.stringify(
        bench.model.calls
          .find((call) => call.purpose === 'turn' && JSON.stringify(call.messages.at(-1)).includes(text))
          ?.messages.filter(({ role }) => role === 'system'),
      );
    expect(systemOf('instructions of root')).toContain('says the root');
    expect(systemOf('instructions of root')).not.toContain('sub directory says');
    const subAgents = by({ v1: '"instructions of a sub-agent', v2: String.raw`session.\ninstructions of a sub-agent` });
    for (const turn of ['instructions of sub', 'instructions of a command', subAgents])
      expect(systemOf(turn), turn).toMatch(/<\/env>.*sub directory says.*says the root/s);
    const others = bench.model.calls.filter(({ purpose }) => purpose !== 'turn').map(({ messages }) => JSON.stringify(messages));
    // opencode 2 asks for no title of a session that has one.
    expect(others.length > 0).toBe(!isV2);
    expect(others.filter((call) => call.includes('says the root'))).toEqual([]);
  });

  test("opencode's grep tool works with no ripgrep on PATH and no network", async () => {
    const session = await bench.server.createSession();
    expect((await session.prompt('find it')).text).toBe('Found.');
  });

  test("a provider's refusal is TURN_FAILED with its status", async () => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.prompt('refuse'));
    expect(error.code).toBe('TURN_FAILED');
    expect(error.message).toContain('this model refuses');
    expect(error.details).toMatchObject(
      by({
        v1: { kind: 'provider', name: 'APIError', statusCode: 400, retryable: false },
        v2: { kind: 'provider', name: 'provider.invalid-request', statusCode: 400 },
      }),
    );
  });

  test('a deadline ends the wait; the session goes on until it is aborted', async () => {
    const session = await bench.server.createSession();
    expect((await failureOf(session.prompt('slow', { timeoutMs: 600 }))).code).toBe('TURN_TIMEOUT');
    expect((await session.getState()).status).toBe('busy');
    await session.abort();
    expect((await session.getState()).status).toBe('idle');
  });
});

describe('bad input is refused before anything is sent', () => {
  test.each([
    ['an empty prompt', '  ', {}, 'PROMPT_INVALID', /is empty/],
    ['a NUL byte', 'a\0b', {}, 'PROMPT_INVALID', /NUL byte at character 1/],
    ['a prompt that is too large', 'x'.repeat(10_000_001), {}, 'PROMPT_INVALID', /10000001 characters; the limit is 10000000/],
    ['an unknown model', 'say x', { model: 'scripted/none' }, 'MODEL_UNKNOWN', /Known: scripted\/model/],
    ['a model without provider', 'say x', { model: 'none' }, 'MODEL_UNKNOWN', /none is unknown/],
    ['an unknown agent', 'say x', { agent: 'nobody' }, 'AGENT_UNKNOWN', /Known: build/],
  ] as const)('%s', async (_, prompt, options, code, message) => {
    const session = await bench.server.createSession();
    const calls = bench.model.calls.length;
    const error = await failureOf(session.prompt(prompt, options));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(bench.model.calls.length).toBe(calls);
    expect(await session.messages()).toEqual([]);
  });

  test('an unknown command, a missing directory, a malformed and an unknown session id', async () => {
    const session = await bench.server.createSession();
    expect((await failureOf(session.executeCommand('nothing'))).code).toBe('COMMAND_UNKNOWN');
    expect((await failureOf(bench.server.createSession({ directory: '/does/not/exist' }))).code).toBe('DIRECTORY_MISSING');
    expect((await failureOf(bench.server.getSession('bad id'))).code).toBe('NOT_FOUND');
    expect((await failureOf(bench.server.getSession('ses_0000000000000000000000000'))).code).toBe('NOT_FOUND');
  });
});

describe('history', () => {
  test('revert takes the files back and unrevert brings them again', async () => {
    const session = await bench.server.createSession();
    const { messageId } = await session.prompt('edit the readme');
    expect(await bench.workspace.read('readme.txt')).toBe('second\n');
    expect((await session.diff(messageId)).map(({ file }) => file)).toEqual(['readme.txt']);
    await session.revertMessage(messageId);
    expect(await bench.workspace.read('readme.txt')).toBe('first\n');
    await session.unrevert();
    expect(await bench.workspace.read('readme.txt')).toBe('second\n');
    expect((await failureOf(session.revertMessage('msg_unknown'))).code).toBe('MESSAGE_UNKNOWN');
  });
});

describe('abort and delete', () => {
  test('delete of a busy session ends its tool first; the session is gone', async () => {
    const session = await bench.server.createSession();
    const turn = failureOf(session.prompt('sleep in a tool'));
    await vi.waitFor(async () => expect(JSON.stringify(await session.messages())).toContain('"status":"running"'), { timeout: 15_000 });
    expect(await session.isAlive()).toBe(true);
    await session.delete();
    await turn;
    expect(await session.isAlive()).toBe(false);
    await session.delete();
    expect((await bench.server.snapshot()).status).toEqual({});
  });

  test('abortAll ends every busy session', async () => {
    const sessions = await Promise.all([1, 2, 3].map(() => bench.server.createSession()));
    const turns = sessions.map((session) => failureOf(session.prompt('slow all')));
    await vi.waitFor(async () => expect(Object.keys((await bench.server.snapshot()).status).length).toBe(3), { timeout: 15_000 });
    expect(await bench.server.abortAll()).toBe(3);
    expect((await Promise.all(turns)).map(({ code }) => code)).toEqual(['TURN_ABORTED', 'TURN_ABORTED', 'TURN_ABORTED']);
  });
});

describe('the server', () => {
  test('forgets a directory, not its sessions; not while one of them is busy', async () => {
    await using other = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
    const session = await bench.server.createSession({ directory: other.path });
    const turn = session.prompt('slow turn');
    await vi.waitFor(async () => expect((await bench.server.snapshot(other.path)).status).not.toEqual({}), { timeout: 15_000 });
    expect(await bench.server.disposeDirectory(other.path)).toBe(false);
    expect((await turn).text).toContain('ten');
    expect(await bench.server.disposeDirectory(other.path)).toBe(!isV2);
    expect((await session.prompt('say again')).text).toBe('I say again.');
    expect((await session.messages()).length).toBe(4);
  });

  test('lists more than the 100 sessions that opencode gives by default', async () => {
    const before = (await bench.server.listSessions()).length;
    await Promise.all(Array.from({ length: 110 }, () => bench.server.createSession({ title: 'many' })));
    expect((await bench.server.listSessions()).length).toBe(before + 110);
  });

  test.skipIf(isV2)('the official SDK connects with credentials() (opencode 1 only: it is of 1.x)', async () => {
    const { url, authorization } = bench.server.credentials();
    const client = createOpencodeClient({ baseUrl: url, headers: { authorization }, directory: bench.workspace.path });
    const { data } = await client.config.get();
    expect(data?.model).toBe('scripted/model');
    expect(data?.username).toBe(bench.server.runId);
  });

  test('answers of the server map to coded errors', async () => {
    const { client } = bench.server;
    const session = await bench.server.createSession();
    const raw = (path: string, method: 'GET' | 'POST' = 'GET', body?: unknown) =>
      failureOf(client.call({ method, path, answer: 'json', ...(body !== undefined && { body }) }));
    const prompt = by({ v1: `/session/${session.id}/prompt_async`, v2: `/api/session/${session.id}/prompt` });
    const [reply, decision] = by({
      v1: ['/permission/per_0000/reply', { reply: 'once' }],
      v2: [`/api/session/${session.id}/permission/per_0000/reply`, { decision: 'once' }],
    });
    expect((await raw(prompt, 'POST', {})).code).toBe('BAD_REQUEST');
    expect((await raw(reply, 'POST', decision)).code).toBe('NOT_FOUND');
    expect((await raw('/no/such/route')).code).toMatch(/RESPONSE_INVALID|SERVER_ERROR/);
    const turn = failureOf(session.prompt('slow again'));
    await vi.waitFor(async () => expect((await session.getState()).status).toBe('busy'), { timeout: 15_000 });
    const operations = bench.server.operations(session.id);
    const shell = operations.submit({ kind: 'shell', messageId: 'msg_203599750f00100000000000000', command: 'true' });
    // opencode 2 runs a line beside a turn.
    if (isV2) await shell;
    else expect((await failureOf(shell)).code).toBe('SESSION_BUSY');
    const [asked] = await operations.messages();
    expect((await failureOf(operations.revert(asked!.info.id))).code).toBe('SESSION_BUSY');
    await session.abort();
    await turn;
  });
});

// What a user writes, what it prints in bash, and its exit code there.
const lines: readonly (readonly [line: string, printed: string, exitCode: number | null])[] = [
  ['exit 3', '', 3],
  ['true', '', 0],
  ['false; echo $?', '1\n', 0],
  ['echo one\necho two; false', 'one\ntwo\n', 1],
  [`printf '%s|' "a  b" 'c"d' e\\'f '$HOME' \`echo g\``, `a  b|c"d|e'f|$HOME|g|`, 0],
  ['cat <<EOF\n$((1 + 1)) )\nEOF', '2 )\n', 0],
  ['echo end # a comment', 'end\n', 0],
  ['set -e; false; echo never', '', 1],
  ['exec sh -c "exit 7"', '', 7],
  ['ls sub/*.md | wc -l | tr -d " "', '2\n', 0],
  ['trap "echo left" EXIT; exit 5', 'left\n', 5],
  ['(exit 4)', '', 4],
  ['nonsense-command 2>/dev/null', '', 127],
  ['echo "ä € 🦊 !x"', 'ä € 🦊 !x\n', 0],
  ['echo before; kill -9 $$', 'before\n', null],
];

test.concurrent.each(lines)('the line %j prints what it prints in a shell, and its exit code is known', async (line, printed, exitCode) => {
  const session = await bench.server.createSession();
  const result = await session.executeShell(line, { timeoutMs: 60_000 });
  expect([result.text, result.exitCode]).toEqual([printed, exitCode]);
  const commands = (await session.messages()).flatMap(({ parts }) =>
    parts.map((part) => part.type === 'tool' && (part.input as { command?: unknown }).command),
  );
  expect(commands).toContain(line);
  expect(JSON.stringify(await session.messages())).not.toContain('base64');
});

test.concurrent.each(['if', 'echo "open', 'echo )'])(
  `a line whose syntax is wrong has ${by({ v1: 'no exit code', v2: 'the exit code of bash' })}: %s`,
  async (line) => {
    const session = await bench.server.createSession();
    const { exitCode, text } = await session.executeShell(line, { timeoutMs: 60_000 });
    expect([exitCode, text]).toEqual([by({ v1: null, v2: 2 }), expect.stringMatching(/syntax error|unexpected/)]);
  },
);

test('a line is found again in the one that carries it, and no other is taken for one', () => {
  const odd = `a '\n$(b) \\ "ä`;
  expect(carriedShellLine(carryShellLine(odd, "/with space/and 'quote'/exit-msg_1a"))).toEqual({ line: odd, messageId: 'msg_1a' });
  const encode = (text: string) => `$(printf %s ${Buffer.from(text).toString('base64')} | base64 -d)`;
  const others = ['ls', '$(printf %s AAAA | base64 -d)', encode('( ls\n); echo'), `${carryShellLine('ls', '/x/exit-msg_1')}; rm x`];
  expect(others.map((other) => carriedShellLine(other))).toEqual([undefined, undefined, undefined, undefined]);
});

const routes = by({ v1: { agents: '/agent', commands: '/command' }, v2: { agents: '/api/agent', commands: '/api/command' } });

/** A client whose requests pass through a proxy. */
async function throughProxy() {
  const proxy = await startFaultProxy({ target: bench.server.url });
  const client: HttpClient = createHttpClient(
    { ...bench.server.credentials(), url: proxy.url },
    { redactor: bench.server.redactor, readError: protocolNamed(bench.server.protocol).readError },
  );
  return {
    proxy,
    read: createCatalogueReader(protocolNamed(bench.server.protocol).calls(client), () => undefined),
    [Symbol.asyncDispose]: () => client.close().then(() => proxy.stop()),
  };
}

describe("a directory's catalogue", () => {
  test("is read once; one caller's signal or deadline does not end the read of the others", async () => {
    await using through = await throughProxy();
    const { proxy, read } = through;
    proxy.rule({ when: { path: routes.agents }, fault: { type: 'stall', at: 'response' } });
    const caller = new AbortController();
    const directory = bench.workspace.path;
    const [first, second, third] = [read(directory, { signal: caller.signal }), read(directory, { timeoutMs: 50 }), read(directory)];
    const codes = [failureOf(first), failureOf(second)];
    await proxy.waitForFaults(1);
    caller.abort();
    expect((await Promise.all(codes)).map(({ code }) => code)).toEqual(['REQUEST_ABORTED', 'REQUEST_TIMEOUT']);
    proxy.resume();
    expect((await third).models).toEqual(['scripted/model', 'scripted/small']);
    expect(await read(directory)).toEqual(await third);
    expect(proxy.requests.filter(({ path }) => path.startsWith(routes.agents)).length).toBe(1);
  });

  test('a read that failed is not remembered', async () => {
    await using through = await throughProxy();
    through.proxy.rule({ when: { path: routes.commands }, times: 1, fault: { type: 'drop', at: 'response' } });
    expect((await failureOf(through.read(bench.workspace.path))).code).toBe('CONNECTION_LOST');
    expect((await through.read(bench.workspace.path)).agents).toContain('build');
  });
});

test("the state of a directory: one caller's deadline and signal are its own", async () => {
  const caller = AbortSignal.abort(new Error('not any more'));
  const reads = [
    bench.server.snapshot(undefined, { signal: caller }),
    bench.server.snapshot(),
    bench.server.snapshot(undefined, { timeoutMs: 0 }),
  ];
  const [aborted, whole, late] = await Promise.allSettled(reads);
  expect(whole).toMatchObject({ status: 'fulfilled', value: { status: {} } });
  for (const [settled, code] of [
    [aborted, 'REQUEST_ABORTED'],
    [late, 'REQUEST_TIMEOUT'],
  ] as const) {
    expect(settled!.status === 'rejected' && isManagerError(settled!.reason, code)).toBe(true);
  }
});
