import { describe, expect, test } from 'vitest';
import { decideAsk, matchesWildcard, type Ask, type PermissionPolicy } from '../../src/policy/index.ts';

const ask = (permission: string, ...patterns: string[]): Ask => ({
  kind: 'permission',
  id: 'per_1',
  sessionId: 'ses_1',
  taskId: 't',
  permission,
  patterns,
});
const question: Ask = { kind: 'question', id: 'que_1', sessionId: 'ses_1', taskId: 't' };

test.each([
  ['*', 'anything\nat all', true],
  ['git *', 'git push', true],
  ['git *', 'git', false],
  ['*.ts', 'src/a.ts', true],
  ['*.ts', 'src/ats', false],
  ['rm (x)', 'rm (x)', true],
  ['a*b*c', 'a-b-\n-c', true],
  ['a*b*c', 'a-c-b', false],
])('the pattern %j over %j: %s', (pattern, text, matches) => {
  expect(matchesWildcard(pattern, text)).toBe(matches);
});

describe('rules', () => {
  const rules: PermissionPolicy = [
    { permission: 'bash', pattern: 'git push*', action: 'escalate' },
    { permission: 'bash', pattern: 'git *', action: 'allow' },
    { permission: 'edit', action: 'allow' },
    { permission: 'web*', action: 'deny', message: 'No network.' },
  ];
  test.each([
    ['bash over what a rule allows', ask('bash', 'git status'), 'allow'],
    ['the first of two matching rules', ask('bash', 'git push origin'), 'escalate'],
    ['one pattern of several that is not allowed', ask('bash', 'git status', 'rm x'), 'deny'],
    ['one pattern of several that is escalated', ask('bash', 'git status', 'git push'), 'escalate'],
    ['a rule without a pattern', ask('edit', 'src/a.ts'), 'allow'],
    ['an ask without patterns', ask('edit'), 'allow'],
    ['what no rule names', ask('read', '/etc/passwd'), 'deny'],
    ['a question that no rule names', question, 'deny'],
  ])('%s', async (_, asked, action) => {
    expect((await decideAsk(rules, asked)).action).toBe(action);
  });

  test("a denial carries the rule's own message", async () => {
    expect(await decideAsk(rules, ask('webfetch', 'https://example.com'))).toEqual({ action: 'deny', message: 'No network.' });
  });

  test('a question can be escalated by rule, and is never "allowed"', async () => {
    expect(await decideAsk([{ permission: 'question', action: 'escalate' }], question)).toEqual({ action: 'escalate' });
    expect((await decideAsk('allow', question)).action).toBe('deny');
  });
});
