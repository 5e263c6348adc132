import { describe, expect, test } from 'vitest';
import { judgeFinish, type FinishFacts } from '@opencode-manager/core/protocol';

const verdict = (finish: string | undefined, facts: Partial<FinishFacts> = {}) => {
  const { outcome, code, note } = judgeFinish({
    finish,
    hasText: true,
    hasToolResult: false,
    kind: 'prompt',
    emptyAnswer: 'refuse',
    ...facts,
  });
  return [outcome, code, note !== undefined];
};

describe.each(['prompt', 'command'] as const)('the answer to a %s', (kind) => {
  test.each([
    ['stop', 'succeeded', undefined, false],
    ['length', 'failed', 'ANSWER_TRUNCATED', true],
    ['content-filter', 'failed', 'ANSWER_FILTERED', true],
    ['error', 'failed', 'TURN_FAILED', true],
    ['tool-calls', 'interrupted', 'TURN_INTERRUPTED', true],
    [undefined, 'interrupted', 'TURN_INTERRUPTED', true],
    ['unknown', 'succeeded', undefined, true],
    ['other', 'succeeded', undefined, true],
    ['a-word-of-tomorrow', 'succeeded', undefined, true],
  ])('that ends with %s and has text', (finish, ...expected) => {
    expect(verdict(finish, { kind })).toEqual(expected);
    expect(verdict(finish, { kind, hasToolResult: true })).toEqual(expected);
    expect(verdict(finish, { kind, emptyAnswer: 'allow' })).toEqual(expected);
  });

  test.each(['stop', 'unknown', 'other'])(
    'that ends with %s and is empty is refused, after a tool call too, unless it is allowed',
    (finish) => {
      for (const hasToolResult of [false, true]) {
        expect(verdict(finish, { kind, hasText: false, hasToolResult })).toEqual(['failed', 'ANSWER_EMPTY', true]);
        expect(verdict(finish, { kind, hasText: false, hasToolResult, emptyAnswer: 'allow' })[0]).toBe('succeeded');
      }
    },
  );

  test('that was cut is not made good by allowing empty answers', () => {
    expect(verdict('length', { kind, hasText: false, emptyAnswer: 'allow' })[1]).toBe('ANSWER_TRUNCATED');
    expect(verdict('tool-calls', { kind, hasText: false, emptyAnswer: 'allow' })[1]).toBe('TURN_INTERRUPTED');
  });
});

test('a shell line has no finish reason: its exit code decides, where it is known', () => {
  const shell = (facts: Partial<FinishFacts> = {}) => verdict(undefined, { kind: 'shell', hasText: false, ...facts });
  const good = ['succeeded', undefined, false];
  const bad = ['failed', 'SHELL_FAILED', true];
  expect([shell(), shell({ exitCode: 0 })]).toEqual([good, good]);
  expect([shell({ exitCode: 3 }), shell({ exitCode: null })]).toEqual([bad, bad]);
});
