import type { SerializedError } from '@opencode-manager/core';
import { createActor, SimulatedClock, type SnapshotFrom } from 'xstate';
import { describe, expect, test } from 'vitest';
import { has, members, poolMachine, type PoolInput, type PoolMachineEvent, type TaskStep } from '../../src/machines/index.ts';
import type { Outcome } from '../../src/index.ts';
import { TransitionCoverage } from '../support/coverage.ts';
import { generatedPaths, replay } from '../support/edges.ts';
import { seededRandom } from '../support/random.ts';

const failureOf = (code: SerializedError['code'], message = 'broke'): SerializedError => ({ name: 'OpencodeManagerError', code, message });
const broke = failureOf('SESSION_ACTOR_FAILED');
const lost = failureOf('SERVER_EXITED');
const full = failureOf('STATE_DIRECTORY_FULL');

interface Place {
  readonly priority?: number;
  readonly group?: string;
  readonly sessionId?: string;
  readonly provider?: string;
  readonly timeoutMs?: number;
  readonly isChange?: true;
  readonly unjudged?: true;
  readonly once?: true;
}

/** A running pool actor on a simulated clock that notes what it tells its host. */
function startPool(input: PoolInput = {}) {
  const clock = new SimulatedClock();
  const started: string[] = [];
  const steps: string[] = [];
  const ended: string[] = [];
  const errors = new Map<string, SerializedError | null>();
  const aborted: string[] = [];
  const abortErrors: string[] = [];
  const returned: string[] = [];
  const machine = poolMachine.provide({
    actions: {
      startAssigned: (_, { assigned }) => {
        for (const { taskId, step, attempt } of assigned) {
          started.push(taskId);
          steps.push(`${taskId}:${step}:${attempt}`);
        }
      },
      endTasks: (_, params) => {
        for (const { taskId, outcome, error } of params.ended) {
          ended.push(`${taskId}:${outcome}`);
          errors.set(taskId, error);
        }
      },
      abortTurns: (_, { aborting, withinMs }) => {
        aborted.push(...aborting.map(({ taskId }) => `${taskId}:${withinMs ?? 'default'}`));
        abortErrors.push(...aborting.flatMap(({ taskId, error }) => (error ? [`${taskId}:${error.code}`] : [])));
      },
      takeBack: (_, { sessionIds }) => void returned.push(...sessionIds),
    },
  });
  const actor = createActor(machine, { input, clock });
  actor.start();
  const send = (...events: PoolMachineEvent[]) => {
    for (const event of events) actor.send(event);
  };
  const at = (generation?: number) => ({ atMs: clock.now(), jitter: 0, ...(generation !== undefined && { generation }) });
  const turn = (taskId: string, outcome: Outcome, error: SerializedError | null, more: object = {}): PoolMachineEvent => ({
    type: 'turn.ended',
    taskId,
    outcome,
    error,
    quarantined: false,
    sent: true,
    resetAtMs: null,
    ...at(),
    ...more,
  });
  send({ type: 'pool.ready' });
  return {
    actor,
    clock,
    started,
    steps,
    ended,
    errors,
    aborted,
    abortErrors,
    returned,
    send,
    queue: (taskId: string, { priority = 0, group = '', ...place }: Place = {}) =>
      send({ type: 'task.queued', taskId, priority, group, ...place }),
    cancel: (taskId: string, { priority = 0, group = '', ...place }: Place = {}) =>
      send({ type: 'task.cancelled', taskId, priority, group, ...(place.sessionId !== undefined && { sessionId: place.sessionId }) }),
    end: (taskId: string, outcome: Outcome = 'succeeded', error: SerializedError | null = null, more: object = {}) =>
      send(turn(taskId, outcome, error, more)),
    crash: (taskId: string, jitter = 0) => send({ type: 'attempt.failed', taskId, error: broke, ...at(), jitter }),
    fail: (taskId: string, error: SerializedError, generation?: number) =>
      send({ type: 'attempt.failed', taskId, error, ...at(generation) }),
    lose: (taskId: string, generation?: number) => send(turn(taskId, 'interrupted', lost, at(generation))),
    judge: (taskId: string, fate: 'finished' | 'interrupted' | 'never_started') => send({ type: 'turn.judged', taskId, fate }),
    get state() {
      return actor.getSnapshot().value;
    },
    get context() {
      return actor.getSnapshot().context;
    },
  };
}

