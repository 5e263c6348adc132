import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CallOptions, Session } from '@opencode-manager/core';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';
import { by, isV2 } from './support/tested.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(
    [
      { when: { purpose: 'summary', user: /decline it/ }, reply: { error: { status: 400, message: 'no summaries here' } } },
      { when: { purpose: 'summary', user: /dawdle/ }, reply: { text: 'word '.repeat(400), tokensPerSecond: 5 } },
      { when: { purpose: 'summary', user: /be mute/ }, reply: '' },
      {
        when: { user: /^stubborn/ },
        reply: { toolCalls: [{ name: 'bash', arguments: { command: "trap '' TERM; touch begun; sleep 20", description: 'ignores it' } }] },
      },
      { when: { user: /^slow/ }, reply: { text: 'word '.repeat(400), tokensPerSecond: 20 } },
      { when: { user: /./ }, reply: 'Said.' },
    ],
    {
      profile: 'interactive',
      opencodeConfig: {
        agent: { odd: { model: 'scripted/modle', prompt: 'You are odd.', mode: 'primary' } },
        command: {
          plain: { template: 'say $1' },
          misspelt: { template: 'say $1', model: 'scripted/modle' },
          oddly: { template: 'say $1', agent: 'odd' },
          nobodys: { template: 'say $1', agent: 'nobody' },
        },
      },
    },
  );
});
afterAll(() => bench[Symbol.asyncDispose]());

/** A session that has said something. */
async function sessionThatSaid(text: string): Promise<Session> {
  const session = await bench.server.createSession();
  await session.prompt(text);
  return session;
}

const busy = (session: Session) =>
  vi.waitFor(async () => expect((await session.getState()).status).toBe('busy'), { timeout: 15_000, interval: 20 });

async function timed(work: Promise<unknown>) {
  const startedAtMs = performance.now();
  const error = await failureOf(work);
  return { error, tookMs: performance.now() - startedAtMs };
}

describe('a summary', () => {
  test('that the model refuses is rejected with its reason, and so is one without text', async () => {
    const session = await sessionThatSaid('decline it');
    const error = await failureOf(session.summarize('scripted/model'));
    expect([error.code, error.message]).toEqual([
      'TURN_FAILED',
      by({
        v1: 'The summary failed with APIError: no summaries here',
        v2: 'The summary failed with provider.invalid-request: no summaries here',
      }),
    ]);
    expect((await failureOf(bench.server.operations(session.id).summarize('scripted/model'))).code).toBe('TURN_FAILED');
    expect((await session.prompt('and then', { timeoutMs: 20_000 })).text).toBe('Said.');
    const mute = await failureOf((await sessionThatSaid('be mute')).summarize('scripted/model'));
    expect(mute.code).toBe(by({ v1: 'ANSWER_EMPTY', v2: 'TURN_FAILED' }));
    expect((await session.messages()).map(({ info }) => info.role)).toEqual(['user', 'assistant', 'user', 'assistant']);
  });

  test('ends with its deadline and its signal, and the session takes the next turn', async () => {
    const session = await sessionThatSaid('dawdle');
    const late = await timed(session.summarize('scripted/model', { timeoutMs: 700 }));
    expect(late.error).toMatchObject({ code: 'REQUEST_TIMEOUT', details: { timeoutMs: 700, sent: true } });
    const caller = new AbortController();
    const aborted = timed(session.summarize('scripted/model', { signal: caller.signal }));
    await busy(session);
    caller.abort();
    expect((await aborted).error.code).toBe('REQUEST_ABORTED');
    expect(late.tookMs).toBeLessThan(3000);
    expect((await session.prompt('and then', { timeoutMs: 20_000 })).text).toBe('Said.');
  });

  test('leaves nothing behind, whenever it is given up', async () => {
    const roles = async (session: Session) => (await session.messages()).map(({ info }) => info.role);
    const giveUp = async (_: unknown, index: number) => {
      const session = await sessionThatSaid('dawdle');
      const error = await failureOf(session.summarize('scripted/model', { timeoutMs: 30 + index * 60 }));
      expect(error.code).toBe('REQUEST_TIMEOUT');
      expect((await session.prompt('and then', { timeoutMs: 40_000 })).text).toBe('Said.');
      expect(await roles(session)).toEqual(['user', 'assistant', 'user', 'assistant']);
    };
    await Promise.all(Array.from({ length: 6 }, giveUp));
  });

  test('that somebody aborts says so', async () => {
    const session = await sessionThatSaid('dawdle');
    const summaries = () => bench.model.calls.filter(({ purpose }) => purpose === 'summary').length;
    const before = summaries();
    const summary = failureOf(session.summarize('scripted/model'));
    await vi.waitFor(() => expect(summaries()).toBeGreaterThan(before), { timeout: 15_000, interval: 20 });
    await session.abort();
    expect((await summary).code).toBe('TURN_ABORTED');
  });
});

