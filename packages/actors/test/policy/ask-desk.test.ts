import { OpencodeManagerError } from '@opencode-manager/core';
import type { PermissionPolicy } from '@opencode-manager/core/policy';
import type { AskFacts } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { AskDesk } from '../../src/policy/ask-desk.ts';
import type { AskAnswer } from '../../src/ports/index.ts';

const permission: AskFacts = {
  kind: 'permission',
  id: 'per_1',
  sessionId: 'ses_1',
  directory: '/work',
  permission: 'bash',
  patterns: ['rm x'],
};
const question: AskFacts = { kind: 'question', id: 'que_1', sessionId: 'ses_1', directory: '/work' };
const rules = [{ permission: 'bash', pattern: 'rm x', action: 'allow' }];

const lost = () => new OpencodeManagerError('CONNECTION_LOST', 'the connection broke');
const gone = () => new OpencodeManagerError('NOT_FOUND', 'no such request');

/** A desk, and the server at its other side: each answer to it meets the next of the faults. */
function openDesk(policy: PermissionPolicy, faults: (() => Error)[] = []) {
  const sent: { readonly id: string; readonly answer: AskAnswer }[] = [];
  const closed: { readonly id: string; readonly rejectedQuestion: boolean }[] = [];
  const answer = async (ask: AskFacts, given: AskAnswer) => {
    sent.push({ id: ask.id, answer: given });
    const fault = faults.shift();
    if (fault) throw fault();
  };
  const desk = new AskDesk({
    server: { answer },
    taskId: 't1',
    policy,
    onClosed: (id, { rejectedQuestion }) => closed.push({ id, rejectedQuestion }),
  });
  return {
    desk,
    sent,
    closed,
    /** The ask is told and wanted, and everything that follows from it has happened. */
    async ask(...asks: AskFacts[]) {
      for (const asked of asks) desk.know(asked);
      desk.answer(asks.map(({ id }) => id));
      await settled();
    },
  };
}