type StartedPool = ReturnType<typeof startPool>;

/** Ends task after task until nothing waits; gives the order in which tasks had their turn. */
function orderOf(pool: StartedPool): string[] {
  for (let index = 0; index < pool.started.length; index += 1) pool.end(pool.started[index]!);
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
      pool.queue(id, { priority });
    expect(orderOf(pool)).toEqual(['first', 'b', 'd', 'a', 'c', 'e']);
  });

  test('groups of one priority take turns, whatever their length', () => {
    const pool = startPool({ maxSessions: 1 });
    for (const id of ['a1', 'a2', 'a3', 'a4']) pool.queue(id, { group: 'a' });
    for (const id of ['b1', 'b2']) pool.queue(id, { group: 'b' });
    pool.queue('c1', { group: 'c' });
    expect(orderOf(pool)).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
  });
});

describe('slots', () => {
  test('no more than maxSessions are in use, and a slot is freed once', () => {
    const pool = startPool({ maxSessions: 2 });
    for (const id of ['a', 'b', 'c', 'd']) pool.queue(id);
    expect(pool.started).toEqual(['a', 'b']);
    pool.end('a');
    pool.end('a');
    expect(pool.started).toEqual(['a', 'b', 'c']);
    expect(pool.context).toMatchObject({ active: 2, queued: 1, finished: 1, outcomes: { succeeded: 1 } });
  });

  test('more slots begin what waits at once; fewer end nothing, and go as turns end', () => {
    const pool = startPool({ maxSessions: 1 });
    for (const id of ['a', 'b', 'c', 'd', 'e']) pool.queue(id);
    pool.send({ type: 'slots.changed', maxSessions: 3 });
    expect(pool.started).toEqual(['a', 'b', 'c']);
    pool.send({ type: 'slots.changed', maxSessions: 1 });
    expect(pool.aborted).toEqual([]);
    pool.end('a');
    pool.end('b');
    expect(pool.started).toEqual(['a', 'b', 'c']);
    pool.end('c');
    expect(pool.started).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a provider that has refused keeps what it was taught when slots are added', () => {
    const pool = startPool({ maxSessions: 4 });
    for (const id of ['a', 'b']) pool.queue(`${id}1`, { provider: id });
    pool.send({ type: 'provider.paused', provider: 'a', atMs: 0, untilMs: 0, isRateLimit: true });
    pool.send({ type: 'slots.changed', maxSessions: 8 });
    expect(pool.context.providers.map(({ id, limit }) => [id, limit])).toEqual([
      ['a', 2],
      ['b', 8],
    ]);
  });

  test('a cancelled task never starts; one that runs is aborted and ends as its turn says', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.cancel('b');
    pool.cancel('a');
    expect(pool.ended).toEqual(['b:aborted']);
    expect(pool.errors.get('b')?.message).toContain('nothing was sent');
    expect(pool.aborted).toEqual(['a:default']);
    pool.end('a', 'succeeded');
    expect(pool.ended).toEqual(['b:aborted', 'a:succeeded']);
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
          const sessionId = random.chance(0.3) ? { sessionId: `s${random.below(2)}` } : {};
          pool.queue(id, { priority: random.below(3), group: `g${random.below(3)}`, ...sessionId });
        } else if (inUse.length > 0) pool.end(random.pick(inUse));
      }
      orderOf(pool);
      expect(pool.started.toSorted(), `seed ${seed}`).toEqual(waiting.toSorted());
      expect(pool.context, `seed ${seed}`).toMatchObject({ active: 0, queued: 0, finished: waiting.length, lines: {} });
    }
  });
});

