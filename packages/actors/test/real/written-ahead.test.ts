import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createSessionPool,
  type OutgoingTurn,
  type SessionPool,
  type SessionPoolOptions,
  type Task,
  type TaskAnswer,
  type TaskOptions,
} from '@opencode-manager/actors';
import { launchServer, OpencodeManagerError, type OpencodeServer } from '@opencode-manager/core';
import {
  opencodeUnderTest,
  startScriptedModel,
  temporaryWorkspace,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';

// What a journal that is written ahead needs of a pool.

let model: ScriptedModel;
let workspace: TemporaryWorkspace;
let server: OpencodeServer;
beforeAll(async () => {
  model = await startScriptedModel({
    rules: [
      {
        name: 'slow',
        when: { user: /^slow/ },
        reply: [
          {
            toolCalls: [{ name: 'bash', arguments: { command: 'true', description: 'x' } }],
            usage: { inputTokens: 900, outputTokens: 100 },
          },
          { text: 'word '.repeat(300), tokensPerSecond: 20 },
        ],
      },
      { when: { user: /^dawdle/ }, reply: { text: 'word '.repeat(300), tokensPerSecond: 20 } },
      { name: 'say', when: { user: /^say (\w+)/ }, reply: 'I say {{user.1}}.' },
    ],
  });
  workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  server = await launchServer({ directory: workspace.path, opencodeConfig: model.opencodeConfig() });
});
afterAll(async () => {
  await server?.stop();
  await workspace?.[Symbol.asyncDispose]();
  await model?.stop();
});

const callsOf = (rule: string) => model.calls.filter((call) => call.rule === rule).length;

async function withPool<Result>(options: SessionPoolOptions, work: (pool: SessionPool) => Promise<Result>): Promise<Result> {
  await using pool = await createSessionPool({ server, repeat: false, ...options });
  return await work(pool);
}

/** Sends a turn that takes its time, and kills its server once the model answers. */
async function killedTurn(): Promise<OutgoingTurn> {
  const turns: OutgoingTurn[] = [];
  await using pool = await createSessionPool({ server, repeat: false, recovery: false });
  const running = pool.run({ id: 'cut', prompt: 'slow' }, { beforeSend: async (turn) => void turns.push(turn) });
  await model.waitForCalls(2, { rule: 'slow', timeoutMs: 30_000 });
  process.kill(server.pid, 'SIGKILL');
  expect((await running).outcome).toBe('server_lost');
  server = await server.relaunch();
  return turns[0]!;
}

test('a turn is told before it goes out, with the ids by which it is found; the prompt waits for who hears it', async () => {
  const told: OutgoingTurn[] = [];
  const heard = Promise.withResolvers<void>();
  const before = callsOf('say');
  await withPool({}, async (pool) => {
    const running = pool.run({ id: 'one', prompt: 'say one' }, { beforeSend: async (turn) => (told.push(turn), heard.promise) });
    await expect.poll(() => told.length, { timeout: 10_000 }).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([callsOf('say'), (await server.operations(told[0]!.sessionId).messages()).length]).toEqual([before, 0]);
    heard.resolve();
    const result = await running;
    expect(result).toMatchObject({ outcome: 'succeeded', session_id: told[0]!.sessionId, message_id: told[0]!.messageId });
    expect(told).toEqual([
      { taskId: 'one', attempt: 1, sessionId: result.session_id, messageId: result.message_id, directory: workspace.path },
    ]);
  });
});

test('nothing is sent when the one who hears it refuses', async () => {
  const before = model.calls.length;
  await withPool({}, async (pool) => {
    const result = await pool.run({ prompt: 'say two' }, { beforeSend: () => Promise.reject(new Error('the journal is full')) });
    expect(result).toMatchObject({
      outcome: 'failed',
      model_calls: 0,
      error: { message: expect.stringContaining('the journal is full') as string },
    });
    expect((await pool.run({ prompt: 'say three' })).outcome).toBe('succeeded');
  });
  expect(model.calls.length).toBe(before + 1);
});

test('a turn whose end nobody saw is taken up: its end is the result, and no model is asked again', async () => {
  const sent = await withPool({}, async (pool) => {
    let told: OutgoingTurn | undefined;
    await pool.run({ prompt: 'say four' }, { beforeSend: async (turn) => void (told = turn) });
    return told!;
  });
  const before = model.calls.length;
  await withPool({}, async (pool) => {
    const result = await pool.run({ id: 'again', prompt: 'say four' }, { sent });
    expect(result).toMatchObject({ outcome: 'succeeded', output: 'I say four.', message_id: sent.messageId, attempt: 1, model_calls: 1 });
    expect(result.usage.input_tokens).toBeGreaterThan(0);
  });
  expect(model.calls.length).toBe(before);
});

test('one that the server never had ends as interrupted, not sent; so does one whose session is gone', async () => {
  const session = await server.createSession();
  const sent = { sessionId: session.id, messageId: 'msg_0000000000000000000000000', directory: workspace.path };
  await withPool({}, async (pool) => {
    expect(await pool.run({ prompt: 'say five' }, { sent })).toMatchObject({
      outcome: 'interrupted',
      error: { code: 'TURN_INTERRUPTED', details: { sent: false } },
    });
    await session.delete();
    expect(await pool.run({ prompt: 'say five' }, { sent })).toMatchObject({ outcome: 'interrupted' });
  });
  await withPool({ repeat: true }, async (pool) => {
    const other = await server.createSession();
    const result = await pool.run({ prompt: 'say five' }, { sent: { ...sent, sessionId: other.id } });
    expect(result).toMatchObject({ outcome: 'succeeded', session_id: other.id, output: 'I say five.', attempt: 2 });
  });
});

test('one that broke off with its server ends as interrupted, and is not begun again', async () => {
  const sent = await killedTurn();
  const before = model.calls.length;
  await withPool({}, async (pool) => {
    expect(await pool.run({ id: 'cut', prompt: 'slow' }, { sent })).toMatchObject({
      outcome: 'interrupted',
      // Of the step that had ended; the one that broke off is a call.
      usage: { input_tokens: 900, output_tokens: 100 },
      // opencode 2 stores a step when it has something of it: here it may have nothing.
      model_calls: opencodeUnderTest().by({ v1: 2, v2: expect.toBeOneOf([1, 2]) as number }),
      tool_calls: 1,
      error: { code: 'TURN_INTERRUPTED' },
      workspace_may_be_half_changed: true,
    });
  });
  expect(model.calls.length).toBe(before);
});

test('with recovery a task whose server is killed has one attempt; the next task runs on the next server', async () => {
  await using pool = await createSessionPool({
    server: { directory: workspace.path, opencodeConfig: model.opencodeConfig() },
    repeat: false,
  });
  const before = callsOf('slow');
  const running = pool.run({ prompt: 'slow' });
  await expect.poll(() => callsOf('slow'), { timeout: 30_000 }).toBe(before + 1);
  process.kill(pool.server.pid, 'SIGKILL');
  expect(await running).toMatchObject({ outcome: 'interrupted', attempt: 1 });
  expect((await pool.run({ prompt: 'say six' })).outcome).toBe('succeeded');
  expect(callsOf('slow')).toBe(before + 1);
});

test('what cannot be taken up is refused before anything is sent', async () => {
  await withPool({}, async (pool) => {
    const sent = { sessionId: 'ses_1', messageId: '', directory: workspace.path };
    await expect(pool.run({ id: 'x', prompt: 'say' }, { sent })).rejects.toMatchObject({
      code: 'TASK_INVALID',
      message: expect.stringContaining('messageId') as string,
    });
    const session = await pool.createSession();
    await expect(session.run({ prompt: 'say' }, { sent } as never)).rejects.toMatchObject({ code: 'TASK_INVALID' });
    await session.delete();
  });
});

test('a further prompt is a turn of the same attempt: told ahead, in the same session, with the sums of both in one result', async () => {
  const told: OutgoingTurn[] = [];
  const heard: TaskAnswer[] = [];
  await withPool({}, async (pool) => {
    const started: string[] = [];
    pool.on('task.started', ({ taskId }) => started.push(taskId));
    const onAnswer = async (answer: TaskAnswer) => (heard.push(answer), answer.output.includes('more') ? null : { prompt: 'say more' });
    const result = await pool.run(
      { id: 'two turns', prompt: 'say one', system: 'Be brief.' },
      { beforeSend: async (turn) => void told.push(turn), onAnswer },
    );
    expect(result).toMatchObject({
      outcome: 'succeeded',
      attempt: 1,
      output: 'I say more.',
      // opencode 2 stores a step when it has something of it: here it may have nothing.
      model_calls: opencodeUnderTest().by({ v1: 2, v2: expect.toBeOneOf([1, 2]) as number }),
      message_id: told[1]!.messageId,
    });
    expect(told.map(({ sessionId, attempt }) => [sessionId, attempt])).toEqual([
      [result.session_id, 1],
      [result.session_id, 1],
    ]);
    expect(heard.map(({ output, spent, messageId }) => [output, spent.model_calls, messageId])).toEqual([
      ['I say one.', 1, told[0]!.messageId],
      ['I say more.', 2, told[1]!.messageId],
    ]);
    expect(result.usage).toEqual(heard[1]!.spent.usage);
    expect(started).toEqual(['two turns']);
    const [first, second] = model.calls.slice(-2).map(({ messages }) => JSON.stringify(messages));
    expect([first, second].map((text) => text!.includes('Be brief.'))).toEqual([true, true]);
  });
});

test('whoever judges answers may fail a task, give it up between two turns, or let it run out of time', async () => {
  await withPool({}, async (pool) => {
    const error = new OpencodeManagerError('ANSWER_FILTERED', 'Not that.').toJSON();
    const run = (id: string, options: TaskOptions, more: Partial<Task> = {}) => pool.run({ id, prompt: 'say one', ...more }, options);
    expect(await run('failed', { onAnswer: async () => ({ error }) })).toMatchObject({ outcome: 'failed', output: 'I say one.', error });
    const rejects = async () => Promise.reject(new Error('no idea'));
    expect(await run('rejected', { onAnswer: rejects })).toMatchObject({
      outcome: 'failed',
      error: { message: expect.stringContaining('no idea') as string },
    });
    const abort = new AbortController();
    const calls = callsOf('say');
    const gives = async () => (abort.abort(), { prompt: 'say more' });
    expect(await run('given up', { onAnswer: gives, signal: abort.signal })).toMatchObject({ outcome: 'aborted', model_calls: 1 });
    expect(callsOf('say')).toBe(calls + 1);
    const given = new AbortController();
    const never = () => (given.abort(), new Promise<never>(() => {}));
    expect(await run('waits for none', { onAnswer: never, signal: given.signal })).toMatchObject({ outcome: 'aborted', model_calls: 1 });
    const slowly = async () => ({ prompt: 'dawdle' });
    const late = await run('late', { onAnswer: slowly }, { timeoutMs: 2500 });
    expect(late).toMatchObject({ outcome: 'timed_out', model_calls: 2 });
    expect(late.duration_ms).toBeLessThan(4000);
  });
});
