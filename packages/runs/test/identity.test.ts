import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  canonicalJson,
  configurationDigest,
  differingFields,
  digestFiles,
  keyTasks,
  repeatKey,
  taskHash,
  taskKey,
  type OwnFields,
  type TaskFacts,
} from '../src/index.ts';
import { identifyTasks, sourceTask } from '../src/run/source-tasks.ts';
import { scratch } from './support/scratch.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('canonical JSON', () => {
  test('sorts keys by their UTF-16 units at every depth, and writes numbers and texts as ECMAScript does', () => {
    // The example of RFC 8785, section 3.2.3, without its control characters.
    const keys = { '\u20ac': 'Euro Sign', '\r': 'Carriage Return', '\ufb33': 'Hebrew', '1': 'One', '\ud83d\ude00': 'Emoji', ö: 'o' };
    expect(Object.values(JSON.parse(canonicalJson(keys)) as object)).toEqual([
      'One',
      'Carriage Return',
      'o',
      'Euro Sign',
      'Emoji',
      'Hebrew',
    ]);
    expect(canonicalJson({ b: [1e21, -0, 0.000001], a: { d: undefined, c: null, '': '\u2028"' } })).toBe(
      '{"a":{"":"\u2028\\"","c":null},"b":[1e+21,0,0.000001]}',
    );
  });

  test.each<[string, unknown, string]>([
    ['a function', { rules: [() => true] }, 'rules.0: function'],
    ['a date', { at: new Date(0) }, 'at: an object of Date'],
    ['not a number', [NaN], '0: NaN'],
    ['a hole', { list: [undefined] }, 'list.0: undefined'],
    ['a big number', 1n, 'the value: bigint'],
  ])('%s is refused with its place', (_, value, says) => {
    expect(() => canonicalJson(value)).toThrow(
      expect.objectContaining({ code: 'TASK_INVALID', message: expect.stringContaining(says) as string }),
    );
  });
});

describe('the key of a task', () => {
  const own: OwnFields = {
    prompt: 'Fix it',
    agent: 'build',
    model: 'local/test',
    system: 'Be brief',
    directory: 'a',
    files: [{ path: 'x' }],
  };

  test('is its id, or stands for its own fields', () => {
    expect(taskKey({ ...own, id: 'any thing/at all' })).toBe('any thing/at all');
    // Fixed: another value would make new tasks of all that were run before.
    expect(taskKey({ prompt: 'Fix it' })).toBe(`h-${sha256('{"prompt":"Fix it"}').slice(0, 16)}`);
    expect(taskKey(own)).toBe(
      `h-${sha256('{"agent":"build","directory":"a","files":["x"],"model":"local/test","prompt":"Fix it","system":"Be brief"}').slice(0, 16)}`,
    );
    expect(repeatKey('fix', 2)).toBe('fix#2');
  });

  test.each(['prompt', 'command', 'shell', 'system', 'agent', 'model', 'directory'] as const)('changes with %s', (field) => {
    expect(taskKey({ ...own, [field]: 'other' })).not.toBe(taskKey(own));
  });

  test('changes with the names of files and not with anything else', () => {
    expect(taskKey({ ...own, files: [{ path: 'y' }] })).not.toBe(taskKey(own));
    expect(taskKey({ ...own, files: [{ path: 'x', mime: 'text/plain' }] })).toBe(taskKey(own));
    const more = {
      ...own,
      title: 'T',
      timeoutMs: 1,
      priority: 3,
      group: 'g',
      metadata: { a: 1 },
      permissions: 'allow',
      workspace: 'clone',
    };
    expect(taskKey(more)).toBe(taskKey(own));
  });

  const refusal = (tasks: Parameters<typeof keyTasks>[0]): { code: string; message: string } => {
    try {
      return {
        code: 'none',
        message: keyTasks(tasks)
          .map(({ key }) => key)
          .join(),
      };
    } catch (error) {
      return error as { code: string; message: string };
    }
  };
  const at = (line: number) => ({ source: 'tasks.jsonl', line });

  test('two tasks with one key are refused naming both places', () => {
    expect(
      refusal([
        { task: { id: 'b', prompt: 'one' }, place: at(1) },
        { task: { id: 'a', prompt: 'one' }, place: at(2) },
      ]),
    ).toEqual({
      code: 'none',
      message: 'b,a',
    });
    const twice = refusal([
      { task: { id: 'a', prompt: 'one' }, place: at(1) },
      { task: { prompt: 'same' }, place: at(3) },
      { task: { id: 'a', prompt: 'two' }, place: at(7) },
      { task: { prompt: 'same' }, place: { source: 'code', position: 4 } },
      { task: { id: taskKey({ prompt: 'same' }), prompt: 'x' }, place: at(9) },
    ]);
    expect(twice.code).toBe('TASK_DUPLICATE');
    expect(twice.message.split('\n')).toEqual([
      'tasks.jsonl: line 1 and line 7 have the same id "a". Give each task an id of its own.',
      'tasks.jsonl: line 3 and code: task 4 ask for the same. Give each an id, or write the task once with repeat.',
      `tasks.jsonl: line 3 and line 9 have the same id "${taskKey({ prompt: 'same' })}". Give each task an id of its own.`,
    ]);
    const many = refusal(Array.from({ length: 31 }, (_, n) => ({ task: { id: 'a' }, place: at(n + 1) })));
    expect(many.message.split('\n')).toHaveLength(21);
    expect(many.message).toMatch(/\.\.\. and 10 more$/);
  });
});