describe('a leased session', () => {
  const at = { sessionId: 's' };

  test('has one task at a time, in order, and others use the slots beside it', () => {
    const pool = startPool({ maxSessions: 2 });
    for (const id of ['a', 'b', 'c']) pool.queue(id, at);
    pool.queue('other');
    expect(pool.started).toEqual(['a', 'other']);
    expect(pool.context).toMatchObject({ active: 2, queued: 2 });
    pool.end('other');
    pool.end('a');
    expect(orderOf(pool)).toEqual(['a', 'other', 'b', 'c']);
  });

  test('whose lease ends: what waits ends, what runs is aborted, and no slot stays taken', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('holder');
    for (const id of ['a', 'b']) pool.queue(id, at);
    pool.send({ type: 'session.ended', sessionId: 's', reason: 'The session was deleted.', withinMs: 6000 });
    expect(pool.ended).toEqual(['b:aborted', 'a:aborted']);
    pool.queue('c', { sessionId: 't' });
    pool.queue('d', { sessionId: 't' });
    pool.end('holder');
    pool.send({ type: 'session.ended', sessionId: 't', reason: 'The session was deleted.', withinMs: 6000 });
    expect(pool.aborted).toEqual(['c:6000']);
    pool.end('c', 'aborted');
    expect(pool.context).toMatchObject({ active: 0, queued: 0, lines: {} });
  });

  test('is given back when what was asked of it is done', () => {
    const pool = startPool({ maxSessions: 1 });
    for (const id of ['a', 'b']) pool.queue(id, at);
    pool.send({ type: 'session.released', sessionId: 's' });
    pool.end('a');
    expect(pool.returned).toEqual([]);
    pool.end('b');
    expect(pool.returned).toEqual(['s']);
    pool.send({ type: 'session.released', sessionId: 'never used' });
    expect(pool.returned).toEqual(['s', 'never used']);
  });

  test('is changed between its turns, without a slot', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a', at);
    pool.queue('change', { ...at, isChange: true });
    pool.queue('b', at);
    pool.end('a');
    expect(pool.steps).toEqual(['a:begin:1', 'change:change:1']);
    expect(pool.context).toMatchObject({ active: 0, queued: 1 });
    pool.send({ type: 'change.ended', taskId: 'change', sessionId: 's' });
    expect(pool.started).toEqual(['a', 'change', 'b']);
  });

  test('a change has a deadline and can be aborted, while it waits and under way; its session is free when it says so', () => {
    const pool = startPool({ maxSessions: 1 });
    const change = { ...at, isChange: true } as const;
    pool.queue('a', at);
    pool.queue('late', { ...change, timeoutMs: 1000 });
    pool.queue('unwanted', change);
    pool.queue('slow', { ...change, timeoutMs: 5000 });
    pool.queue('stopped', change);
    pool.queue('b', at);
    pool.clock.increment(1000);
    pool.send({ type: 'task.cancelled', taskId: 'unwanted', priority: 0, group: '', sessionId: 's' });
    expect(['late', 'unwanted'].map((id) => pool.errors.get(id)?.code)).toEqual(['REQUEST_TIMEOUT', 'REQUEST_ABORTED']);
    pool.end('a');
    expect(pool.steps.at(-1)).toBe('slow:change:1');
    pool.clock.increment(4000);
    expect(pool.abortErrors).toEqual(['slow:REQUEST_TIMEOUT']);
    expect(pool.steps.at(-1)).toBe('slow:change:1');
    pool.send({ type: 'change.ended', taskId: 'slow', sessionId: 's' });
    expect(pool.steps.at(-1)).toBe('stopped:change:1');
    pool.send({ type: 'pool.stop' });
    expect(pool.abortErrors).toEqual(['slow:REQUEST_TIMEOUT', 'stopped:POOL_STOPPED']);
    expect(pool.state).toBe('draining');
    pool.send({ type: 'change.ended', taskId: 'stopped', sessionId: 's' });
    expect(pool.state).toBe('stopped');
  });

  test('a deadline counts while a task waits for its session', () => {
    const pool = startPool();
    pool.queue('a', at);
    pool.queue('b', { ...at, timeoutMs: 1000 });
    pool.queue('c', { ...at, timeoutMs: 5000 });
    pool.clock.increment(1000);
    expect(pool.ended).toEqual(['b:timed_out']);
    pool.end('a');
    expect(pool.started).toEqual(['a', 'c']);
    pool.end('c');
    pool.clock.increment(5000);
    expect(pool.ended).toEqual(['b:timed_out', 'a:succeeded', 'c:succeeded']);
  });

  test('is moved to no other session: what broke off ends as interrupted', () => {
    const pool = startPool();
    pool.queue('a', at);
    pool.crash('a');
    expect(pool.ended).toEqual(['a:interrupted']);
  });
});

