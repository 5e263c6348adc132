import { readFile } from 'node:fs/promises';
import { isManagerError, type OpencodeManagerError } from '@opencode-manager/core';
import { describe, expect, test } from 'vitest';
import { parseTasks } from '../src/task-file/index.ts';
import { taskFileJsonSchema, taskJsonSchema } from '../src/task-file/json-schema.ts';

const parse = (text: string, source: string) => parseTasks(text, { source, baseDirectory: '/base' });

function errorOf(text: string, source: string): OpencodeManagerError {
  try {
    parse(text, source);
  } catch (error) {
    if (isManagerError(error)) return error;
    throw error;
  }
  throw new Error('the file was accepted');
}

const two = [
  { id: 'a', prompt: 'one' },
  { id: 'b', shell: 'two', retries: 2, after: ['a'] },
];

describe('one set of tasks in each format', () => {
  const texts: Record<string, string> = {
    jsonl: two.map((task) => JSON.stringify(task)).join('\n'),
    json: JSON.stringify(two, null, 2),
    yaml: '# tasks\n- id: a\n  prompt: one\n- {id: b, shell: two, retries: 2, after: [a]}\n',
    csv: '\uFEFFid,prompt,shell,retries,after\r\na,one,,,\r\nb,,two,2,a\r\n',
  };
  test.each(Object.keys(texts))('%s, by the name of the file and by its content', (name) => {
    expect(parse(texts[name]!, `tasks.${name}`).tasks).toEqual(two);
    expect(parse(texts[name]!, 'standard input').tasks).toEqual(two);
  });

  test('a .json file of one task, of JSON Lines, and of an object with tasks', () => {
    expect(parse('{\n "id": "a",\n "prompt": "one"\n}', 'a.json').tasks).toEqual([two[0]]);
    expect(parse(texts['jsonl']!, 'a.json').tasks).toEqual(two);
    expect(parse('{"defaults": {"id": null, "agent": "plan"}, "tasks": [{"id": "a", "prompt": "p"}]}', '-').tasks).toEqual([
      { id: 'a', prompt: 'p', agent: 'plan' },
    ]);
  });
});

describe('CSV', () => {
  test('takes quotes, newlines in cells, parts of fields, JSON in cells and other separators', () => {
    const text = 'id;input;metadata.split;permissions\n1;"Say ""hi"",\nand go.";test;"[{""permission"":""bash"",""action"":""deny""}]"\n';
    expect(parse(text, 'tasks.csv').tasks).toEqual([
      { id: '1', prompt: 'Say "hi",\nand go.', metadata: { split: 'test' }, permissions: [{ permission: 'bash', action: 'deny' }] },
    ]);
  });

  test('names the row, its line, the field and what was received', () => {
    const { message } = errorOf('id,prompt,retries,after\na,"x\ny",many,\nb,z,1,"[1"\nc,z\n', 'tasks.csv');
    expect(message).toContain('tasks.csv has 3 bad rows; nothing was started.');
    expect(message).toContain('row 1 (line 2): retries: must be a whole number of 0 to 100; received "many"');
    expect(message).toMatch(/row 2 \(line 4\): after: not JSON \(.*\); received "\[1"/);
    expect(message).toContain('row 3 (line 5): has 2 cells; the header has 4');
  });

  test.each([
    ['id,prompt\na,"open', 'line 2: not CSV (Quote Not Closed'],
    ['id,id\na,b', 'the header (line 1): column 2 is named "id", as column 1 is'],
    ['id,prompt,tiemout\na,b,5s', 'row 1 (line 2): tiemout: there is no such field. Did you mean timeout?'],
  ])('%j is refused', (text, message) => {
    expect(errorOf(text, 'tasks.csv').message).toContain(message);
  });
});