/** Every promise that is settled by now has called back. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('an answer', () => {
  test('is sent once, however often the ask is told and wanted', async () => {
    const { desk, sent, closed, ask } = openDesk('allow');
    await ask(permission);
    await ask(permission);
    desk.answer(['per_1', 'per_1']);
    await settled();
    expect(sent).toEqual([{ id: 'per_1', answer: { type: 'allow' } }]);
    expect(closed).toEqual([{ id: 'per_1', rejectedQuestion: false }]);
    expect(desk.records()).toEqual([
      { kind: 'permission', session_id: 'ses_1', permission: 'bash', patterns: ['rm x'], answer: 'allowed' },
    ]);
  });

  test('that was lost is sent once more', async () => {
    const { desk, sent, closed, ask } = openDesk('allow', [lost]);
    await ask(permission);
    expect(sent).toHaveLength(2);
    expect(sent[1]).toEqual(sent[0]);
    expect(closed).toEqual([{ id: 'per_1', rejectedQuestion: false }]);
    expect(desk.records()).toMatchObject([{ answer: 'allowed' }]);
  });

  test('that was lost twice leaves the ask open for its deadline', async () => {
    const { desk, sent, closed, ask } = openDesk('allow', [lost, lost]);
    await ask(permission);
    expect(sent).toHaveLength(2);
    expect(closed).toEqual([]);
    expect(desk.records()).toMatchObject([{ answer: 'unanswered', rules }]);
  });

  test('that was lost and arrived is not sent again: the server said so meanwhile', async () => {
    const { desk, sent, closed, ask } = openDesk('allow', [
      () => {
        desk.replied('per_1', 'allowed');
        return lost();
      },
    ]);
    await ask(permission);
    expect(sent).toHaveLength(1);
    expect(closed).toEqual([{ id: 'per_1', rejectedQuestion: false }]);
    expect(desk.records()).toMatchObject([{ answer: 'allowed' }]);
  });

  test.each([
    { faults: [gone], tries: 1 },
    { faults: [lost, gone], tries: 2 },
  ])('to an ask that is gone closes it, without a record of an answer (after $tries)', async ({ faults, tries }) => {
    const { desk, sent, closed, ask } = openDesk('allow', [...faults]);
    await ask(permission);
    expect(sent).toHaveLength(tries);
    expect(closed).toEqual([{ id: 'per_1', rejectedQuestion: false }]);
    expect(desk.records()).toMatchObject([{ answer: 'unanswered' }]);
  });
});

describe('an ask', () => {
  test('that the machine does not want, as of an earlier turn, is neither answered nor recorded', async () => {
    const { desk, sent } = openDesk('allow');
    desk.know(permission);
    desk.answer(['per_unknown']);
    await settled();
    expect(sent).toEqual([]);
    expect(desk.records()).toEqual([]);
  });

  test('that is escalated stays open', async () => {
    const { desk, sent, closed, ask } = openDesk('escalate');
    await ask(permission);
    expect(sent).toEqual([]);
    expect(closed).toEqual([]);
    expect(desk.records()).toMatchObject([{ answer: 'unanswered', rules }]);
  });

  test('that another client has answered is closed, and its answer recorded', async () => {
    const { desk, sent, closed, ask } = openDesk('escalate');
    await ask(permission, question);
    desk.replied('per_1', 'allowed');
    desk.replied('que_1', 'denied');
    desk.replied('per_unknown', 'denied');
    expect(sent).toEqual([]);
    expect(closed).toEqual([
      { id: 'per_1', rejectedQuestion: false },
      { id: 'que_1', rejectedQuestion: true },
    ]);
    expect(desk.records()).toMatchObject([{ answer: 'allowed' }, { kind: 'question', answer: 'denied' }]);
  });

  test('that another client answers while the policy thinks is not answered again', async () => {
    const decision = Promise.withResolvers<{ action: 'deny' }>();
    const { desk, sent, ask } = openDesk(() => decision.promise);
    await ask(permission);
    desk.replied('per_1', 'allowed');
    decision.resolve({ action: 'deny' });
    await settled();
    expect(sent).toEqual([]);
    expect(desk.records()).toMatchObject([{ answer: 'allowed' }]);
    expect(desk.records()[0]).not.toHaveProperty('reason');
  });

  test('on which the policy decides after the turn is not answered', async () => {
    const decision = Promise.withResolvers<{ action: 'allow' }>();
    const { desk, sent, closed, ask } = openDesk(() => decision.promise);
    await ask(permission);
    desk.close();
    decision.resolve({ action: 'allow' });
    await settled();
    expect(sent).toEqual([]);
    expect(closed).toEqual([]);
  });
});

describe('a denial', () => {
  test('has a message, so that the model goes on', async () => {
    const { sent, ask } = openDesk([{ permission: 'bash', action: 'deny', message: 'Not here.' }]);
    await ask(permission);
    expect(sent).toEqual([{ id: 'per_1', answer: { type: 'deny', message: 'Not here.' } }]);
  });

  test('of a question tells that the turn ends with it', async () => {
    const { sent, closed, ask } = openDesk('deny');
    await ask(question);
    expect(sent).toEqual([{ id: 'que_1', answer: { type: 'deny' } }]);
    expect(closed).toEqual([{ id: 'que_1', rejectedQuestion: true }]);
  });

  test.each<{ what: string; policy: PermissionPolicy; reason: RegExp }>([
    {
      what: 'throws',
      policy: () => {
        throw new Error('no idea');
      },
      reason: /callback failed: no idea/,
    },
    { what: 'rejects', policy: () => Promise.reject(new Error('no idea')), reason: /callback failed: no idea/ },
    { what: 'returns nothing', policy: (() => undefined) as never, reason: /returned nothing/ },
    { what: 'returns what is no decision', policy: (() => ({ action: 'maybe' })) as never, reason: /"maybe"/ },
  ])('stands for a callback that $what; the record says why, the model does not hear it', async ({ policy, reason }) => {
    const { desk, sent, ask } = openDesk(policy);
    await ask(permission);
    expect(sent).toMatchObject([{ answer: { type: 'deny' } }]);
    expect(JSON.stringify(sent)).not.toMatch(reason);
    expect(desk.records()).toMatchObject([{ answer: 'denied', reason: expect.stringMatching(reason) as string, rules }]);
  });
});

test('a callback gets the task with the ask, and answers a question', async () => {
  const asked: unknown[] = [];
  const { desk, sent, closed, ask } = openDesk((of) => {
    asked.push(of);
    return { action: 'answer', answers: [['A']] };
  });
  await ask(question);
  expect(asked).toEqual([{ ...question, taskId: 't1' }]);
  expect(sent).toEqual([{ id: 'que_1', answer: { type: 'answer', answers: [['A']] } }]);
  expect(closed).toEqual([{ id: 'que_1', rejectedQuestion: false }]);
  expect(desk.records()).toEqual([{ kind: 'question', session_id: 'ses_1', answer: 'answered' }]);
});