describe('restarts', () => {
  test('a lost task comes back after a growing, jittered wait, and others use its slot meanwhile', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.crash('a', 1);
    expect(pool.started).toEqual(['a', 'b']);
    pool.end('b');
    pool.clock.increment(119);
    expect(pool.started).toEqual(['a', 'b']);
    pool.clock.increment(1);
    expect(pool.steps).toEqual(['a:begin:1', 'b:begin:1', 'a:begin:2']);
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
    expect(pool.ended).toEqual(['a:failed']);
    expect(pool.errors.get('a')).toMatchObject({ code: 'RESTART_BUDGET_SPENT', cause: broke });
    expect(pool.context).toMatchObject({ restarts: 2, outcomes: { failed: 1 }, active: 1 });
    pool.clock.increment(10_000);
    pool.crash('b');
    expect(pool.context).toMatchObject({ restarts: 3, retrying: [{ taskId: 'b' }] });
  });

  test('a task can be cancelled while it waits for its restart, and does not claim that nothing was sent', () => {
    const pool = startPool();
    pool.queue('a');
    pool.crash('a');
    pool.cancel('a');
    pool.clock.increment(1000);
    expect(pool.started).toEqual(['a']);
    expect(pool.errors.get('a')?.message).not.toContain('nothing was sent');
    expect(pool.context.retrying).toEqual([]);
  });

  test('a session that may go on with its turn is no reason to try again beside it', () => {
    const pool = startPool();
    pool.queue('a');
    pool.end('a', 'interrupted', broke, { quarantined: true });
    expect(pool.ended).toEqual(['a:interrupted']);
    expect(pool.context).toMatchObject({ active: 0, retrying: [] });
  });

  test('what cannot help is not tried again', () => {
    const pool = startPool();
    pool.queue('a');
    pool.fail('a', failureOf('MODEL_UNKNOWN'));
    expect(pool.ended).toEqual(['a:failed']);
  });
});

describe('the loss of a server', () => {
  const away: PoolMachineEvent = { type: 'server.away', error: lost };

  test.each([
    ['finished', 'a:resume:1'],
    ['never_started', 'a:repeat:2'],
    ['interrupted', 'a:retry:2'],
  ] as const)('a turn that is %s goes on with the next server', (fate, step) => {
    const pool = startPool();
    pool.queue('a');
    pool.send(away);
    pool.lose('a');
    expect(pool.state).toBe('recovering');
    pool.send({ type: 'server.recovered', generation: 2 });
    pool.judge('a', fate);
    expect(pool.steps).toEqual(['a:begin:1', 'a:judge:1', step]);
  });

  test('what was not sent begins anew, and does not count as an attempt', () => {
    const pool = startPool();
    pool.queue('a');
    pool.send(away);
    pool.fail('a', lost);
    pool.send({ type: 'server.recovered', generation: 2 });
    expect(pool.steps).toEqual(['a:begin:1', 'a:begin:1']);
  });

  test('a crash while the server is away keeps neither its slot nor its task waiting for ever', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.send(away);
    pool.crash('a');
    pool.clock.increment(100);
    pool.send({ type: 'server.recovered', generation: 2 });
    expect(orderOf(pool)).toEqual(['a', 'b', 'a']);
  });

  test('a loss that is noticed after the recovery goes on at once; one of the present server waits for its notice', () => {
    const pool = startPool();
    pool.queue('a');
    pool.queue('b');
    pool.send(away, { type: 'server.recovered', generation: 2 });
    pool.lose('a', 1);
    expect(pool.steps.at(-1)).toBe('a:judge:1');
    pool.fail('b', lost, 2);
    expect(pool.steps).toHaveLength(3);
    pool.send(away, { type: 'server.recovered', generation: 3 });
    expect(pool.steps.at(-1)).toBe('b:begin:1');
  });

  test('a turn on a replaced server goes on at once when that one is lost', () => {
    const pool = startPool();
    pool.queue('a');
    pool.send({ type: 'server.rotated', generation: 2 });
    pool.lose('a', 1);
    expect(pool.steps).toEqual(['a:begin:1', 'a:judge:1']);
  });

  test('a turn that is not judged yet is never sent again, whatever fails meanwhile', () => {
    const pool = startPool();
    pool.queue('a');
    pool.send(away);
    pool.lose('a');
    pool.send({ type: 'server.recovered', generation: 2 });
    pool.fail('a', failureOf('CONNECTION_LOST'));
    pool.clock.increment(100);
    expect(pool.steps).toEqual(['a:begin:1', 'a:judge:1', 'a:judge:1']);
  });

  test('a task that takes its server with it each time ends as interrupted; so does one that must not be repeated', () => {
    for (const [input, losses] of [
      [{ restartLimits: { maxRestarts: 2 } }, 3],
      [{ retriesInterrupted: false }, 1],
    ] as const) {
      const pool = startPool(input);
      pool.queue('a');
      for (let loss = 1; loss <= losses; loss += 1) {
        pool.send(away);
        pool.lose('a');
        pool.send({ type: 'server.recovered', generation: loss + 1 });
        pool.judge('a', 'interrupted');
      }
      expect(pool.ended).toEqual(['a:interrupted']);
      expect(pool.errors.get('a')).toEqual(lost);
    }
  });

  test('a held task that is aborted says that its turn had been sent', () => {
    const pool = startPool();
    pool.queue('a');
    pool.send(away);
    pool.lose('a');
    pool.cancel('a');
    expect(pool.ended).toEqual(['a:aborted']);
    expect(pool.errors.get('a')?.message).toContain('had been sent');
    expect(pool.context.active).toBe(0);
  });

  test('a dead server loses every waiting task, and none silently', () => {
    const pool = startPool({ maxSessions: 1 });
    for (const id of ['a', 'b', 'c']) pool.queue(id);
    pool.crash('a');
    pool.send({ type: 'server.exited', error: lost });
    expect(pool.ended).toEqual(['c:server_lost', 'a:server_lost']);
    pool.fail('b', lost);
    expect(pool.context).toMatchObject({ active: 0, outcomes: { server_lost: 3 }, error: lost });
    expect(pool.state).toBe('failed');
    pool.queue('late');
    expect(pool.ended.at(-1)).toBe('late:server_lost');
  });
});

