import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startScriptedModel, temporaryWorkspace, type Rule, type ScriptedModel, type TemporaryWorkspace } from '../src/index.ts';
import { startOpencode, textOf, type Message, type TestServer } from './support/opencode.ts';

/** Events can come seconds after the answer on a busy machine. */
const eventDeadline = { timeout: 10_000 };

const rules: Rule[] = [
  {
    name: 'echo',
    when: { user: /say (\w+)/ },
    reply: {
      text: 'You said {{user.1}}, and I repeat it: {{user.1}}.',
      reasoning: 'An easy one.',
      tokensPerSecond: 100,
      usage: { inputTokens: 100, outputTokens: 20, reasoningTokens: 5 },
    },
  },
  {
    name: 'bash',
    when: { user: 'run it' },
    reply: [
      { toolCalls: [{ name: 'bash', arguments: { command: 'echo from-$((40 + 2))', description: 'Add' } }] },
      'It printed: {{toolResult}}',
    ],
  },
  {
    name: 'files',
    when: { user: 'change the files' },
    reply: [
      {
        toolCalls: [
          { name: 'write', arguments: { filePath: 'new.txt', content: 'fresh\n' } },
          { name: 'read', arguments: { filePath: 'old.txt' } },
        ],
      },
      { toolCalls: [{ name: 'edit', arguments: { filePath: 'old.txt', oldString: 'two', newString: 'three' } }] },
      'Edited: {{toolResult}}',
    ],
  },
  {
    name: 'bad tool',
    when: { user: 'bad tool' },
    reply: [{ toolCalls: [{ name: 'bash', arguments: '{"command": ' }] }, 'The tool call was refused.'],
  },
  {
    name: 'delegate',
    when: { user: 'delegate' },
    reply: [
      { toolCalls: [{ name: 'task', arguments: { description: 'A sub-task', prompt: 'say hello', subagent_type: 'general' } }] },
      'The sub-agent is done.',
    ],
  },
  { name: 'rate limit', when: { user: 'limited' }, times: 1, reply: { error: { status: 429, retryAfterMs: 300 } } },
  { name: 'broken server', when: { user: 'status 500' }, times: 1, reply: { error: { status: 500 } } },
  { name: 'cut', when: { user: 'cut off' }, times: 1, reply: { text: 'a b c d e f', fault: 'cut-mid-stream' } },
  { name: 'refused connection', when: { user: 'no connection' }, times: 1, reply: { fault: 'cut-before-headers' } },
  { name: 'error event', when: { user: 'error event' }, times: 1, reply: { text: 'a b', fault: 'error-in-stream' } },
  { name: 'web page', when: { user: 'web page' }, times: 3, reply: { fault: 'html' } },
  { name: 'empty', when: { user: 'empty' }, times: 3, reply: { fault: 'empty' } },
  { name: 'unauthorized', when: { user: 'no key' }, reply: { error: { status: 401 } } },
  { name: 'malformed', when: { user: 'malformed' }, reply: { text: 'a b c d', fault: 'malformed-json' } },
  { name: 'overflow', when: { user: 'too long' }, times: 1, reply: { fault: 'context-overflow' } },
  { name: 'length', when: { user: 'length' }, reply: { text: 'cut sh', finish: 'length' } },
  { name: 'no finish', when: { user: 'endless' }, times: 6, reply: { text: 'again', fault: 'no-finish' } },
  { name: 'hang', when: { user: 'hang at once' }, reply: { fault: 'hang-before-headers' } },
  { name: 'hang in the middle', when: { user: 'hang in the middle' }, reply: { text: 'one two three four', fault: 'hang-mid-stream' } },
];

let workspace: TemporaryWorkspace;
let model: ScriptedModel;
let server: TestServer;

beforeAll(async () => {
  workspace = await temporaryWorkspace({ files: { 'old.txt': 'one\ntwo\n' } });
  model = await startScriptedModel({ rules, default: 'fine again' });
  server = await startOpencode({ directory: workspace.path, config: model.opencodeConfig() });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await model?.stop();
  await workspace?.remove();
});

/** A prompt in a session of its own. */
async function ask(text: string): Promise<{ sessionId: string; message: Message }> {
  const sessionId = await server.createSession({ title: text });
  return { sessionId, message: await server.prompt(sessionId, text) };
}

function statusOf(sessionId: string) {
  return server.events.flatMap(({ type, properties }) =>
    type === 'session.status' && properties.sessionID === sessionId ? [properties.status] : [],
  );
}

function callsOf(sessionId: string) {
  return model.turnCalls.filter((call) => call.sessionId === sessionId);
}