const facts: TaskFacts = {
  task: { prompt: 'Fix it', system: 'Be brief', agent: 'build', model: 'local/test' },
  files: [
    { name: 'a.txt', sha256: sha256('a') },
    { name: 'b.txt', mime: 'text/plain', sha256: sha256('b') },
  ],
  workspace: {
    mode: 'clone',
    rootCommit: '1'.repeat(40),
    baseCommit: '2'.repeat(40),
    directory: 'src',
    include: ['.env', '!x'],
    setup: 'npm ci',
  },
  permissions: [{ permission: 'bash', action: 'allow' }],
  check: { command: 'npm test' },
  outputSchema: { type: 'object' },
  configuration: configurationDigest({ model: 'local/test' }),
  repeat: 1,
};
const { workspace } = facts;

describe('the hash of a task', () => {
  test('is SHA-256 of the canonical JSON under the name of its rules', () => {
    const small = taskHash({ task: { shell: 'ls' }, workspace: { mode: 'shared', path: '/w' }, configuration: 'sha256:0' });
    const text = '{"configuration":"sha256:0","shell":"ls","workspace.mode":"shared","workspace.path":"/w"}';
    expect(small.hash).toBe(`ocm-task-v1:${sha256(text)}`);
    expect(small.fields).toEqual({
      configuration: sha256('"sha256:0"').slice(0, 16),
      shell: sha256('"ls"').slice(0, 16),
      'workspace.mode': sha256('"shared"').slice(0, 16),
      'workspace.path': sha256('"/w"').slice(0, 16),
    });
    // Fixed: another value under the same name would throw finished work away.
    expect(taskHash(facts).hash).toBe('ocm-task-v1:e159fef2ce047a385b678279ca78ca4fc590fb5c03898aff282ec618151a21f8');
  });

  test.each<[field: string, changed: TaskFacts]>([
    ['prompt', { ...facts, task: { ...facts.task, prompt: 'Fix it.' } }],
    ['command', { ...facts, task: { ...facts.task, command: 'review' } }],
    ['shell', { ...facts, task: { ...facts.task, shell: 'ls' } }],
    ['system', { ...facts, task: { ...facts.task, system: 'Be long' } }],
    ['agent', { ...facts, task: { ...facts.task, agent: 'plan' } }],
    ['model', { ...facts, task: { ...facts.task, model: 'local/other' } }],
    ['files', { ...facts, files: facts.files!.toReversed() }],
    ['files', { ...facts, files: [{ ...facts.files![0]!, mime: 'text/csv' }, facts.files![1]!] }],
    ['files.b.txt', { ...facts, files: [facts.files![0]!, { ...facts.files![1]!, sha256: sha256('c') }] }],
    ['workspace.mode', { ...facts, workspace: { ...workspace, mode: 'worktree' } }],
    ['workspace.path', { ...facts, workspace: { ...workspace, path: '/elsewhere' } }],
    ['workspace.root_commit', { ...facts, workspace: { ...workspace, rootCommit: '3'.repeat(40) } }],
    ['workspace.base_commit', { ...facts, workspace: { ...workspace, baseCommit: '3'.repeat(40) } }],
    ['workspace.directory', { ...facts, workspace: { ...workspace, directory: '' } }],
    ['workspace.include', { ...facts, workspace: { ...workspace, include: ['!x', '.env'] } }],
    ['workspace.setup', { ...facts, workspace: { ...workspace, setup: 'npm install' } }],
    ['permissions', { ...facts, permissions: 'allow' }],
    ['check', { ...facts, check: { command: 'npm t' } }],
    ['output_schema', { ...facts, outputSchema: { type: 'array' } }],
    ['configuration', { ...facts, configuration: configurationDigest({ model: 'local/other' }) }],
    ['repeat', { ...facts, repeat: 2 }],
  ])('changes with %s, which is named', (field, changed) => {
    const [before, after] = [taskHash(facts), taskHash(changed)];
    expect(after.hash).not.toBe(before.hash);
    expect(differingFields(before, after)).toEqual([field]);
  });

  test('a field that comes or goes is named, and so are other rules', () => {
    const { check: _, ...without } = facts;
    expect(differingFields(taskHash(without), taskHash(facts))).toEqual(['check']);
    expect(differingFields(taskHash(facts), taskHash({ ...without, files: [] }))).toEqual(['check', 'files', 'files.a.txt', 'files.b.txt']);
    const now = taskHash(facts);
    expect(differingFields({ ...now, hash: now.hash.replace('v1', 'v2') }, now)).toEqual(['version']);
    expect(differingFields(now, taskHash(structuredClone(facts)))).toEqual([]);
  });

  test('does not change with limits, order, titles, metadata, nor with the order of keys', () => {
    const extra = {
      id: 'x',
      title: 't',
      priority: 9,
      group: 'g',
      timeoutMs: 5,
      metadata: { a: 1 },
      retries: 3,
      after: ['y'],
      directory: '/x',
    };
    const reordered = Object.fromEntries(Object.entries(facts).toReversed()) as unknown as TaskFacts;
    expect(taskHash({ ...facts, task: { ...facts.task, ...extra } })).toEqual(taskHash(facts));
    expect(taskHash(reordered)).toEqual(taskHash(facts));
  });

  test('in a shared directory only its path counts', () => {
    const shared = { ...facts, workspace: { ...workspace, mode: 'shared', path: '/w' } };
    const moved = { ...shared, workspace: { ...shared.workspace, baseCommit: '9'.repeat(40), include: [], setup: 'x', directory: 'y' } };
    expect(taskHash(moved)).toEqual(taskHash(shared));
    expect(differingFields(taskHash(shared), taskHash({ ...shared, workspace: { mode: 'shared', path: '/v' } }))).toEqual([
      'workspace.path',
    ]);
  });
});