describe('what holds new turns back', () => {
  const paused = (provider: string | null, untilMs: number, taskId?: string): PoolMachineEvent => ({
    type: 'provider.paused',
    provider,
    atMs: 0,
    untilMs,
    isRateLimit: true,
    ...(taskId !== undefined && { taskId }),
  });

  test("one provider's refusal leaves the tasks of others alone, also those behind its own", () => {
    const pool = startPool({ maxSessions: 4 });
    pool.queue('a1', { provider: 'a' });
    pool.queue('b1', { provider: 'b' });
    pool.send(paused('a', 1000));
    for (const [id, provider] of [
      ['a2', 'a'],
      ['b2', 'b'],
      ['b3', 'b'],
    ] as const)
      pool.queue(id, { provider });
    pool.queue('unknown');
    expect(pool.started).toEqual(['a1', 'b1', 'b2', 'b3']);
    pool.end('b1');
    expect(pool.started.at(-1)).toBe('unknown');
    pool.end('b2');
    pool.end('a1');
    expect(pool.started).not.toContain('a2');
    pool.clock.increment(1000);
    expect(pool.started.at(-1)).toBe('a2');
    expect(pool.context.providers.find(({ id }) => id === 'a')).toMatchObject({ limit: 2, heldUntilMs: null, holds: 1 });
  });

  test('a task of which the provider is not known is held back by the only one there is', () => {
    const pool = startPool();
    pool.queue('a', { provider: 'a' });
    pool.send(paused(null, 1000, 'a'));
    pool.queue('unknown');
    expect(pool.started).toEqual(['a']);
    pool.clock.increment(1000);
    expect(pool.started).toEqual(['a', 'unknown']);
  });

  test('a spent quota holds back for as long as a pause may take', () => {
    const pool = startPool({ longestPauseMs: 2000 });
    pool.queue('a');
    pool.end('a', 'quota_exhausted', failureOf('QUOTA_EXHAUSTED'), { resetAtMs: 1e9 });
    pool.queue('b');
    expect(pool.started).toEqual(['a']);
    pool.clock.increment(2000);
    expect(pool.started).toEqual(['a', 'b']);
  });

  test('a fault of the infrastructure burns no queue: what was not sent goes back, with growing waits', () => {
    const pool = startPool({ maxSessions: 2 });
    for (const id of ['a', 'b', 'c']) pool.queue(id);
    for (const id of ['a', 'b']) pool.fail(id, full);
    expect(pool.context).toMatchObject({ active: 0, queued: 3, infrastructure: { heldUntilMs: 500, holds: 1 } });
    pool.clock.increment(500);
    expect(pool.steps).toEqual(['a:begin:1', 'b:begin:1', 'b:begin:1', 'a:begin:1']);
    pool.fail('b', failureOf('CONNECTION_LOST', 'connect EMFILE 127.0.0.1'));
    expect(pool.context.infrastructure).toMatchObject({ heldUntilMs: 1500, holds: 2 });
    pool.end('a');
    pool.clock.increment(1000);
    expect(orderOf(pool).filter((id) => id === 'c')).toHaveLength(1);
    expect(pool.context).toMatchObject({ finished: 3, outcomes: { succeeded: 3 }, infrastructure: { failures: 0 } });
  });

  test('a fault that lasts ends tasks with its reason; a turn that was sent fails at once', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('sent');
    pool.end('sent', 'failed', full);
    expect(pool.ended).toEqual(['sent:failed']);
    pool.queue('a');
    for (let round = 0; round < 20 && pool.ended.length < 2; round += 1) {
      pool.clock.increment(30_000);
      pool.fail('a', full);
    }
    expect(pool.errors.get('a')).toEqual(full);
  });

  test('a pool that repeats nothing says of each attempt that another one may help: interrupted', () => {
    const pool = startPool({ maxSessions: 4, repeats: false });
    for (const id of ['a', 'b', 'c', 'd']) pool.queue(id);
    pool.fail('a', failureOf('CONNECTION_LOST'));
    pool.fail('b', failureOf('BAD_REQUEST'));
    pool.end('c', 'failed', full, { sent: false });
    pool.fail('d', full);
    expect(pool.ended).toEqual(['a:interrupted', 'b:failed', 'c:interrupted', 'd:interrupted']);
  });

  test('a task that is begun once ends with its attempt, beside others that are repeated', () => {
    const pool = startPool({ maxSessions: 4 });
    for (const id of ['a', 'c']) pool.queue(id, { once: true });
    pool.queue('b');
    for (const id of ['a', 'b']) pool.fail(id, failureOf('CONNECTION_LOST'));
    pool.end('c', 'failed', full, { sent: false });
    expect(pool.ended).toEqual(['a:interrupted', 'c:interrupted']);
  });

  test('where nothing is repeated, a session that could not be read is read again, three times', () => {
    const pool = startPool({ repeats: false });
    pool.queue('a', { unjudged: true });
    for (let read = 1; read <= 4; read += 1) {
      expect(pool.steps).toEqual(Array.from({ length: read }, () => 'a:judge:1'));
      pool.fail('a', failureOf('CONNECTION_LOST'));
      pool.clock.increment(10_000);
    }
    expect(pool.ended).toEqual(['a:interrupted']);
  });
});