describe('opencode with a scripted model', () => {
  it('streams text and reasoning and reports the tokens', async () => {
    const { sessionId, message } = await ask('say banana');
    expect(textOf(message)).toBe('You said banana, and I repeat it: banana.');
    expect(message.parts.find(({ type }) => type === 'reasoning')?.text).toBe('An easy one.');
    expect(message.info.tokens).toMatchObject({ input: 100, output: 15, reasoning: 5 });
    const deltas = () =>
      server.events.filter(({ type, properties }) => type === 'message.part.delta' && properties.sessionID === sessionId);
    await expect.poll(() => deltas().length, eventDeadline).toBeGreaterThanOrEqual(10);
  });

  it('gives five sessions at once their own answers', async () => {
    const words = ['ant', 'bee', 'cat', 'dog', 'eel'];
    const answers = await Promise.all(words.map((word) => ask(`say ${word}`)));
    expect(answers.map(({ message }) => textOf(message))).toEqual(words.map((word) => `You said ${word}, and I repeat it: ${word}.`));
  });

  it('runs tools and goes on with their results', async () => {
    const { sessionId, message } = await ask('run it');
    expect(textOf(message).trim()).toBe('It printed: from-42');
    expect(callsOf(sessionId).map(({ rule, step }) => [rule, step])).toEqual([
      ['bash', 0],
      ['bash', 1],
    ]);
  });

  it('changes files', async () => {
    const { message } = await ask('change the files');
    expect(textOf(message)).toContain('Edited:');
    await expect(workspace.changedFiles()).resolves.toEqual(['new.txt', 'old.txt']);
    await expect(workspace.read('old.txt')).resolves.toBe('one\nthree\n');
  });

  it('hears of tool calls that make no sense', async () => {
    const { message } = await ask('bad tool');
    expect(textOf(message)).toBe('The tool call was refused.');
  });

  it('is asked by sub-agents, which name their parent', async () => {
    const { sessionId, message } = await ask('delegate');
    expect(textOf(message)).toBe('The sub-agent is done.');
    const children = model.turnCalls.filter(({ parentSessionId }) => parentSessionId === sessionId);
    expect(children.map(({ rule, user }) => [rule, user])).toEqual([['echo', 'say hello']]);
  });

  it('is asked for a title apart from the turn', async () => {
    const sessionId = await server.createSession();
    await server.prompt(sessionId, 'say title');
    const [title] = await model.waitForCalls(1, { purpose: 'title' });
    expect(title).toMatchObject({ sessionId, model: 'small', tools: [], rule: null });
    await expect
      .poll(async () => (await server.request<{ title: string }>('GET', `/session/${sessionId}`)).title, eventDeadline)
      .toBe('Scripted session');
    expect(callsOf(sessionId)).toHaveLength(1);
  });

  it('is asked for a summary apart from the turn', async () => {
    const { sessionId } = await ask('say much');
    await server.request('POST', `/session/${sessionId}/summarize`, { providerID: 'scripted', modelID: 'model' });
    const summaries = await model.waitForCalls(1, { purpose: 'summary' });
    expect(summaries.at(-1)).toMatchObject({ sessionId, model: 'model', tools: [] });
    expect(callsOf(sessionId)).toHaveLength(1);
  });
});

describe('opencode with a failing model', () => {
  // Each waits for two seconds before it asks again.
  it.concurrent.for([
    ['limited', 'rate limit', 'Rate limit reached for requests'],
    ['status 500', 'broken server', 'The server had an error while processing your request'],
    ['cut off', 'cut', 'Connection reset by server'],
    ['no connection', 'refused connection', expect.stringContaining('The socket connection was closed unexpectedly') as string],
    ['error event', 'error event', expect.stringContaining('The server had an error while processing your request') as string],
  ] as const)('asks again after "%s"', async ([prompt, rule, reason], concurrent) => {
    const { sessionId, message } = await ask(prompt);
    expect(textOf(message)).toBe('fine again');
    expect(callsOf(sessionId).map((call) => call.rule)).toEqual([rule, null]);
    await concurrent.expect
      .poll(() => statusOf(sessionId), eventDeadline)
      .toContainEqual(expect.objectContaining({ type: 'retry', attempt: 1, message: reason }));
  });

  it.each([
    ['no key', { name: 'APIError', data: { message: 'Incorrect API key provided', statusCode: 401 } }],
    ['malformed', { name: 'UnknownError', data: { message: expect.stringContaining('JSON parsing failed') as string } }],
  ])('ends the turn after "%s"', async (prompt, error) => {
    const { message } = await ask(prompt);
    expect(message.info.error).toMatchObject(error);
  });

  it('summarises and goes on when the context is too long', async () => {
    const { sessionId, message } = await ask('too long');
    expect(textOf(message)).toBe('fine again');
    expect(model.calls.filter((call) => call.sessionId === sessionId).map(({ purpose, rule }) => [purpose, rule])).toEqual([
      ['turn', 'overflow'],
      ['summary', null],
      ['turn', null],
    ]);
  });

  it('takes a finish by length as an end', async () => {
    const { message } = await ask('length');
    expect([textOf(message), message.info.finish]).toEqual(['cut sh', 'length']);
  });

  it.each([
    ['endless', 'no finish', 6],
    ['web page', 'web page', 3],
    ['empty', 'empty', 3],
  ])('asks again at once after "%s", as often as that comes', async (prompt, fault, count) => {
    const { sessionId, message } = await ask(prompt);
    expect(textOf(message)).toBe('fine again');
    expect(callsOf(sessionId).map(({ rule }) => rule)).toEqual([...Array<string>(count).fill(fault), null]);
    expect(statusOf(sessionId).filter((status) => status?.type === 'retry')).toEqual([]);
  });

  it.each(['hang at once', 'hang in the middle'])('waits in "%s" until it is aborted', async (prompt) => {
    const rule = prompt === 'hang at once' ? 'hang' : prompt;
    const sessionId = await server.createSession({ title: prompt });
    await server.promptAsync(sessionId, prompt);
    const [call] = await model.waitForCalls(1, { rule });
    expect(call?.outcome).toBe('in-flight');
    await server.request('POST', `/session/${sessionId}/abort`);
    await model.waitForIdle();
    expect(call?.outcome).toBe('aborted');
    await expect.poll(() => statusOf(sessionId).at(-1), eventDeadline).toEqual({ type: 'idle' });
  });
});