describe('a deadline and a signal', () => {
  type Operation = (session: Session, options: CallOptions) => Promise<unknown>;
  const waiting: readonly (readonly [string, Operation])[] = [
    ['summarize', (session, options) => session.summarize('scripted/model', options)],
    ['revertMessage', (session, options) => session.revertMessage('msg_x', options)],
    ['unrevert', (session, options) => session.unrevert(options)],
  ];

  test('a turn whose session somebody deletes says so', async () => {
    const session = await bench.server.createSession();
    const turn = failureOf(session.prompt('slow'));
    await busy(session);
    await bench.server.operations(session.id).delete();
    const error = await turn;
    expect(error.code).toBe('TURN_INTERRUPTED');
    expect(error.message).toBe(`The turn was not over when session ${session.id} was deleted.`);
  });

  test.each(waiting)('count the wait of %s for a turn in flight, and end it', async (_, operation) => {
    const session = await bench.server.createSession();
    const turn = failureOf(session.prompt('slow'));
    await busy(session);
    const caller = new AbortController();
    const aborted = failureOf(operation(session, { signal: caller.signal }));
    const { error, tookMs } = await timed(operation(session, { timeoutMs: 200 }));
    expect(error).toMatchObject({ code: 'REQUEST_TIMEOUT', details: { timeoutMs: 200, sent: false } });
    expect(tookMs).toBeLessThan(1500);
    caller.abort();
    expect((await aborted).code).toBe('REQUEST_ABORTED');
    await session.abort();
    expect((await turn).code).toBe('TURN_ABORTED');
  });

  test.each([
    ['abort', (session, options) => session.abort(options)],
    ['delete', (session, options) => session.delete(options)],
  ] as readonly (readonly [string, Operation])[])('end %s, which takes its time', async (_, operation) => {
    const session = await bench.server.createSession();
    const turn = failureOf(session.prompt('stubborn', { permissions: 'allow' }));
    await vi.waitFor(() => bench.workspace.read('begun'), { timeout: 15_000, interval: 20 });
    await rm(join(bench.workspace.path, 'begun'));
    // opencode may call the session idle long before the tool has ended.
    const { error, tookMs } = await timed(operation(session, { timeoutMs: 1 }));
    expect(error).toMatchObject({ code: 'REQUEST_TIMEOUT', details: { timeoutMs: 1, sent: true } });
    expect(tookMs).toBeLessThan(1000);
    await session.abort();
    expect((await turn).code).toBe('TURN_ABORTED');
  });
});

describe('what the configuration chooses for a turn is looked at before it is sent', () => {
  test.each([
    ['misspelt', 'MODEL_UNKNOWN', /^model of command misspelt: scripted\/modle is unknown\. Did you mean scripted\/model\?/],
    ['oddly', 'MODEL_UNKNOWN', /^model of agent odd: scripted\/modle is unknown\. Did you mean scripted\/model\?/],
    ['nobodys', 'AGENT_UNKNOWN', /^agent of command nobodys: nobody is unknown\. Known: /],
  ])('command %s', async (command, code, message) => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.executeCommand(command, 'it'));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(await session.messages()).toEqual([]);
  });

  test('a command with a model of the caller', async () => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.executeCommand('plain', 'it', { model: 'scripted/modle' }));
    expect([error.code, error.message]).toEqual(['MODEL_UNKNOWN', expect.stringContaining('Did you mean scripted/model?')]);
    expect((await session.executeCommand('plain', 'it', { model: 'scripted/small' })).text).toBe('Said.');
  });

  test('an agent with an unknown model, unless the caller names another', async () => {
    const session = await bench.server.createSession();
    expect((await failureOf(session.prompt('it', { agent: 'odd' }))).code).toBe('MODEL_UNKNOWN');
    expect((await session.prompt('it', { agent: 'odd', model: 'scripted/model' })).text).toBe('Said.');
  });
});

