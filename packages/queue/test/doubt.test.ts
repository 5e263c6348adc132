import { findRedis, startRedis } from '@opencode-manager/testing';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { openQueue, parseQueueUrl } from '../src/index.ts';

test.skipIf(findRedis() === undefined)('a Redis that may lose what it was told is named by what is wrong with it', async () => {
  await using engine = await startRedis();
  await using queue = await openQueue(engine.url);
  const redis = new Redis(engine.url);
  try {
    expect(await queue.ledger.doubt()).toBeUndefined();
    await redis.config('SET', 'appendfsync', 'everysec');
    expect(await queue.ledger.doubt()).toBe(
      'it may lose up to a second when its machine fails (appendfsync everysec); set appendfsync always',
    );
    await redis.config('SET', 'appendonly', 'no');
    expect(await queue.ledger.doubt()).toMatch(/keeps no append-only file/);
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await queue.ledger.doubt()).toMatch(/evicts keys when its memory is full \(maxmemory-policy allkeys-lru\)/);
  } finally {
    redis.disconnect();
  }
});

test('a queue is known by its address, and a password is not shown', () => {
  expect(parseQueueUrl('valkeys://:pw@cache:6380/1')).toEqual({
    backend: 'redis',
    url: 'rediss://:pw@cache:6380/1',
    shown: 'valkeys://:redacted@cache:6380/1',
  });
  expect(parseQueueUrl('postgresql://me:pw@db/ocm').shown).toBe('postgresql://me:redacted@db/ocm');
  expect(parseQueueUrl('postgres:///ocm?host=/run&password=pw').shown).toBe('postgres:///ocm?host=%2Frun&password=redacted');
  expect(() => parseQueueUrl('localhost:6379')).toThrow(/has the scheme localhost:/);
  expect(() => parseQueueUrl('queue')).toThrow(/has no scheme/);
});
