import { createActor, SimulatedClock, type SnapshotFrom } from 'xstate';
import { describe, expect, test } from 'vitest';
import { has, poolMachine, type PoolInput, type PoolMachineEvent } from '../../src/machines/index.ts';
import { TransitionCoverage } from '../support/coverage.ts';
import { generatedPaths, replay } from '../support/edges.ts';
import { seededRandom } from '../support/random.ts';

const error = { name: 'OpencodeManagerError', code: 'SESSION_ACTOR_FAILED', message: 'broke' } as const;

/** A running pool actor on a simulated clock that notes what it tells its host. */
function startPool(input: PoolInput = {}) {
  const clock = new SimulatedClock();
  const started: string[] = [];
  const lost: string[] = [];
  let aborts = 0;
  const machine = poolMachine.provide({
    actions: {
      startAssigned: ({ context }) => void started.push(...context.assigned),
      endLost: ({ context }) => void lost.push(...context.lost.map(({ taskId, reason }) => `${taskId}:${reason}`)),
      abortActive: () => void (aborts += 1),
    },
  });
  const actor = createActor(machine, { input, clock });
  actor.start();
  const send = (event: PoolMachineEvent) => actor.send(event);
  send({ type: 'pool.ready' });
  return {
    actor,
    clock,
    started,
    lost,
    send,
    queue: (taskId: string, priority = 0, group = '') => send({ type: 'task.queued', taskId, priority, group }),
    free: (taskId: string) => send({ type: 'slot.freed', taskId, outcome: 'succeeded' }),
    crash: (taskId: string, jitter = 0) => send({ type: 'task.crashed', taskId, priority: 0, group: '', error, atMs: clock.now(), jitter }),
    get aborts() {
      return aborts;
    },
    get state() {
      return actor.getSnapshot().value;
    },
    get context() {
      return actor.getSnapshot().context;
    },
  };
}

/** Frees slot after slot until nothing waits; gives the order in which tasks had their turn. */
function orderOf(pool: ReturnType<typeof startPool>): string[] {
  for (let index = 0; index < pool.started.length; index += 1) pool.free(pool.started[index]!);
  return pool.started;
}

describe('order', () => {
  test('higher priorities run earlier, equals first in, first out', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('first');
    for (const [id, priority] of [
      ['a', 0],
      ['b', 5],
      ['c', 0],
      ['d', 5],
      ['e', -1],
    ] as const)
      pool.queue(id, priority);
    expect(orderOf(pool)).toEqual(['first', 'b', 'd', 'a', 'c', 'e']);
  });

  test('groups of one priority take turns, whatever their length', () => {
    const pool = startPool({ maxSessions: 1 });
    for (const id of ['a1', 'a2', 'a3', 'a4']) pool.queue(id, 0, 'a');
    for (const id of ['b1', 'b2']) pool.queue(id, 0, 'b');
    pool.queue('c1', 0, 'c');
    expect(orderOf(pool)).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
  });
});

describe('slots', () => {
  test('no more than maxSessions are in use, and a slot is freed once', () => {
    const pool = startPool({ maxSessions: 2 });
    for (const id of ['a', 'b', 'c', 'd']) pool.queue(id);
    expect(pool.started).toEqual(['a', 'b']);
    pool.free('a');
    pool.free('a');
    expect(pool.started).toEqual(['a', 'b', 'c']);
    expect(pool.context).toMatchObject({ active: 2, queued: 1, finished: 1, outcomes: { succeeded: 1 } });
  });

  test('a cancelled task never starts; cancelling one that runs changes nothing', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.send({ type: 'task.cancelled', taskId: 'b', priority: 0, group: '' });
    pool.send({ type: 'task.cancelled', taskId: 'a', priority: 0, group: '' });
    expect(pool.context).toMatchObject({ active: 1, queued: 0, outcomes: { aborted: 1 } });
    expect(orderOf(pool)).toEqual(['a']);
  });

  test('random work keeps every count right and starts each task at most once', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const random = seededRandom(seed);
      const pool = startPool({ maxSessions: 1 + random.below(5), restartLimits: { maxRestarts: 0 } });
      const waiting: string[] = [];
      for (let step = 0; step < 200; step += 1) {
        const id = `t${step}`;
        const inUse = pool.started.filter((task) => has(pool.context.holders, task));
        if (random.chance(0.5)) {
          waiting.push(id);
          pool.queue(id, random.below(3), `g${random.below(3)}`);
        } else if (inUse.length > 0) pool.free(random.pick(inUse));
      }
      orderOf(pool);
      expect(pool.started.toSorted(), `seed ${seed}`).toEqual(waiting.toSorted());
      expect(pool.context, `seed ${seed}`).toMatchObject({ active: 0, queued: 0, finished: waiting.length });
    }
  });
});