describe('defaults', () => {
  test('are merged under each task; null switches one off, another kind of work displaces that of the defaults', () => {
    const text = `
defaults: {command: review, timeout: 90s, agent: plan, metadata: {a: 1, b: 1}}
tasks:
  - {id: x, metadata: {b: 2}}
  - {id: y, instruction: Say it, agent: null}
`;
    expect(parse(text, 'tasks.yaml').tasks).toEqual([
      { id: 'x', command: 'review', timeoutMs: 90_000, agent: 'plan', metadata: { a: 1, b: 2 } },
      { id: 'y', prompt: 'Say it', timeoutMs: 90_000, metadata: { a: 1, b: 1 } },
    ]);
  });

  test('are refused where they name a task or are no fields', () => {
    const { message } = errorOf('defaults:\n  id: a\n  speed: 5\ntasks:\n  - prompt: p\n', 'tasks.yml');
    expect(message).toContain('defaults (line 2): id: each task has an id of its own');
    expect(message).toContain('defaults (line 2): speed: is no field of a task');
  });
});

describe('a matrix', () => {
  const text = `
defaults: {prompt: Say it}
matrix:
  model: [x/small, x/large]
  agent: [plan, build]
  exclude: [{model: x/large, agent: plan}]
tasks:
  - id: a
    metadata: {split: test}
  - {id: b, after: [a]}
`;

  test('multiplies the tasks: readable keys, the values in the metadata, the order within a combination', () => {
    const { tasks } = parse(text, 'tasks.yaml');
    expect(tasks.map(({ id }) => id)).toEqual([
      'a/model=x/small,agent=plan',
      'a/model=x/small,agent=build',
      'a/model=x/large,agent=build',
      'b/model=x/small,agent=plan',
      'b/model=x/small,agent=build',
      'b/model=x/large,agent=build',
    ]);
    const matrix = { model: 'x/large', agent: 'build' };
    expect(tasks[2]).toEqual({ id: 'a/model=x/large,agent=build', prompt: 'Say it', ...matrix, metadata: { split: 'test', matrix } });
    expect(tasks[5]!.after).toEqual(['a/model=x/large,agent=build']);
  });

  test('gives a task without an id the key of what it asks for besides the axes', () => {
    const ids = parse('matrix: {model: [x/y, x/z]}\ntasks: [{prompt: p}]', 'tasks.yaml').tasks.map(({ id }) => id.split('/model='));
    expect(ids[0]![0]).toMatch(/^h-[0-9a-f]{16}$/);
    expect(ids).toEqual([
      [ids[0]![0], 'x/y'],
      [ids[0]![0], 'x/z'],
    ]);
  });

  test('shortens long values in keys', () => {
    const { tasks } = parse(`matrix: {system: [Be brief., "${'long '.repeat(40)}"]}\ntasks: [{id: a, prompt: p}]`, 'tasks.yaml');
    expect(tasks.map(({ id }) => id)).toEqual(['a/system=Be brief.', expect.stringMatching(/^a\/system=(long ){5}long~[0-9a-f]{8}$/)]);
  });

  test.each([
    ['matrix: {model: [sonnet]}', 'matrix (line 1): model.0: must be written provider/model; received "sonnet"'],
    ['matrix: {modell: [x/y]}', 'matrix (line 1): modell: is no field of a task that can be an axis'],
    ['matrix: {agent: []}', 'matrix (line 1): agent: must be a list of values; received []'],
    ['matrix: {agent: [a, a]}', 'matrix (line 1): agent.1: "a" stands in the list twice'],
    ['matrix: {agent: [a], exclude: [{agent: b}]}', 'exclude.0.agent: "b" is no value of this axis'],
    ['matrix: {agent: [a], exclude: [{agent: a}]}', 'matrix (line 1): leaves no combination'],
    [
      `matrix: {priority: [${Array.from({ length: 400 }, (_, n) => n).join()}], repeat: [${Array.from({ length: 400 }, (_, n) => n + 1).join()}]}`,
      'makes 160000 combinations',
    ],
    ['matrix: {title: [a]}', 'task 1 (line 2): title: is an axis of the matrix too'],
  ])('%j is refused', (matrix, message) => {
    expect(errorOf(`${matrix}\ntasks: [{prompt: p, title: t}]`, 'tasks.yaml').message).toContain(message);
  });
});

