import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { maxPromptBytes } from '@opencode-manager/actors';
import { isManagerError, type OpencodeManagerError } from '@opencode-manager/core';
import { describe, expect, test } from 'vitest';
import { parseDuration, parseTasks, readSource } from '../src/task-file/index.ts';

const options = { source: 'tasks.jsonl', baseDirectory: '/base' };

function parse(...lines: (object | string)[]) {
  return parseTasks(lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'), options);
}

function errorOf(...lines: (object | string)[]): OpencodeManagerError {
  try {
    parse(...lines);
  } catch (error) {
    if (isManagerError(error)) return error;
    throw error;
  }
  throw new Error('the lines were accepted');
}

/** Of a task without an id: what it asks for gives it one. */
const anonymous = expect.stringMatching(/^h-[0-9a-f]{16}$/) as string;

describe('a good task file', () => {
  test('needs a prompt alone; ids come from what a line asks for, wherever it stands', () => {
    expect(parse({ prompt: 'one' }, '', { prompt: 'two' }).tasks).toEqual([
      { id: anonymous, prompt: 'one' },
      { id: anonymous, prompt: 'two' },
    ]);
  });

  test('takes every field', () => {
    const line = {
      id: 'all',
      prompt: 'go',
      directory: 'sub',
      model: 'anthropic/claude-sonnet-5',
      agent: 'plan',
      system: 'be brief',
      title: 'All of it',
      timeout: '1m30s',
      priority: 5,
      permissions: [{ permission: 'bash', pattern: 'git *', action: 'allow' }],
      metadata: { split: 'test', nested: { a: 1 } },
    };
    const { directory: _directory, timeout: _timeout, ...same } = line;
    expect(parse(line).tasks).toEqual([{ ...same, directory: '/base/sub', timeoutMs: 90_000 }]);
  });

  test('takes a group, limits, and files beside the task file', () => {
    const limits = { timeout: '10m', working: '5m', stall: '90s', steps: 50, tokens: 200_000, usd: 0.5 };
    const files = ['a.png', { path: '/b.txt', mime: 'text/plain' }, { url: 'data:,x' }];
    const line = JSON.stringify({ id: 'a', prompt: 'p', group: 'g', limits, files });
    expect(parseTasks(line, { ...options, filesDirectory: '/files' }).tasks).toEqual([
      {
        id: 'a',
        prompt: 'p',
        group: 'g',
        limits: { timeoutMs: 600_000, workingMs: 300_000, stallMs: 90_000, steps: 50, tokens: 200_000, usd: 0.5 },
        files: [{ path: '/files/a.png' }, { path: '/b.txt', mime: 'text/plain' }, { url: 'data:,x' }],
      },
    ]);
  });

  test('takes an output schema, and the path of one beside the task file', () => {
    const schema = { type: 'object', required: ['a'] };
    const directory = mkdtempSync(join(tmpdir(), 'ocm-schema-'));
    writeFileSync(join(directory, 'schema.json'), JSON.stringify(schema));
    const parsed = parseTasks(
      `{"id":"a","prompt":"p","output_schema":"schema.json"}\n{"id":"b","prompt":"q","output_schema":{"type":"string"}}`,
      {
        ...options,
        filesDirectory: directory,
      },
    );
    expect(parsed.tasks.map(({ outputSchema }) => outputSchema)).toEqual([schema, { type: 'string' }]);
    writeFileSync(join(directory, 'schema.json'), '[1]');
    expect(() => parseTasks('{"prompt":"p","output_schema":"schema.json"}', { ...options, filesDirectory: directory })).toThrow(
      `line 1: output_schema: ${directory}/schema.json must hold a JSON Schema; received [1]`,
    );
    rmSync(directory, { recursive: true });
  });

  test('gives tasks with files the same name wherever the task file lies', () => {
    const idIn = (filesDirectory: string) => parseTasks('{"prompt": "p", "files": ["a.txt"]}', { ...options, filesDirectory }).tasks[0]!.id;
    expect(idIn('/one')).toBe(idIn('/two'));
  });

  test.each([[{ custom_id: 'x', input: 'p' }], [{ instance_id: 'x', problem_statement: 'p' }], [{ task_id: 'x', instruction: 'p' }]])(
    "takes other tools' names: %o",
    (line) => {
      expect(parse(line).tasks).toEqual([{ id: 'x', prompt: 'p' }]);
    },
  );

  test('takes commands, shell lines and numbers as ids', () => {
    expect(parse({ id: 7, command: '/review src/' }, { shell: 'git status' }).tasks).toEqual([
      { id: '7', command: '/review src/' },
      { id: anonymous, shell: 'git status' },
    ]);
  });

  test('takes a byte order mark, Windows line ends and nulls for absent fields', () => {
    expect(parseTasks('\uFEFF{"prompt":"a","model":null}\r\n{"prompt":"b"}\r\n', options).tasks).toEqual([
      { id: anonymous, prompt: 'a' },
      { id: anonymous, prompt: 'b' },
    ]);
  });

  test('leaves out fields of data sets and says which', () => {
    const parsed = parse({ instance_id: 'a', problem_statement: 'p', repo: 'x/y', base_commit: 'abc' });
    expect(parsed).toEqual({ tasks: [{ id: 'a', prompt: 'p' }], ignoredFields: ['repo', 'base_commit'] });
  });

  // One row of each, shortened. What is no field of a task is left out.
  test.each<[string, object, object]>([
    [
      'MBPP',
      { task_id: 11, prompt: 'Write a function.', code: 'def f(x):\n  return x', test_list: ['assert f(1) == 1'] },
      { id: '11', prompt: 'Write a function.' },
    ],
    [
      'MBPP as it was first published',
      { text: 'Write a function.', code: 'def f(x):\n  return x', task_id: 1, test_setup_code: '', test_list: ['assert f(1) == 1'] },
      { id: '1', prompt: 'Write a function.' },
    ],
    ['a prompt beside a text', { instruction: 'Sum it up.', text: 'Long.' }, { id: anonymous, prompt: 'Sum it up.' }],
    [
      'columns that other tools would take for settings',
      { prompt: 'p', n: 1, attempts: [], tools: [], env: null, variant: 'blue', stop: '', environment: [1, 2] },
      { id: anonymous, prompt: 'p' },
    ],
    [
      'HumanEval',
      { task_id: 'HumanEval/0', prompt: 'def f():', canonical_solution: '  pass', test: 'check(f)', entry_point: 'f' },
      { id: 'HumanEval/0', prompt: 'def f():' },
    ],
    ['Alpaca', { instruction: 'Sort these words.', input: 'b a', output: 'a b' }, { id: anonymous, prompt: 'Sort these words.\n\nb a' }],
    ['Alpaca without input', { instruction: 'Name a colour.', input: '', output: 'Red' }, { id: anonymous, prompt: 'Name a colour.' }],
    [
      'SWE-bench',
      {
        instance_id: 'a__a-1',
        problem_statement: 'It fails.',
        repo: 'a/a',
        base_commit: 'abc',
        version: '4.3',
        FAIL_TO_PASS: '[]',
        hints_text: '',
      },
      { id: 'a__a-1', prompt: 'It fails.' },
    ],
    [
      'columns near a field whose values would not do there, or that the line has',
      {
        prompt: 'p',
        mode: 'train',
        models: ['a'],
        file: 'src/a.ts',
        comment: 'easy',
        title: 'T',
        titles: 'x',
        ids: 'y',
        id: 'i',
        table: 't',
      },
      { id: 'i', prompt: 'p', title: 'T' },
    ],
    ['results of a run', { prompt: 'p', max_cost: null, budget: 12, seed: 4, cost: 0.1 }, { id: anonymous, prompt: 'p' }],
  ])('takes rows of %s', (_name, line, task) => {
    expect(parse(line).tasks).toEqual([task]);
  });
});

describe('a bad task file', () => {
  test.each<[string, object | string, string]>([
    ['no JSON', '{"prompt": "a"', 'line 2: not JSON'],
    ['no object', '["a"]', 'line 2: must be a JSON object, one a line; received an array'],
    ['no prompt', {}, 'line 2: prompt: is missing'],
    ['an empty prompt', { prompt: '  \n' }, 'line 2: prompt: is empty'],
    ['a prompt that is no text', { prompt: 5 }, 'line 2: prompt: must be text; received number'],
    ['a NUL byte', { prompt: 'a\0b' }, 'line 2: prompt: holds a NUL byte'],
    ['a prompt above the cap', { prompt: 'é'.repeat(maxPromptBytes / 2 + 1) }, 'line 2: prompt: is longer than 10 MB'],
    ['two kinds of work', { prompt: 'a', shell: 'b' }, 'line 2: a task has exactly one of prompt, command and shell'],
    ['two names for the id', { id: 'a', custom_id: 'b', prompt: 'c' }, 'line 2: id: given twice, as id and as custom_id'],
    ['a mistyped field', { prompt: 'a', tiemout: '5s' }, 'line 2: tiemout: there is no such field. Did you mean timeout?'],
    ['a mistyped prompt', { promt: 'a' }, 'line 2: promt: there is no such field. Did you mean prompt?'],
    [
      'a limit of costs',
      { prompt: 'a', usd: 0.5 },
      'line 2: usd: is not supported, and without it the task would be another one. Write "limits": {"usd": 2}.',
    ],
    [
      'a limit of silence outside of limits',
      { prompt: 'a', stall: '2m' },
      'line 2: stall: is not supported, and without it the task would be another one. Write "limits": {"working": "10m", "stall": "2m"}.',
    ],
    [
      'a limit of costs by another name',
      { prompt: 'a', max_cost: 0.5 },
      'line 2: max_cost: is not supported, and without it the task would be another one. Write "limits": {"usd": 2}.',
    ],
    [
      'retries by another name',
      { prompt: 'a', max_retries: 3 },
      'line 2: max_retries: is not supported, and without it the task would be another one. Write "retries": 1',
    ],
    ['a temperature', { prompt: 'a', temperature: 0 }, 'line 2: temperature: is not supported'],
    ['a limit of steps', { prompt: 'a', maxTurns: 4 }, 'line 2: maxTurns: is not supported'],
    ['a time in another unit', { prompt: 'a', timeoutMs: 5000 }, 'Write "timeout": "90s".'],
    ['a directory by another name', { prompt: 'a', cwd: 'x' }, 'Write "directory".'],
    [
      'a system prompt by another name',
      { prompt: 'a', system_prompt: 'Be short.' },
      'system_prompt: is not supported, and without it the task would be another one. Write "system".',
    ],
    ['several samples', { prompt: 'a', n: 5 }, 'n: is not supported'],
    ['attempts', { prompt: 'a', attempts: 3 }, 'attempts: is not supported'],
    ['tools', { prompt: 'a', tools: { bash: false } }, 'tools: is not supported'],
    ['an environment', { prompt: 'a', env: { A: 'b' } }, 'name the variables with --pass-env'],
    ['a variant of the model', { prompt: 'a', variant: 'high' }, 'variant: is not supported'],
    ['a format of the answer', { prompt: 'a', response_format: { type: 'json_object' } }, 'Write "output_schema": {...}'],
    [
      'files by another name',
      { prompt: 'a', images: ['a.png'] },
      'images: is not supported, and without it the task would be another one. Write "files"',
    ],
    ['a matrix of its own', { prompt: 'a', matrix: { model: ['a/b'] } }, 'It stands beside "tasks"'],
    ['words that stop', { prompt: 'a', stop: ['END'] }, 'stop: is not supported'],
    ['another order', { prompt: 'a', depends_on: ['b'] }, 'Write "after": ["id"]'],
    ['a model by a near name', { prompt: 'a', modle: 'x/y' }, 'line 2: modle: there is no such field. Did you mean model?'],
    [
      'a prompt by a name of its own',
      { question: 'What?', answer: 'That.' },
      `line 2: prompt: is missing. Rename the column that holds it (question, answer), for example with: jq -c '.prompt = ."question"'`,
    ],
    ['a duration without a unit', { prompt: 'a', timeout: '90' }, 'line 2: timeout: "90" is not a usable duration'],
    ['a number as duration', { prompt: 'a', timeout: 90 }, 'line 2: timeout: must be a duration such as "90s"'],
    ['a model without provider', { prompt: 'a', model: 'sonnet' }, 'line 2: model: must be written provider/model'],
    [
      'a rule that is none',
      { prompt: 'a', permissions: [{ permission: 'bash', action: 'maybe' }] },
      'line 2: permissions: must be "deny", "allow" or a list of rules',
    ],
    [
      'an output schema that is not there',
      { prompt: 'a', output_schema: 'no.json' },
      'line 2: output_schema: /base/no.json cannot be read (ENOENT)',
    ],
    ['an output schema of a shell line', { shell: 'a', output_schema: true }, 'line 2: output_schema: goes with a prompt or a command'],
    ['a limit that does not exist', { prompt: 'a', limits: { token: 5 } }, 'line 2: limits: there is no limit token. Did you mean tokens?'],
    ['a limit of nothing', { prompt: 'a', limits: { steps: 0 } }, 'line 2: limits.steps: must be a whole number above 0; received 0'],
    ['a limit that is no price', { prompt: 'a', limits: { usd: '2' } }, 'line 2: limits.usd: must be a number above 0; received "2"'],
    ['a limit that is no duration', { prompt: 'a', limits: { stall: '5' } }, 'line 2: limits.stall: "5" is not a usable duration'],
    ['two timeouts', { prompt: 'a', timeout: '5s', limits: { timeout: '6s' } }, 'line 2: timeout: stands in limits too; leave out one'],
    ['files of a shell line', { shell: 'a', files: ['b'] }, 'line 2: files: go with a prompt alone'],
    ['files that are no paths', { prompt: 'a', files: [5] }, 'line 2: files.0: must be a path, or {path or url, mime?}; received 5'],
    ['an empty id', { id: '', prompt: 'a' }, 'line 2: id: is empty'],
  ])('is refused for %s', (_name, line, message) => {
    const error = errorOf({ prompt: 'fine' }, line);
    expect(error.code).toBe('TASK_INVALID');
    expect(error.message).toContain('tasks.jsonl has a bad line; nothing was started.');
    expect(error.message).toContain(message);
  });

  test.each<[string, Record<string, unknown>]>([
    ['a chat API', { id: 'r', messages: [{ role: 'user', content: 'hi' }] }],
    ['a chat API', { id: 'r', messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }] }],
    ['a chat API', { id: 'r', prompt: [{ role: 'user', content: 'hi' }] }],
    [
      'the batch API of OpenAI',
      { custom_id: 'r', method: 'POST', url: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'hi' }] } },
    ],
    ['the batch API of OpenAI', { custom_id: 'r', url: '/v1/completions', body: { prompt: 'hi' } }],
    ['the batch API of OpenAI', { custom_id: 'r', url: '/v1/responses', body: { input: 'hi' } }],
    ['the batch API of OpenAI', { custom_id: 'r', body: { input: [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }] } }],
    ['the batch API of Anthropic', { custom_id: 'r', params: { messages: [{ role: 'user', content: 'hi' }] } }],
    ['the batch API of Gemini', { key: 'r', request: { contents: [{ parts: [{ text: 'hi' }] }] } }],
    [
      'ShareGPT',
      {
        id: 'r',
        conversations: [
          { from: 'human', value: 'hi' },
          { from: 'gpt', value: 'Hello.' },
        ],
      },
    ],
  ])('is refused for a row of %s, with a filter that makes a task of it', (name, row) => {
    const { message } = errorOf(row);
    const [, filter] = new RegExp(`This is a row of ${name}; opencode takes one prompt[.].* with: jq -c '(.*)'$`, 'm').exec(message) ?? [];
    expect(filter).toMatch(/^\{id: \(.*\), prompt: .+\}$/);
    // Not every machine has it.
    if (spawnSync('jq', ['--version']).error) return;
    const converted = execFileSync('jq', ['-c', filter!], { input: JSON.stringify(row), encoding: 'utf8' });
    expect(parseTasks(converted, options).tasks).toEqual([{ id: 'r', prompt: 'hi' }]);
  });

  test('is refused with all its bad lines, up to twenty', () => {
    const bad = Array.from({ length: 25 }, () => '{}');
    const error = errorOf({ prompt: 'fine' }, ...bad);
    expect(error.message.split('\n')).toHaveLength(22);
    expect(error.message).toContain('tasks.jsonl has 25 bad lines; nothing was started.');
    expect(error.message).toMatch(/line 21: prompt: is missing\n {2}and 5 more$/);
    expect(error.details).toEqual({ lines: Array.from({ length: 20 }, (_, index) => index + 2), problems: 25 });
  });

  test('is refused for ids that two lines share', () => {
    const error = errorOf({ id: 'same', prompt: 'a' }, { prompt: 'b' }, { task_id: 'same', prompt: 'c' });
    expect(error.code).toBe('TASK_DUPLICATE');
    expect(error.message).toBe('tasks.jsonl: line 1 and line 3 have the same id "same". Give each task an id of its own.');
  });

  test('is refused when it is empty', () => {
    expect(errorOf('', '  ').code).toBe('TASK_INVALID');
  });
});