describe('the digests of attached files', () => {
  test('are those of their contents, wherever the paths count from', async () => {
    using directory = scratch();
    mkdirSync(join(directory.path, 'below'));
    writeFileSync(join(directory.path, 'below', 'ä b.txt'), 'content');
    const url = pathToFileURL(join(directory.path, 'below', 'ä b.txt')).href;
    const known = new Map<string, Promise<string>>();
    const absolute = join(directory.path, 'below', 'ä b.txt');
    const files = [
      { path: 'ä b.txt', mime: 'text/plain' },
      { path: absolute },
      { url },
      { url: 'data:,hello' },
      { url: 'https://example.invalid/x.png' },
    ];
    expect(await digestFiles(files, join(directory.path, 'below'), known)).toEqual([
      { name: 'ä b.txt', mime: 'text/plain', sha256: sha256('content') },
      // Where it lies is not what it says.
      { name: 'ä b.txt~2', sha256: sha256('content') },
      { name: url, sha256: sha256('content') },
      { name: `data:${sha256('data:,hello').slice(0, 8)}`, sha256: sha256('data:,hello') },
      { name: 'https://example.invalid/x.png', sha256: sha256('https://example.invalid/x.png') },
    ]);
    expect([...known.keys()]).toEqual([join(directory.path, 'below', 'ä b.txt')]);
    // Of a shared directory what was read at launch counts.
    writeFileSync(join(directory.path, 'below', 'ä b.txt'), 'changed by a task');
    expect(await digestFiles([{ path: 'below/ä b.txt' }], directory.path, known)).toEqual([
      { name: 'below/ä b.txt', sha256: sha256('content') },
    ]);
  });

  test.each(['missing.txt', '.'])('%s is refused by name', async (path) => {
    using directory = scratch();
    await expect(digestFiles([{ path }], directory.path)).rejects.toMatchObject({
      code: 'TASK_INVALID',
      message: expect.stringContaining(`files: ${path} cannot be read: `) as string,
    });
  });
});

test('a limit is no part of what a task is, and part of the plan', async () => {
  const limits = { workingMs: 3, stallMs: 4, steps: 5, tokens: 6, usd: 0.7 };
  const planned = async (task: object) => {
    const options = { tasks: [{ id: 'a', prompt: 'p', ...task }], directory: '/', configuration: '' };
    return sourceTask((await identifyTasks(options))[0]!, { taskTimeoutMs: 9 });
  };
  const [without, some, all] = [await planned({}), await planned({ limits }), await planned({ limits: { timeoutMs: 2, ...limits } })];
  expect([without.limits, some.limits, all.limits]).toEqual([
    { timeout: 9 },
    { timeout: 9, working: 3, stall: 4, steps: 5, tokens: 6, usd: 0.7 },
    { timeout: 2, working: 3, stall: 4, steps: 5, tokens: 6, usd: 0.7 },
  ]);
  expect([some.hash, all.hash]).toEqual([without.hash, without.hash]);
});
