import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isManagerError, parsePermissionPolicy } from '@opencode-manager/core';

function failureOf(value: unknown) {
  try {
    parsePermissionPolicy(value, 'permissions');
  } catch (error) {
    if (isManagerError(error)) return { code: error.code, message: error.message, field: error.details['field'] };
  }
  return undefined;
}

test.each([
  [
    'the action ask',
    [{ permission: 'bash', action: 'ask' }],
    'permissions.0.action',
    `must be one of 'deny', 'allow', 'escalate'; received "ask"`,
  ],
  ['the action reject', [{ permission: 'bash', action: 'reject' }], 'permissions.0.action', 'received "reject"'],
  [
    'a typo',
    [
      { permission: 'a', action: 'deny' },
      { permission: 'bash', action: 'alow' },
    ],
    'permissions.1.action',
    'received "alow"',
  ],
  ['a missing action', [{ permission: 'bash' }], 'permissions.0.action', `must be one of 'deny', 'allow', 'escalate'; received nothing`],
  ['no permission', [{ action: 'allow' }], 'permissions.0.permission', 'must be the name of a permission; received nothing'],
  ['a rule that is null', [null], 'permissions.0', 'must be a rule such as'],
  ['an unknown key', [{ permission: 'bash', action: 'allow', patern: 'x' }], 'permissions.0.patern', 'is no field of a rule'],
  ['a pattern that is no text', [{ permission: 'bash', action: 'allow', pattern: 5 }], 'permissions.0.pattern', 'received 5'],
  ['an unknown word', 'ask', 'permissions', `must be 'deny', 'allow', 'escalate', a list of rules or a function; received "ask"`],
  ['null', null, 'permissions', 'received null'],
  ['nothing', undefined, 'permissions', 'received nothing'],
  ['one rule without a list', { permission: 'bash', action: 'allow' }, 'permissions', 'a list of rules'],
])('%s is refused by name', (_, value, field, message) => {
  expect(failureOf(value)).toEqual({ code: 'CONFIG_INVALID', message: expect.stringContaining(message), field });
});

test('what is a policy is given back as it is; a task names its own code', () => {
  const rules = [{ permission: 'bash', pattern: 'ls', action: 'allow', message: 'm' }] as const;
  for (const policy of ['deny', 'allow', 'escalate', rules, [], () => ({ action: 'allow' })]) {
    expect(parsePermissionPolicy(policy, 'permissions')).toBe(policy);
  }
  expect(() => parsePermissionPolicy('x', 'permissions', 'TASK_INVALID')).toThrow(expect.objectContaining({ code: 'TASK_INVALID' }));
});

/** In single quotes: the texts of plugins, which run elsewhere, import with double ones. */
const runtimeImport = /^(?:import|export)\s+(?!type\b)(?:[^'"]*?from\s+)?'([^']+)'/gm;

/** Every module that a file pulls in at run time; packages are named, files followed. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(runtimeImport)) {
    if (specifier.startsWith('.')) importsOf(resolve(dirname(file), specifier), seen);
    else seen.add(specifier);
  }
  return seen;
}

test.each(['policy', 'protocol'])('@opencode-manager/core/%s needs no package and nothing of Node', (entry) => {
  const file = fileURLToPath(import.meta.resolve(`@opencode-manager/core/${entry}`));
  expect([...importsOf(file)].filter((name) => !name.endsWith('.ts'))).toEqual([]);
});