describe('the end', () => {
  test('a turn whose files could not be taken out of its workspace is no success; any other end stands', () => {
    const pool = startPool({ maxSessions: 2 });
    const notTaken = failureOf('WORKSPACE_STILL_CHANGING');
    pool.queue('a');
    pool.queue('b');
    pool.end('a', 'succeeded', null, { notTaken });
    pool.end('b', 'stalled', broke, { notTaken });
    expect(pool.ended).toEqual(['a:failed', 'b:stalled']);
    expect([pool.errors.get('a'), pool.errors.get('b')]).toEqual([notTaken, broke]);
  });

  test('draining finishes what is there and takes nothing new', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b', { sessionId: 's' });
    pool.queue('c', { sessionId: 's' });
    pool.send({ type: 'pool.drain' });
    pool.queue('late');
    expect(pool.ended).toEqual(['late:aborted']);
    expect(pool.state).toBe('draining');
    expect(orderOf(pool)).toEqual(['a', 'b', 'c']);
    expect(pool.state).toBe('stopped');
  });

  test('stopping loses the queue, aborts what runs, and rests when the last slot is free', () => {
    const pool = startPool({ maxSessions: 1 });
    pool.queue('a');
    pool.queue('b');
    pool.send({ type: 'pool.stop' });
    expect(pool.ended).toEqual(['b:aborted']);
    expect(pool.aborted).toEqual(['a:10000']);
    expect(pool.state).toBe('draining');
    pool.end('a', 'aborted');
    expect(pool.state).toBe('stopped');
  });

  test('a stop has a bound of its own', () => {
    const pool = startPool();
    pool.queue('deaf');
    pool.queue('change', { sessionId: 's', isChange: true });
    pool.send({ type: 'pool.stop' });
    pool.clock.increment(11_000);
    expect(pool.errors.get('deaf')?.code).toBe('ABORT_UNCONFIRMED');
    expect(pool.ended).toEqual(['deaf:aborted', 'change:aborted']);
    expect(pool.state).toBe('stopped');
  });
});

