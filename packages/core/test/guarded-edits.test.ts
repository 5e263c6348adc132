import { expect, test } from 'vitest';
import { withGuardedEdits, withGuardedRules } from '../src/protocol/v1/configuration/guarded-edits.ts';

const denials = { '.opencode/*': 'deny', '*/.opencode/*': 'deny' };

test.each([
  ['nothing is said', undefined, { edit: denials }],
  ['all is allowed', 'allow', { '*': 'allow', edit: denials }],
  ['other tools are named', { bash: 'ask' }, { bash: 'ask', edit: denials }],
  ['edits are allowed', { edit: 'allow' }, { edit: { '*': 'allow', ...denials } }],
  ['edits are allowed in places', { edit: { '*': 'deny', 'src/*': 'allow' } }, { edit: { '*': 'deny', 'src/*': 'allow', ...denials } }],
  ['a later rule decides edits', { edit: 'ask', '*': 'allow' }, { edit: 'ask', '*': 'allow', 'edit*': denials }],
  // The model is not shown tools that are denied everything; it would be, if another rule stood last.
  ['edits are denied', { edit: 'deny' }, { edit: 'deny' }],
  ['all is denied', 'deny', 'deny'],
  [
    'the user speaks of it',
    { edit: { '*': 'allow', '.opencode/plans/*': 'allow' } },
    { edit: { '*': 'allow', '.opencode/plans/*': 'allow' } },
  ],
])('edits below .opencode are denied where %s', (_, permission, expected) => {
  expect(withGuardedEdits({ permission })).toEqual({ permission: expected });
});

test('agents that allow edits again are denied too, others stay as they are', () => {
  const agent = {
    plain: { prompt: 'x' },
    careful: { permission: { bash: 'deny' } },
    bold: { permission: { edit: 'allow' } },
    old: { tools: { write: true } },
  };
  expect(withGuardedEdits({ agent })['agent']).toEqual({
    plain: { prompt: 'x' },
    careful: { permission: { bash: 'deny' } },
    bold: { permission: { edit: { '*': 'allow', ...denials } } },
    old: { tools: { write: true }, permission: { edit: { '*': 'allow', ...denials } } },
  });
});

test('rules of a session that decide edits are followed by the denials', () => {
  const rule = (permission: string, pattern: string, action: 'allow' | 'deny') => ({ permission, pattern, action });
  expect(withGuardedRules([rule('*', '*', 'allow')])).toEqual([
    rule('*', '*', 'allow'),
    rule('edit', '.opencode/*', 'deny'),
    rule('edit', '*/.opencode/*', 'deny'),
  ]);
  for (const rules of [[rule('bash', '*', 'allow')], [rule('edit', '*', 'deny')], [rule('edit', '.opencode/x', 'allow')]]) {
    expect(withGuardedRules(rules)).toEqual(rules);
  }
});

test('tools that are switched off in the older way stay off', () => {
  for (const tools of [{ write: false }, { edit: true, patch: false }, { '*': false }])
    expect(withGuardedEdits({ tools })).toEqual({ tools });
  const careful = { tools: { edit: true }, permission: { '*': 'ask' } };
  expect(withGuardedEdits(careful)).toEqual({ ...careful, permission: { '*': 'ask', 'edit*': denials } });
});
