import { expectTypeOf } from 'vitest';
import {
  createSessionPool,
  type Outcome,
  type PooledSession,
  type PoolEvent,
  type SessionPool,
  type SessionPoolOptions,
  type Task,
  type TaskResult,
} from '../src/index.ts';
import { poolMachine, sessionMachine, type FinishedTurn } from '../src/machines/index.ts';
import { createActor } from 'xstate';

expectTypeOf(createSessionPool).parameter(0).toEqualTypeOf<SessionPoolOptions | undefined>();
expectTypeOf(createSessionPool).returns.resolves.toEqualTypeOf<SessionPool>();
expectTypeOf<SessionPool>().toExtend<AsyncDisposable>();
expectTypeOf<SessionPool['run']>().parameter(0).toEqualTypeOf<Task>();
expectTypeOf<SessionPool['run']>().returns.resolves.toEqualTypeOf<TaskResult>();
expectTypeOf<SessionPool['runAll']>().returns.toEqualTypeOf<AsyncIterableIterator<TaskResult>>();
expectTypeOf<PooledSession['prompt']>().returns.resolves.toEqualTypeOf<TaskResult>();
// Raw turns never leave the pool.
expectTypeOf<PooledSession>().not.toHaveProperty('promptAsync');
expectTypeOf<PooledSession['fork']>().returns.resolves.toEqualTypeOf<PooledSession>();

declare const pool: SessionPool;
pool.on('task.finished', (event) => expectTypeOf(event.result).toEqualTypeOf<TaskResult>());
pool.on('*', (event) => expectTypeOf(event).toEqualTypeOf<PoolEvent>());
// @ts-expect-error there is no such event
pool.on('task.vanished', () => {});

expectTypeOf<TaskResult['outcome']>().toEqualTypeOf<Outcome>();
expectTypeOf<Outcome>().toEqualTypeOf<
  | 'succeeded'
  | 'failed'
  | 'timed_out'
  | 'stalled'
  | 'over_budget'
  | 'quota_exhausted'
  | 'needs_input'
  | 'runaway'
  | 'aborted'
  | 'interrupted'
  | 'server_lost'
>();

const session = createActor(sessionMachine, { input: { sessionId: 'ses_1', directory: '/work' } });
session.on('turn.finished', ({ turn }) => expectTypeOf(turn).toEqualTypeOf<FinishedTurn>());
// @ts-expect-error a turn needs its message id
session.send({ type: 'turn.submit', taskId: 't' });
// @ts-expect-error a session needs its id
createActor(sessionMachine, { input: {} });
createActor(poolMachine, { input: { maxSessions: 2 } }).send({ type: 'task.queued', taskId: 't', priority: 0, group: '' });