test('ten thousand waiting tasks and five hundred slots cost no copy of the queue an event', () => {
  const pool = startPool({ maxSessions: 500 });
  for (let index = 0; index < 10_500; index += 1) pool.queue(`t${index}`, { priority: index % 2, group: `g${index % 7}` });
  const chunks = () =>
    pool.context.waiting.flatMap(({ groups }) => groups.flatMap(({ queues }) => queues.flatMap(({ waiting }) => waiting)));
  const chunksBefore = new Set(chunks());
  const bucketsBefore = new Set(pool.context.holders);
  pool.end('t0');
  expect(chunks().filter((chunk) => !chunksBefore.has(chunk)).length).toBeLessThanOrEqual(1);
  expect(pool.context.holders.filter((bucket) => !bucketsBefore.has(bucket)).length).toBeLessThanOrEqual(2);
  expect(JSON.parse(JSON.stringify(pool.context))).toEqual(pool.context);
});

const place = { taskId: 'a', priority: 0, group: '' };
const leased = { ...place, taskId: 's1', sessionId: 's' };
const attempt = { atMs: 0, jitter: 0 };
const turn = { quarantined: false, sent: true, resetAtMs: null, ...attempt };

/** Every event that carries a slot, a task or a lease, in its kinds. */
const carrying: PoolMachineEvent[] = [
  { type: 'task.queued', ...place },
  { type: 'task.queued', ...leased },
  { type: 'task.queued', ...leased, taskId: 's2' },
  { type: 'task.cancelled', ...place },
  { type: 'task.cancelled', ...leased },
  { type: 'task.overdue', ...leased, timeoutMs: 1 },
  { type: 'turn.ended', taskId: 'a', outcome: 'succeeded', error: null, ...turn },
  { type: 'turn.ended', taskId: 's1', outcome: 'succeeded', error: null, ...turn },
  { type: 'turn.ended', taskId: 'a', outcome: 'interrupted', error: lost, ...turn },
  { type: 'turn.ended', taskId: 'a', outcome: 'failed', error: full, ...turn, sent: false },
  { type: 'turn.ended', taskId: 'a', outcome: 'interrupted', error: broke, ...turn },
  { type: 'attempt.failed', taskId: 'a', error: lost, ...attempt },
  { type: 'attempt.failed', taskId: 'a', error: full, ...attempt },
  { type: 'attempt.failed', taskId: 'a', error: broke, ...attempt },
  { type: 'attempt.failed', taskId: 'a', error: failureOf('BAD_REQUEST'), ...attempt },
  { type: 'turn.judged', taskId: 'a', fate: 'interrupted' },
  { type: 'retry.due', taskId: 'a' },
  { type: 'change.ended', taskId: 's1', sessionId: 's' },
  { type: 'session.released', sessionId: 's' },
  { type: 'session.ended', sessionId: 's', reason: 'gone' },
  { type: 'session.died', sessionId: 's' },
];
const ruling: PoolMachineEvent[] = [
  { type: 'pool.ready' },
  { type: 'slots.changed', maxSessions: 1 },
  { type: 'pool.drain' },
  { type: 'pool.stop' },
  { type: 'stop.overdue' },
  { type: 'server.away', error: lost },
  { type: 'server.recovered', generation: 2 },
  { type: 'server.rotated', generation: 2 },
  { type: 'server.exited', error: lost },
  { type: 'provider.paused', provider: null, atMs: 0, untilMs: 1000, isRateLimit: true },
  { type: 'hold.over', atMs: 1000 },
];

test('an event that carries a slot, a task or a lease is taken in every state', () => {
  expect(poolMachine.root.ownEvents).toEqual(expect.arrayContaining([...new Set(carrying.map(({ type }) => type))]));
  for (const node of Object.values(poolMachine.states)) expect(carrying.filter(({ type }) => node.ownEvents.includes(type))).toEqual([]);
});