describe('a file that is no UTF-8', () => {
  const latin1 = Buffer.from('{"prompt": "�"}\n{"prompt": "ä"}\n{"prompt": "x', 'utf8');
  test.each<[string, Buffer, string]>([
    [
      'Latin-1',
      Buffer.concat([latin1, Buffer.from([0xe9, 0x22, 0x7d])]),
      'byte 48 is 0xe9 (line 3). Convert it, for example with: iconv -f latin1',
    ],
    ['a cut character', Buffer.from('{"prompt": "ä"}').subarray(0, 13), 'byte 12 is 0xc3 (line 1)'],
    ['UTF-16', Buffer.from('﻿{"prompt": "a"}', 'utf16le'), 'byte 0 is 0xff (line 1). Convert it, for example with: iconv -f utf16'],
  ])('is refused with the place of the byte: %s', async (_name, bytes, message) => {
    await expect(readSource('-', Readable.from([bytes]))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message),
    });
  });

  test('a replacement character of its own is no fault', async () => {
    expect(await readSource('-', Readable.from([latin1]))).toBe(latin1.toString());
  });
});

test.each([
  ['500ms', 500],
  ['90s', 90_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
])('%s is %d milliseconds', (text, ms) => {
  expect(parseDuration(text, '--timeout')).toBe(ms);
});

test.each(['', '5', 's', '5 s', '-5s', '0s', '5d', '1e3s', '600h'])('%j is no duration', (text) => {
  expect(() => parseDuration(text, '--timeout')).toThrow(/^--timeout: /);
});
