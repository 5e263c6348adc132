import { OpencodeManagerError, type OpencodeServer } from '@opencode-manager/core';
import { EventMonitor, type EventMonitorOptions } from '@opencode-manager/events';
import { opencodeUnderTest, startFaultProxy, type FaultProxy, type NetworkFault } from '@opencode-manager/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { SessionPool } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';

const { by } = opencodeUnderTest();
const streams = { path: by({ v1: '/global/event', v2: '/api/event' }) };

const words = Array.from({ length: 30 }, (_, index) => `word${index}`).join(' ');
const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });

let bench: Bench;
/** Between the pool's event stream and the server. */
let proxy: FaultProxy;
const monitors: EventMonitor[] = [];

beforeAll(async () => {
  bench = await startBench(
    [
      { when: { user: 'count' }, reply: { text: words, tokensPerSecond: 20 } },
      { when: { user: 'ask first' }, reply: [bash('rm -f nothing'), 'went on'] },
      { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
    ],
    { opencodeConfig: { permission: { bash: { '*': 'allow', 'rm *': 'ask' } } } },
  );
  proxy = await startFaultProxy({ target: bench.server.url });
});
afterEach(async () => {
  await Promise.all(monitors.splice(0).map((monitor) => monitor.close()));
  proxy.reset();
  bench.model.reset();
});
afterAll(async () => {
  await proxy?.stop();
  await bench?.[Symbol.asyncDispose]();
});

/** A pool that hears of its server through the proxy. The fault meets the first stream alone. */
async function openPool(fault?: NetworkFault, options: EventMonitorOptions = {}): Promise<SessionPool> {
  if (fault) proxy.rule({ name: 'fault', when: streams, times: 1, fault });
  const credentials = () => ({ ...bench.server.credentials(), url: proxy.url });
  const monitor = EventMonitor.open({ ...bench.server, credentials }, options);
  await monitor.ready();
  const pool = await createSessionPool({ server: bench.server, monitor, permissions: 'allow' });
  monitors.push(monitor);
  return pool;
}

const counted = { outcome: 'succeeded', output: words, attempt: 1, gaps: 1 };

function heardDelta(pool: SessionPool): Promise<void> {
  return new Promise((resolve) => {
    const stop = pool.monitor.on({ type: 'part.delta' }, () => {
      stop();
      resolve();
    });
  });
}

describe('the event stream', () => {
  test('breaks in the middle of an answer: the turn ends right, with a gap', async () => {
    await using pool = await openPool();
    const heard = heardDelta(pool);
    const task = pool.run({ prompt: 'count' });
    await heard;
    proxy.dropStreams('rst');
    expect(await task).toMatchObject(counted);
    expect(bench.model.turnCalls).toHaveLength(1);
  });

  test('stalls with its connection open: the watchdog notices, and the turn ends right', async () => {
    await using pool = await openPool(undefined, { watchdogMs: 2000 });
    const heard = heardDelta(pool);
    const task = pool.run({ prompt: 'count' });
    await heard;
    proxy.stallStreams();
    const result = await task;
    expect(result).toMatchObject({ ...counted, gaps: expect.any(Number) as number });
    expect(result.gaps).toBeGreaterThanOrEqual(1);
    expect(bench.model.turnCalls).toHaveLength(1);
  });

  test.each<[string, NetworkFault]>([
    ['is cut in the middle of an event', { type: 'drop', at: { insideEvent: 'word7' } }],
    [
      'breaks just before the session is idle',
      { type: 'drop', at: { beforeEvent: by({ v1: '"status":{"type":"idle"}', v2: '"session.execution.succeeded"' }) } },
    ],
  ])('%s: nothing of the turn is lost', async (_what, fault) => {
    await using pool = await openPool(fault);
    const { gaps, ...result } = await pool.run({ prompt: 'count' });
    expect(result).toMatchObject({ outcome: 'succeeded', output: words, attempt: 1 });
    await proxy.waitForFaults(1, { rule: 'fault' });
    // The end may be known before the break is.
    expect(gaps).toBeLessThanOrEqual(1);
    expect(bench.model.turnCalls).toHaveLength(1);
  });

  test('brings every event twice: nothing counts twice', async () => {
    await using pool = await openPool({ type: 'duplicate', event: /./ });
    expect(await pool.run({ prompt: 'count' })).toMatchObject({ outcome: 'succeeded', output: words, gaps: 0, tool_calls: 0 });
    expect(await pool.run({ prompt: 'ask first' })).toMatchObject({
      outcome: 'succeeded',
      tool_calls: 1,
      asks: [{ permission: 'bash', answer: 'allowed' }],
    });
    expect(proxy.faults.length).toBeGreaterThan(20);
  });

  test('breaks exactly when a permission is asked: the ask is found and answered', async () => {
    await using pool = await openPool({ type: 'drop', at: { beforeEvent: '"permission.asked"' }, how: 'fin' });
    expect(await pool.run({ prompt: 'ask first' })).toMatchObject({
      outcome: 'succeeded',
      output: 'went on',
      gaps: 1,
      asks: [{ kind: 'permission', permission: 'bash', patterns: ['rm -f nothing'], answer: 'allowed' }],
    });
    expect(proxy.faults).toHaveLength(1);
  });
});

/** The real server, to which prompts go through the proxy. */
function promptingThroughProxy(server: OpencodeServer): OpencodeServer {
  return {
    ...server,
    async createOperations(options) {
      const operations = await server.createOperations(options);
      return {
        ...operations,
        async submit(turn) {
          if (turn.kind !== 'prompt') return operations.submit(turn);
          const path = by({ v1: `/session/${operations.id}/prompt_async`, v2: `/api/session/${operations.id}/prompt` });
          const url = new URL(path, proxy.url);
          url.searchParams.set('directory', operations.directory);
          const text = turn.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
          const body = JSON.stringify(
            by<object>({ v1: { messageID: turn.messageId, parts: turn.parts }, v2: { id: turn.messageId, text } }),
          );
          const headers = { authorization: server.credentials().authorization, 'content-type': 'application/json' };
          await fetch(url, { method: 'POST', headers, body }).catch((cause: unknown) => {
            throw new OpencodeManagerError('CONNECTION_LOST', 'the connection broke', { cause });
          });
        },
      };
    },
  };
}

describe('the answer to a prompt', () => {
  const prompts = { path: /\/prompt(_async)?(\?|$)/ };

  test('is lost after the server took it: the prompt stands there once', async () => {
    proxy.rule({ name: 'lost', when: prompts, fault: { type: 'drop', at: 'response' } });
    await using pool = await createSessionPool({ server: promptingThroughProxy(bench.server), monitor: bench.monitor });
    const result = await pool.run({ prompt: 'say once' });
    expect(result).toMatchObject({ outcome: 'succeeded', output: 'You said once.', attempt: 1 });
    expect(proxy.faults).toMatchObject([{ rule: 'lost' }]);
    const messages = await bench.server.operations(result.session_id!).messages();
    expect(messages.filter(({ info }) => info.role === 'user').map(({ info }) => info.id)).toEqual([result.message_id]);
    expect(bench.model.turnCalls).toHaveLength(1);
  });

  test('is lost because the prompt never arrived: the task fails with the reason, and nothing was asked', async () => {
    proxy.rule({ name: 'lost', when: prompts, fault: { type: 'drop', at: 'request' } });
    await using pool = await createSessionPool({ server: promptingThroughProxy(bench.server), monitor: bench.monitor });
    expect(await pool.run({ prompt: 'say never' })).toMatchObject({ outcome: 'failed', error: { code: 'CONNECTION_LOST' } });
    // Nor was it sent again.
    expect(proxy.faults).toMatchObject([{ rule: 'lost' }]);
    expect(bench.model.turnCalls).toHaveLength(0);
  });
});
