import { createActor } from 'xstate';
import { expect, test } from 'vitest';
import {
  contextChanges,
  plainContext,
  poolMachine,
  sessionMachine,
  stepInspector,
  StepReader,
  type MachineStep,
  type PlainStep,
} from '../../src/machines/index.ts';

test('changes are told leaf by leaf, lists as wholes', () => {
  const before = { a: 1, b: { c: [1, 2], d: 'x', same: { deep: true } }, gone: null };
  const after = { a: 1, b: { c: [1, 3], d: 'x', same: { deep: true } }, fresh: { e: 1 } };
  expect(contextChanges(before, after)).toEqual([
    { path: 'b.c', before: [1, 2], after: [1, 3] },
    { path: 'gone', before: null },
    { path: 'fresh', after: { e: 1 } },
  ]);
  expect(contextChanges(after, structuredClone(after))).toEqual([]);
  expect(contextChanges(undefined, after)).toEqual([{ path: '', after }]);
});

test('the context of a pool stays small, however many tasks wait', () => {
  const actor = createActor(poolMachine, { input: { maxSessions: 200 } }).start();
  for (let number = 1; number <= 5000; number += 1)
    actor.send({ type: 'task.queued', taskId: `task-${number}`, priority: 0, group: number % 2 === 0 ? 'even' : 'odd' });
  const before = plainContext({ machine: 'pool', context: actor.getSnapshot().context });
  actor.send({ type: 'pool.ready' });
  const after = plainContext({ machine: 'pool', context: actor.getSnapshot().context });
  expect(JSON.stringify(after).length).toBeLessThan(2000);
  expect(JSON.parse(JSON.stringify(after))).toEqual(after);
  expect(after).toMatchObject({
    queued: 4800,
    active: 200,
    waiting: [
      {
        priority: 0,
        groups: 2,
        next: [
          { name: 'odd', taskId: 'task-201' },
          { name: 'even', taskId: 'task-202' },
        ],
      },
    ],
    assigned: [...Array.from({ length: 12 }, (_, index) => `task-${index + 1}`), 'and 188 more'],
  });
  expect(contextChanges(before, after).map(({ path }) => path)).toEqual(['server', 'providers', 'queued', 'active', 'waiting', 'assigned']);
});

test('steps name the effects that were carried out', () => {
  const steps: MachineStep[] = [];
  const inspect = stepInspector({ machine: sessionMachine, actor: 'ses_1', now: () => 0, onStep: (step) => steps.push(step) });
  const actor = createActor(sessionMachine, { input: { sessionId: 'ses_1', directory: '/work' }, inspect }).start();
  actor.send({ type: 'turn.submit', taskId: 't', messageId: 'msg_1', kind: 'prompt', timeoutMs: null, atMs: 0 });
  actor.send({ type: 'turn.unknown', error: { name: 'OpencodeManagerError', code: 'CONNECTION_LOST', message: 'gone' } });
  actor.stop();
  expect(steps.map(({ event, effects }) => [event.type, effects])).toEqual([
    ['xstate.init', []],
    ['turn.submit', ['submitTurn']],
    ['turn.unknown', ['requestSnapshot']],
    ['xstate.stop', []],
  ]);
});

test('steps are read as plain JSON, from which every context can be built; nothing that was redacted is left', () => {
  const told: PlainStep[] = [];
  const reader = new StepReader({ redact: (value) => JSON.parse(JSON.stringify(value).replaceAll('secret', 'hidden')) as unknown });
  const onStep = (step: MachineStep) => told.push(reader.read(step));
  const inspect = stepInspector({ machine: sessionMachine, actor: 'ses_1', now: () => 5, onStep });
  const actor = createActor(sessionMachine, { input: { sessionId: 'ses_1', directory: '/secret' }, inspect }).start();
  actor.send({ type: 'turn.submit', taskId: 'secret', messageId: 'msg_1', kind: 'prompt', timeoutMs: null, atMs: 0 });
  actor.send({ type: 'stream.gap' });
  expect(told[0]).toMatchObject({ actor: 'ses_1', atMs: 5, type: 'xstate.init', path: 'idle', changes: [{ path: '' }] });
  expect(told[1]).toMatchObject({
    type: 'turn.submit',
    payload: { taskId: 'hidden', kind: 'prompt' },
    path: 'active.submitting',
    transitions: ['session.idle|turn.submit|0'],
    effects: ['submitTurn'],
  });
  expect(told[1]?.changes?.map(({ path }) => path)).toEqual(['turns', 'turn']);
  expect(told[2]).toEqual({
    actor: 'ses_1',
    atMs: 5,
    type: 'stream.gap',
    transitions: ['session|stream.gap|0'],
    changes: [
      { path: 'liveSinceMs', before: 0, after: null },
      { path: 'turn.followedSinceMs', before: 0, after: null },
      { path: 'turn.gaps', before: 0, after: 1 },
    ],
  });
  expect(JSON.stringify(told)).not.toContain('secret');
});
