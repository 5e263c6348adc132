import type { ProtocolName } from '@opencode-manager/core';
import type { RecordedCall } from '@opencode-manager/testing';
import { describe, expect, test } from 'vitest';
import { checkCalls } from '../../soak/checks/calls.ts';
import { checkResults } from '../../soak/checks/results.ts';
import type { PlannedTask } from '../../soak/plan.ts';
import type { TaskResult } from '../../src/index.ts';

const task: PlannedTask = { id: 't1', kind: 'bash', prompt: 'soak t1', answer: 'All of it.', toolSeconds: 0 };
const proof = {} as TaskResult['proof'];
const good = { id: 't1', outcome: 'succeeded', output: 'All of it.', attempt: 1, session_id: 'ses_1', proof } as TaskResult;
const earlier = { attempt: 1, session_id: 'ses_1', message_id: 'msg_1', outcome: 'interrupted', model_calls: 1 } as const;

const call = (fields: Partial<RecordedCall> & { readonly startedAtMs: number; readonly after?: 'tool' }): RecordedCall =>
  ({ user: 'soak t1', sessionId: 'ses_1', outcome: 'completed', messages: [{ role: fields.after ?? 'user' }], ...fields }) as RecordedCall;
const bothSteps = [call({ startedAtMs: 1 }), call({ startedAtMs: 2, after: 'tool' })];
const problems = (calls: RecordedCall[], result = good, cutsAtMs: number[] = []) => checkCalls([task], [result], { calls, cutsAtMs });

describe('the calls of the model', () => {
  test('one for each step is right', () => {
    expect(problems(bothSteps)).toEqual([]);
  });

  test('again for what was answered is found', () => {
    expect(problems([...bothSteps, call({ startedAtMs: 3 })])).toEqual([
      expect.stringContaining('asked again for what was answered (the prompt)'),
    ]);
  });

  test('again after a failure, or after a cut between the two, is right', () => {
    expect(problems([call({ startedAtMs: 0, outcome: 'failed' }), ...bothSteps])).toEqual([]);
    expect(problems([call({ startedAtMs: 0 }), ...bothSteps], good, [1])).toEqual([]);
    expect(problems([call({ startedAtMs: 0 }), ...bothSteps], good, [2])).toHaveLength(1);
  });

  test('in another session is right when the result names the try, and found when it does not', () => {
    const calls = [call({ startedAtMs: 0 }), ...bothSteps.map((one) => ({ ...one, sessionId: 'ses_2' }))];
    expect(problems(calls, { ...good, session_id: 'ses_2', attempt: 2, attempts: [earlier] })).toEqual([]);
    expect(problems(calls, { ...good, session_id: 'ses_2' })).toEqual([
      expect.stringContaining('session ses_1, which the result does not name'),
    ]);
  });

  test('an answer that nobody gave is found', () => {
    expect(problems(bothSteps.slice(0, 1))).toEqual([expect.stringContaining('the model never answered (the tool result)')]);
  });
});

test.each<[string, TaskResult[], TaskResult[], string[]]>([
  ['a good one', [good], [good], []],
  ['none', [], [], ['0 results', "0 events 'task.finished'"]],
  ['two', [good, good], [good], ['2 results']],
  ['half of the answer', [{ ...good, output: 'All' }], [good], ['the output is "All"']],
  ['no proof', [{ ...good, proof: null }], [good], ['without a proof']],
  ['a second attempt without the first', [{ ...good, attempt: 2 }], [good], ['attempt 2 with 0 earlier ones']],
  ['a failure', [{ ...good, outcome: 'stalled', error: null }], [good], ['stalled']],
])('results: %s', (_what, yielded, announced, expected) => {
  expect(checkResults([task], yielded, announced, 'v1')).toEqual(expected.map((text) => expect.stringContaining(text) as string));
});

test('a second half behind the first is one answer on opencode 2 alone, and nothing else is', () => {
  const problemsOf = (output: string, protocol: ProtocolName) => checkResults([task], [{ ...good, output }], [good], protocol);
  const halves = `This breaks off${task.answer.slice(0, 2)}${task.answer}`;
  expect(problemsOf(halves, 'v2')).toEqual([]);
  expect(problemsOf(halves, 'v1')).toHaveLength(1);
  expect(problemsOf(`What?${task.answer}`, 'v2')).toHaveLength(1);
  expect(problemsOf(task.answer.slice(0, -1), 'v2')).toHaveLength(1);
});