describe('restarts', () => {
  test('a lost task comes back after a growing, jittered wait, and others use its slot meanwhile', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.crash('a', 1);
    expect(pool.started).toEqual(['a', 'b']);
    pool.free('b');
    pool.clock.increment(119);
    expect(pool.started).toEqual(['a', 'b']);
    pool.clock.increment(1);
    expect(pool.started).toEqual(['a', 'b', 'a']);
    pool.crash('a', -1);
    pool.clock.increment(400);
    expect(pool.started).toEqual(['a', 'b', 'a', 'a']);
  });

  test('the budget counts within its window; when it is spent, the task fails and others go on', () => {
    const pool = startPool({ maxSessions: 1, restartLimits: { maxRestarts: 2, windowMs: 10_000, backoffMs: [100] } });
    pool.queue('a');
    for (let crash = 0; crash < 2; crash += 1) {
      pool.crash('a');
      pool.clock.increment(100);
    }
    pool.queue('b');
    pool.crash('a');
    expect(pool.lost).toEqual(['a:budget_spent']);
    expect(pool.context).toMatchObject({ restarts: 2, outcomes: { failed: 1 }, active: 1 });
    pool.clock.increment(10_000);
    pool.crash('b');
    expect(pool.context).toMatchObject({ restarts: 3, retrying: [{ taskId: 'b' }] });
  });

  test('a task can be cancelled while it waits for its restart', () => {
    const pool = startPool();
    pool.queue('a');
    pool.crash('a');
    pool.send({ type: 'task.cancelled', taskId: 'a', priority: 0, group: '' });
    pool.clock.increment(1000);
    expect(pool.started).toEqual(['a']);
    expect(pool.context.retrying).toEqual([]);
  });
});

describe('the end', () => {
  test('draining finishes what is there and takes nothing new', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.send({ type: 'pool.drain' });
    pool.queue('c');
    expect(pool.state).toBe('draining');
    expect(orderOf(pool)).toEqual(['a', 'b']);
    expect(pool.state).toBe('stopped');
  });

  test('stopping loses the queue, aborts what runs, and rests when the last slot is free', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.send({ type: 'pool.stop' });
    expect(pool.lost).toEqual(['b:stopped']);
    expect(pool.aborts).toBe(1);
    expect(pool.state).toBe('draining');
    pool.free('a');
    expect(pool.state).toBe('stopped');
  });

  test('a dead server loses every waiting task, and none silently', () => {
    const pool = startPool({ maxSessions: 1 });
    for (const id of ['a', 'b', 'c']) pool.queue(id);
    pool.crash('a');
    pool.send({ type: 'server.exited', error });
    expect(pool.lost).toEqual(['c:server_lost', 'a:server_lost']);
    pool.send({ type: 'slot.freed', taskId: 'b', outcome: 'server_lost' });
    expect(pool.context).toMatchObject({ active: 0, outcomes: { server_lost: 3 }, error });
    expect(pool.state).toBe('failed');
  });
});

test('ten thousand waiting tasks and five hundred slots cost no copy of the queue an event', () => {
  const pool = startPool({ maxSessions: 500 });
  for (let index = 0; index < 10_500; index += 1) pool.queue(`t${index}`, index % 2, `g${index % 7}`);
  const chunksBefore = new Set(pool.context.waiting.flatMap(({ groups }) => groups.flatMap(({ waiting }) => waiting)));
  const bucketsBefore = new Set(pool.context.holders.flat());
  pool.free('t0');
  const chunksAfter = pool.context.waiting.flatMap(({ groups }) => groups.flatMap(({ waiting }) => waiting));
  expect(chunksAfter.filter((chunk) => !chunksBefore.has(chunk)).length).toBeLessThanOrEqual(1);
  expect(pool.context.holders.flat().filter((bucket) => !bucketsBefore.has(bucket)).length).toBeLessThanOrEqual(2);
  expect(JSON.parse(JSON.stringify(pool.context))).toEqual(pool.context);
});

test('every transition of the pool machine is reached by a generated path', () => {
  type Snapshot = SnapshotFrom<typeof poolMachine>;
  const place = { taskId: 'a', priority: 0, group: '' };
  const events: PoolMachineEvent[] = [
    { type: 'pool.ready' },
    { type: 'task.queued', ...place },
    { type: 'task.queued', ...place, taskId: 'b' },
    { type: 'task.cancelled', ...place },
    { type: 'slot.freed', taskId: 'a', outcome: 'succeeded' },
    { type: 'slot.freed', taskId: 'b', outcome: 'failed' },
    { type: 'task.crashed', ...place, error, atMs: 0, jitter: 0 },
    { type: 'retry.due', ...place },
    { type: 'pool.drain' },
    { type: 'pool.stop' },
    { type: 'server.exited', error },
    { type: 'server.exited', error, recovery: { atMs: 0, jitter: 0 } },
    { type: 'task.held', taskId: 'a' },
    { type: 'server.recovered' },
    { type: 'provider.paused', atMs: 0, untilMs: 1000, isRateLimit: true },
    { type: 'provider.resumed' },
    { type: 'xstate.after.recoveryDelay.pool.recovering' } as unknown as PoolMachineEvent,
  ];
  const input: PoolInput = { maxSessions: 1, restartLimits: { maxRestarts: 2 } };
  const coverage = new TransitionCoverage(poolMachine);
  const paths = generatedPaths(poolMachine, {
    input,
    everyEdge: true,
    events: () => events,
    kindOf: ({ value, context }: Snapshot) => {
      const { active, queued, retrying, restartTimes, holders, held, serverRestartTimes, draining, stopping } = context;
      const counts = [active, Math.min(2, queued), retrying.length, restartTimes.length, held.length, serverRestartTimes.length];
      return JSON.stringify([value, counts, holders.flat(2), draining, stopping, context.provider.heldUntilMs]);
    },
    stopWhen: ({ context }: Snapshot) => context.queued > 2 || context.retrying.length > 1,
  });
  for (const path of paths) {
    const { context } = replay(poolMachine, input, path, coverage.inspect).getSnapshot() as Snapshot;
    expect(context.active).toBe(context.holders.flat(2).length);
    expect(context.active).toBeLessThanOrEqual(1);
  }
  console.info(`pool machine: ${coverage.taken} of ${coverage.total} transitions over ${paths.length} generated paths`);
  expect(coverage.missing()).toEqual([]);
});
