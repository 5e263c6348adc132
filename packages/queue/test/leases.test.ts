import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalEvent, Lease, LeasedTask, LeasePort } from '@opencode-manager/runs';
import type { TestEngine } from '@opencode-manager/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openQueue, type LeaseSource, type QueueClient } from '../src/index.ts';
import { withEngines } from './support/engines.ts';
import { addedTask, hash, intended, succeeded, taskOf } from './support/rows.ts';

const leaseMs = 1500;

withEngines('leases of a queue', ({ start }) => {
  let engine: TestEngine;
  const open: AsyncDisposable[] = [];

  beforeAll(async () => {
    engine = await start();
  });
  afterAll(async () => {
    for (const one of open.toReversed()) await one[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  async function client(): Promise<QueueClient> {
    const queue = await openQueue(engine.url);
    open.push(queue);
    return queue;
  }

  /** A host with a connection of its own. */
  async function host(configuration: string): Promise<LeasePort> {
    const queue = await client();
    const source: LeaseSource<LeasedTask> = await queue.take(configuration, {
      name: 'host',
      leaseMs,
      notBefore: () => undefined,
      giveUp: new AbortController().signal,
      onTrouble: () => {},
    });
    open.push(source);
    return source.leases;
  }

  async function submit(name: string, keys: readonly string[]): Promise<QueueClient> {
    const queue = await client();
    const events: JournalEvent[] = [{ type: 'run.opened', generation: 1 }, ...keys.map(addedTask)];
    const tasks = new Map(keys.map((key) => [key, JSON.stringify(taskOf(key))]));
    expect(await queue.ledger.begin({ name, manifest: '{}', tasks, events })).toBe(true);
    expect(await queue.ledger.begin({ name, manifest: '{}', tasks, events })).toBe(false);
    const jobs = keys.map((key) => ({ run: name, key, hash, submission: 1, priority: 0 }));
    await queue.add(name, jobs);
    // A job that is added again is there once.
    await queue.add(name, jobs);
    return queue;
  }

  const typesOf = async (queue: QueueClient, run: string) =>
    (await queue.ledger.rows(run, 0, 100)).map(({ sequence, event }) => [sequence, event.type]);

  async function taken(port: LeasePort, withinMs = 10_000): Promise<Lease> {
    const lease = await port.take(AbortSignal.timeout(withinMs));
    expect(lease).toBeDefined();
    return lease!;
  }

  test('hands each task out once, and keeps its rows in order', async () => {
    const queue = await submit('one', ['a', 'b']);
    const port = await host('one');
    const leases = [await taken(port), await taken(port)];
    expect(leases.map(({ key, attempt, token }) => [key, attempt, token])).toEqual([
      ['a', 1, 1],
      ['b', 1, 2],
    ]);
    for (const lease of leases) {
      await port.write(lease, [intended(lease.key, 1, `${lease.token}.1`)]);
      await port.write(lease, [succeeded(lease.key, 1, `${lease.token}.1`)]);
      await port.finish(lease);
    }
    expect(await port.take(AbortSignal.timeout(500))).toBeUndefined();
    expect(await typesOf(queue, 'one')).toEqual([
      [1, 'run.opened'],
      [2, 'task.added'],
      [3, 'task.added'],
      [4, 'attempt.intended'],
      [5, 'attempt.ended'],
      [6, 'attempt.intended'],
      [7, 'attempt.ended'],
    ]);
  });

  test('gives the task of a silent host to another, and refuses what the first one brings late', async () => {
    const queue = await submit('two', ['a']);
    const [first, second] = [await host('two'), await host('two')];
    const lost = await taken(first);
    await first.write(lost, [intended('a', 1, `${lost.token}.1`)]);
    // It is frozen: nothing is renewed.
    const lease = await taken(second);
    expect(lease).toMatchObject({ key: 'a', attempt: 2, token: 2 });
    expect(lease.rows.at(-1)?.event).toMatchObject({
      type: 'attempt.ended',
      outcome: 'interrupted',
      counts: 'infrastructure',
      final: false,
    });
    await expect(first.write(lost, [succeeded('a', 1, `${lost.token}.1`)])).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(first.renew(lost)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await second.write(lease, [intended('a', 2, `${lease.token}.1`), succeeded('a', 2, `${lease.token}.1`)]);
    await second.finish(lease);
    const rows = (await queue.ledger.rows('two', 2, 100)).map(({ event }) => event);
    expect(rows.map(({ type }) => type)).toEqual([
      'attempt.intended',
      'attempt.ended',
      'attempt.superseded',
      'attempt.intended',
      'attempt.ended',
    ]);
    expect(rows[2]).toEqual({
      type: 'attempt.superseded',
      key: 'a',
      attempt: 1,
      token: '1.1',
      outcome: 'succeeded',
      spent: { tokens: 15, usd: 0.5, modelCalls: 1 },
    });
  });

  test('keeps a lease that is renewed, and hands one that is given back out again', async () => {
    await submit('three', ['a']);
    const [first, second] = [await host('three'), await host('three')];
    const lease = await taken(first);
    for (let round = 0; round < 4; round += 1) {
      await sleep(leaseMs / 2);
      expect(await first.renew(lease)).toBeGreaterThan(Date.now());
    }
    expect(await second.take(AbortSignal.timeout(200))).toBeUndefined();
    await first.giveBack(lease);
    expect(await taken(second)).toMatchObject({ key: 'a', attempt: 1, token: 2 });
  });

  test('keeps what a write says once, however often it is sent', async () => {
    const queue = await submit('five', ['a']);
    const claim = await queue.ledger.claim('five', 'a', 1);
    const writer = { run: 'five', key: 'a', token: claim!.token, batch: 1 };
    expect(await queue.ledger.write(writer, [intended('a', 1, '1.1')], [])).toBe(true);
    expect(await queue.ledger.write(writer, [intended('a', 1, '1.1')], [])).toBe(true);
    expect(await typesOf(queue, 'five')).toEqual([
      [1, 'run.opened'],
      [2, 'task.added'],
      [3, 'attempt.intended'],
    ]);
    expect(await queue.ledger.append('five', [{ type: 'run.ended', reason: 'done' }], 2)).toBe(false);
    expect(await queue.ledger.append('five', [{ type: 'run.ended', reason: 'done' }], 3)).toBe(true);
  });

  test('pauses and cancels runs, shares holds of providers and files, and forgets a run', async () => {
    const queue = await submit('six', ['a', 'b']);
    const { ledger } = queue;
    await ledger.steer('six', { isPaused: true });
    await ledger.unwant('six', ['b']);
    expect(await ledger.wishes('six')).toEqual({ isPaused: true, isCancelled: false, cancelled: ['b'] });
    const port = await host('six');
    expect(await port.take(AbortSignal.timeout(500))).toBeUndefined();
    await ledger.steer('six', { isPaused: false, isCancelled: true });
    expect(await port.take(AbortSignal.timeout(4000))).toBeUndefined();
    await ledger.resubmit('six', ['a']);
    expect(await ledger.submissions('six')).toEqual({ a: 2 });
    expect(await ledger.claim('six', 'a', 1)).toBeUndefined();
    expect(await ledger.run('six')).toMatchObject({ isPaused: false, isCancelled: true, lastSequence: 3 });
    const untilMs = Date.now() + 60_000;
    await ledger.hold('anthropic', untilMs);
    await ledger.hold('anthropic', untilMs - 30_000);
    expect(await ledger.holds()).toEqual({ anthropic: untilMs });
    await ledger.hold('anthropic', 0);
    expect(await ledger.holds()).toEqual({});
    const of = { run: 'six', key: 'a', attempt: 1 };
    await ledger.putFile(of, { name: 'patch.diff', bytes: 3, content: Buffer.from([0, 255, 10]), path: null });
    await ledger.putFile(of, { name: 'transcript.jsonl', bytes: 5_000_000, content: null, path: '/shared/t' });
    const files = (await ledger.files(of)).map(({ name, bytes, content, path }) => ({
      name,
      bytes,
      content: content && [...content],
      path,
    }));
    expect(files.toSorted((one, other) => (one.name < other.name ? -1 : 1))).toEqual([
      { name: 'patch.diff', bytes: 3, content: [0, 255, 10], path: null },
      { name: 'transcript.jsonl', bytes: 5_000_000, content: null, path: '/shared/t' },
    ]);
    await ledger.beat({ id: 'host-1', told: '{}' }, 60_000);
    expect(await ledger.workers()).toMatchObject([{ id: 'host-1', told: '{}' }]);
    await ledger.remove('six');
    expect(await ledger.run('six')).toBeUndefined();
    await ledger.putFile(of, { name: 'patch.diff', bytes: 3, content: Buffer.from('abc'), path: null });
    expect(await ledger.files(of)).toEqual([]);
    expect(await ledger.claim('six', 'a', 1)).toBeUndefined();
    expect(await ledger.runs()).not.toContain('six');
  });

  test('goes on when the engine was killed and started again', async () => {
    const queue = await submit('seven', ['a', 'b']);
    const port = await host('seven');
    const lease = await taken(port);
    await engine.kill();
    const written = port.write(lease, [intended(lease.key, 1, `${lease.token}.1`), succeeded(lease.key, 1, `${lease.token}.1`)]);
    const next = port.take(AbortSignal.timeout(30_000));
    await sleep(300);
    await engine.restart();
    await written;
    await port.finish(lease);
    expect((await next)?.key).toBe('b');
    expect((await queue.ledger.rows('seven', 3, 100)).map(({ event }) => event.type)).toEqual(['attempt.intended', 'attempt.ended']);
  });
});