test('random events in any order: each task ends once, each slot is freed, each lease comes back', () => {
  for (let seed = 1; seed <= 120; seed += 1) {
    const random = seededRandom(seed);
    const pool = startPool({ maxSessions: 1 + random.below(3), restartLimits: { maxRestarts: 2 } });
    const taken = new Map<string, Place>();
    const queue = (id: string, where: Place) => {
      taken.set(id, where);
      pool.queue(id, where);
    };
    const running = () => members(pool.context.holders).filter(({ held }) => !held);
    for (let index = 0; index < 120; index += 1) {
      const any = random.pick([...taken.keys(), 'nobody']);
      const [holder] = running().toSorted(() => random.below(3) - 1);
      const step: TaskStep | undefined = holder?.step;
      const id = holder?.taskId ?? any;
      const does = [
        () => queue(`t${index}`, { priority: random.below(2), ...(random.chance(0.5) && { sessionId: `s${random.below(2)}` }) }),
        () => queue(`t${index}`, { provider: random.pick(['a', 'b']) }),
        () => pool.cancel(any, taken.get(any)),
        () => (step === 'judge' ? pool.judge(id, random.pick(['finished', 'interrupted', 'never_started'])) : pool.end(id)),
        () => step !== 'judge' && pool.lose(id, random.below(3)),
        () => pool.fail(id, random.pick([lost, full, broke, failureOf('BAD_REQUEST')])),
        () => step !== 'judge' && pool.end(id, 'interrupted', broke, { quarantined: random.chance(0.5) }),
        () => pool.send({ type: 'session.ended', sessionId: `s${random.below(2)}`, reason: 'gone' }),
        () => pool.send({ type: 'session.died', sessionId: `s${random.below(2)}` }),
        () => pool.send({ type: 'session.released', sessionId: `s${random.below(2)}` }),
        () => pool.send({ type: 'slots.changed', maxSessions: 1 + random.below(4) }),
        () => pool.send({ type: 'server.away', error: lost }),
        () => pool.send({ type: 'server.recovered', generation: pool.context.generation + 1 }),
        () =>
          pool.send({
            type: 'provider.paused',
            provider: random.pick(['a', null]),
            atMs: pool.clock.now(),
            untilMs: pool.clock.now() + 500,
            isRateLimit: true,
          }),
        () => pool.clock.increment(random.below(3000)),
      ];
      random.pick(does)();
    }
    pool.send({ type: 'server.recovered' }, { type: random.pick(['pool.drain', 'pool.stop'] as const) });
    for (let round = 0; round < 1000 && pool.state !== 'stopped'; round += 1) {
      for (const { taskId, step, held } of members(pool.context.holders)) {
        if (held) pool.send({ type: 'server.away', error: lost }, { type: 'server.recovered' });
        else if (step === 'judge') pool.judge(taskId, 'finished');
        else pool.end(taskId);
      }
      pool.clock.increment(1000);
    }
    expect(pool.state, `seed ${seed}`).toBe('stopped');
    const ends = pool.ended.map((one) => one.slice(0, one.indexOf(':')));
    expect(ends.toSorted(), `seed ${seed}`).toEqual([...taken.keys()].toSorted());
    expect(pool.context, `seed ${seed}`).toMatchObject({ active: 0, queued: 0, retrying: [], lines: {}, finished: taken.size });
    expect(members(pool.context.holders)).toEqual([]);
    for (const { active } of pool.context.providers) expect(active, `seed ${seed}`).toBe(0);
  }
});

test('every transition of the pool machine is reached by a generated path', () => {
  type Snapshot = SnapshotFrom<typeof poolMachine>;
  const input: PoolInput = { maxSessions: 1, restartLimits: { maxRestarts: 1 } };
  const coverage = new TransitionCoverage(poolMachine);
  const paths = generatedPaths(poolMachine, {
    input,
    everyEdge: true,
    events: () => [...carrying, ...ruling],
    kindOf: ({ value, context }: Snapshot) => {
      const { active, queued, retrying, restartTimes, draining, stopping } = context;
      const holder = members(context.holders).map(({ taskId, held }) => `${taskId}${held}`);
      return JSON.stringify([value, active, Math.min(1, queued), retrying.length, restartTimes.length, holder, draining, stopping]);
    },
    stopWhen: ({ context }: Snapshot) => context.queued > 2 || context.retrying.length > 1 || context.finished > 3,
  });
  for (const path of paths) {
    const { context } = replay(poolMachine, input, path, coverage.inspect).getSnapshot() as Snapshot;
    expect(context.active).toBe(members(context.holders).length);
    expect(context.active).toBeLessThanOrEqual(1);
  }
  console.info(`pool machine: ${coverage.taken} of ${coverage.total} transitions over ${paths.length} generated paths`);
  expect(coverage.missing()).toEqual([]);
});