describe('YAML', () => {
  test('takes anchors, aliases and merges', () => {
    const text = '- &first {id: a, prompt: &p Say it, agent: plan}\n- {<<: *first, id: b}\n- {id: c, prompt: *p}\n';
    expect(parse(text, 'tasks.yaml').tasks).toEqual([
      { id: 'a', prompt: 'Say it', agent: 'plan' },
      { id: 'b', prompt: 'Say it', agent: 'plan' },
      { id: 'c', prompt: 'Say it' },
    ]);
  });

  test('takes an alias in each of a thousand tasks', () => {
    const tasks = Array.from({ length: 1000 }, (_, index) => `- {id: ${index}, prompt: p, system: *s}`);
    expect(parse(`- {id: first, prompt: p, system: &s Be brief}\n${tasks.join('\n')}`, 'tasks.yaml').tasks).toHaveLength(1001);
  });

  test('refuses aliases that stand for more than memory holds, within a moment', () => {
    const levels = Array.from({ length: 30 }, (_, n) => `l${n + 1}: &l${n + 1} [${Array.from({ length: 9 }, () => `*l${n}`).join()}]`);
    const text = `- id: a\n  prompt: p\n  metadata:\n    l0: &l0 [x]\n    ${levels.join('\n    ')}\n`;
    const beganAt = performance.now();
    expect(errorOf(text, 'tasks.yaml').message).toContain('its aliases stand for more than 1000000 values');
    expect(performance.now() - beganAt).toBeLessThan(3000);
  });

  test('refuses an alias of what it stands in', () => {
    expect(errorOf('- &a {id: x, prompt: p, metadata: {self: *a}}', 'tasks.yaml').message).toContain('more than 1000000 values');
  });

  test.each([
    ['- id: a\n  prompt: !!js/function "x"', 'line 2: not YAML (Unresolved tag'],
    ['- id: a\n  prompt: !secret x', 'line 2: not YAML (Unresolved tag'],
    ['- id: a\n  id: b', 'line 2: not YAML (Map keys must be unique)'],
    ['- id: a\n  prompt: [p', 'not YAML (Flow sequence'],
    ['- prompt: *p', 'not YAML (Unresolved alias'],
    ['- prompt: p\n---\n- prompt: q', 'not YAML (Source contains multiple documents'],
    ['tasks: {a: 1}', 'tasks (line 1): must be a list of tasks; received {"a":1}'],
    ['task: []\ntasks: [{prompt: p}]', 'task (line 1): is no part of a task file. Did you mean tasks? Known: defaults, matrix, tasks'],
    ['- prompt: p\n- 5', 'task 2 (line 2): must be an object; received 5'],
    ['- prompt: p\n\n- prompt: p\n  timeout: 90', 'task 2 (line 3): timeout: must be a duration such as "90s"; received 90'],
  ])('%j is refused', (text, message) => {
    expect(errorOf(text, 'tasks.yaml').message).toContain(message);
  });
});

describe('JSON', () => {
  test.each([
    ['[{"prompt": "p"},\n {"prompt": 5}]', 'task 2 (line 2): prompt: must be text; received number'],
    ['[{"prompt": "p"},\n {"prompt" 5}]', 'line 2: not JSON ('],
    ['{"tasks": [\n {"promt": "p"}]}', 'task 1 (line 2): promt: there is no such field. Did you mean prompt?'],
  ])('%j is refused', (text, message) => {
    expect(errorOf(text, 'tasks.json').message).toContain(message);
  });

  test('names both places of one id', () => {
    expect(errorOf('[{"id": "a", "prompt": "p"},\n\n{"id": "a", "prompt": "q"}]', 'tasks.json').message).toBe(
      'tasks.json: line 1 and line 3 have the same id "a". Give each task an id of its own.',
    );
  });
});

describe('the JSON Schemas', () => {
  test.each([
    ['task', taskJsonSchema],
    ['tasks', taskFileJsonSchema],
  ])('schema/%s.json is the one that the sources give', async (name, schema) => {
    expect(JSON.parse(await readFile(new URL(`../schema/${name}.json`, import.meta.url), 'utf8'))).toEqual(schema());
  });
});