test('a message that the session does not have is refused, not taken for none', async () => {
  const session = await sessionThatSaid('it');
  const operations = bench.server.operations(session.id);
  const before = (await bench.server.listSessions()).length;
  for (const unknown of ['msg_unknown', 'nonsense']) {
    expect((await failureOf(session.fork(unknown))).code).toBe('MESSAGE_UNKNOWN');
    expect((await failureOf(operations.fork(unknown))).code).toBe('MESSAGE_UNKNOWN');
    expect((await failureOf(operations.revert(unknown))).code).toBe('MESSAGE_UNKNOWN');
    expect((await failureOf(operations.diff(unknown))).code).toBe('MESSAGE_UNKNOWN');
  }
  expect((await bench.server.listSessions()).length).toBe(before);
  expect((await failureOf(bench.server.operations('ses_0000000000000000000000000').fork('msg_unknown'))).code).toBe('NOT_FOUND');
});

test('the deadline of a prompt with a file holds while the server does not answer', async () => {
  const session = await bench.server.createSession();
  const picture = { type: 'file', mime: 'image/png', url: 'data:image/png;base64,AAAA' } as const;
  process.kill(bench.server.pid, 'SIGSTOP');
  const late = await timed(session.prompt([picture], { timeoutMs: 500 })).finally(() => process.kill(bench.server.pid, 'SIGCONT'));
  expect(late.error).toMatchObject({ code: 'TURN_TIMEOUT', details: { sent: by({ v1: false, v2: true }) } });
  expect(late.tookMs).toBeLessThan(2500);
});

describe('a file that opencode cannot read', () => {
  const missing = by<readonly [string, RegExp]>({
    v1: ['TURN_FAILED', /^The turn did not begin: .*NotFound.*\/does\/not\/exist\.png/],
    v2: ['PROMPT_INVALID', /\/does\/not\/exist\.png/],
  });
  const noPicture = 'data:image/png;base64,AAAA';
  const undecoded = /^The turn did not begin: ImageDecodeError: Image could not be decoded$/;

  async function endsAtOnce(url: string, code: string, message: RegExp): Promise<void> {
    const session = await sessionThatSaid('it');
    const picture = { type: 'file', mime: 'image/png', url } as const;
    const { error, tookMs } = await timed(session.prompt([{ type: 'text', text: 'look' }, picture]));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(tookMs).toBeLessThan(5000);
    expect((await session.prompt('and then', { timeoutMs: 20_000 })).text).toBe('Said.');
  }

  test('ends the turn at once with its cause: a missing file', () => endsAtOnce('file:///does/not/exist.png', ...missing));

  test.skipIf(isV2)('ends the turn at once with its cause: an image without a picture (opencode 1 only: 2.x sends it to the model)', () =>
    endsAtOnce(noPicture, 'TURN_FAILED', undecoded),
  );

  test('is no matter of the file beside it', async () => {
    const session = await bench.server.createSession();
    const readme = { type: 'file', mime: 'text/plain', url: pathToFileURL(join(bench.workspace.path, 'readme.txt')).href } as const;
    expect((await session.prompt([{ type: 'text', text: 'look' }, readme], { timeoutMs: 20_000 })).text).toBe('Said.');
  });

  test.each(['data:,%zz', 'nonsense', 'file:///%zz.png'])('is refused when its URL is malformed: %s', async (url) => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.prompt([{ type: 'file', mime: 'image/png', url }]));
    expect([error.code, error.message]).toEqual(['PROMPT_INVALID', expect.stringContaining(url)]);
  });
});

test('options that do not exist are refused with the nearest name', async () => {
  const session = await bench.server.createSession();
  const error = await failureOf(session.prompt('it', { timeout: 5 } as never));
  expect([error.code, error.message]).toEqual(['CONFIG_KEY_UNKNOWN', expect.stringContaining('Did you mean timeoutMs?')]);
});

// The last one: the server of the file ends.
test('a summary whose server dies is rejected at once', async () => {
  const session = await sessionThatSaid('dawdle');
  const summary = timed(session.summarize('scripted/model'));
  await busy(session);
  const killedAtMs = performance.now();
  process.kill(bench.server.pid, 'SIGKILL');
  expect((await summary).error.code).toBe('SERVER_EXITED');
  expect(performance.now() - killedAtMs).toBeLessThan(3000);
  expect(await bench.server.stop()).toMatchObject({ endedBy: 'already-gone', stateDeleted: true });
});
