import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openBench, type Bench } from './support/ocm.ts';
import { openSynthetic } from './support/synthetic.ts';
import { runHere } from './support/terminal.ts';

let bench: Bench;
let tasksFile: string;
beforeAll(async () => {
  bench = await openBench({ default: 'said' });
  tasksFile = join(bench.root, 'tasks.jsonl');
});
afterEach(async () => {
  // Nobody was asked, and nothing stayed.
  expect(bench.model.calls).toEqual([]);
  await bench.expectNothingLeft();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function write(...lines: (object | string)[]) {
  await writeFile(tasksFile, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
}

const line = () => ['run', tasksFile, '--directory', bench.workspace.path, '--opencode-config', bench.configFile];

async function run(...lines: (object | string)[]) {
  await write(...lines);
  return runHere(...line());
}

test('a configuration that needs packages, with --offline: refused with their names before anything is started', async () => {
  const configFile = join(bench.root, 'needs-packages.json');
  const mcp = { demo: { type: 'local', command: ['npx', '-y', 'demo-mcp'] } };
  await writeFile(configFile, JSON.stringify({ ...bench.model.opencodeConfig(), plugin: ['demo-plugin@1.0.0'], mcp }));
  await writeFile(tasksFile, JSON.stringify({ prompt: 'go' }));
  const options = ['--directory', bench.workspace.path, '--opencode-config', configFile, '--offline'];
  await using running = bench.start(['run', tasksFile, ...options]);
  expect(await running.exit).toBe(5);
  expect(running.stderr).toContain('PACKAGE_UNAVAILABLE');
  expect(running.stderr).toContain('demo-plugin@1.0.0 (plugin), demo-mcp (MCP server demo)');
});

test.each(['missing.txt', '.'])('a task with a file that cannot be attached (%s) is named', async (file) => {
  const { exitCode, stderr } = await run({ id: 'a', prompt: 'p', files: ['tasks.jsonl'] }, { id: 'b', prompt: 'p', files: [file] });
  expect(exitCode).toBe(2);
  expect(stderr).toContain(`TASK_INVALID: Task b: files: ${join(bench.root, file)} `);
});

test('a column that is no field is a note, and with --strict-fields refused', async () => {
  await write({ id: 'a', prompt: 'p', split: 'test' });
  const noted = await runHere(...line(), '--dry-run');
  expect(noted.exitCode).toBe(0);
  expect(noted.stderr).toContain('fields that a task does not have are left out: split');
  const refused = await runHere(...line(), '--dry-run', '--strict-fields');
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('line 1: split: is no field of a task');
});

describe('a task file of garbage', () => {
  test('of 10,000 lines: the first problems with their lines, and how many there are', async () => {
    const garbage = ['\u0001\u001B[31mred', '{"prompt":', '[1]', '{"promt": "x"}', 'x'.repeat(5000), '{"prompt": 5}', '"text"', '{}'];
    const { exitCode, stdout, stderr } = await run(...Array.from({ length: 10_000 }, (_, index) => garbage[index % garbage.length]!));
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('has 10000 bad lines; nothing was started.');
    expect(stderr.match(/^ {2}line \d+: /gm)).toHaveLength(20);
    expect(stderr).toMatch(/^ {2}line 2: not JSON/m);
    expect(stderr).toMatch(/and \d+ more/);
    expect(stderr.length).toBeLessThan(5000);
    // What stands in a file must not steer the terminal.
    for (const character of ['\u0001', '\u001B']) expect(stderr).not.toContain(character);
  });

  test('10,000 good lines with a field each that no task has: the note about them is short', async () => {
    const name = (index: number) => `\u001B[31m${'column'.repeat(100)}_${index}`;
    const lines = Array.from({ length: 10_000 }, (_, index) => ({ prompt: `go ${index}`, [name(index)]: index }));
    const { exitCode, stderr } = await run(...lines, { prompt: 'go', directory: 'not/there' });
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(/fields that a task does not have are left out: ␛\[31mcolumn.* and 9990 more$/m);
    expect(stderr).not.toContain('\u001B');
    expect(stderr.length).toBeLessThan(5000);
  });
});

describe('a prompt that cannot be sent', () => {
  test('of 50 MB: refused with its line, its field and the limit', async () => {
    await pipeline(Readable.from(fiftyMegabytes()), createWriteStream(tasksFile));
    const { exitCode, stderr } = await runHere(...line());
    expect(exitCode).toBe(2);
    expect(stderr).toContain('line 2: prompt: is longer than 10 MB');
  });

  test('NUL bytes, in whatever field: refused with each line and its field', async () => {
    const fields = ['prompt', 'command', 'shell', 'directory', 'system', 'title', 'id', 'agent', 'model'];
    const lines = fields.map((field) => ({
      ...(field === 'command' || field === 'shell' ? {} : { prompt: 'go' }),
      [field]: 'scripted/mo\0del',
    }));
    const { exitCode, stderr } = await run(...lines);
    expect(exitCode).toBe(2);
    expect(stderr.match(/^ {2}line \d+: .*$/gm)).toEqual(fields.map((field, index) => `  line ${index + 1}: ${field}: holds a NUL byte`));
  });
});

function* fiftyMegabytes(): Generator<string> {
  yield '{"prompt": "good"}\n{"prompt": "';
  for (let megabyte = 0; megabyte < 50; megabyte += 1) yield 'a'.repeat(1_000_000);
  yield '"}\n';
}

describe('a name that does not exist', () => {
  // The pool's tests have the other names that it looks up; the way from there to the command is one.
  test('model: refused before any task runs', async () => {
    await write({ id: 'good', prompt: 'go' }, { id: 'bad', prompt: 'go', model: 'synthetic/none' });
    // What the server has is asked for: it starts.
    await using synthetic = await openSynthetic(bench);
    await using running = bench.start([...line(), ...synthetic.args, '--json']);
    expect(await running.exit).not.toBe(0);
    expect(running.records.map(({ type }) => type)).toEqual(['launch', 'error', 'done']);
    expect(running.stderr).toContain('MODEL_UNKNOWN');
    expect(running.stderr).toContain('synthetic/none');
    expect(running.stderr).toMatch(/bad|line 2/);
  });

  test('directory: refused before any task runs', async () => {
    const { exitCode, stderr } = await run({ id: 'good', prompt: 'go' }, { id: 'bad', prompt: 'go', directory: 'not/there' });
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('DIRECTORY_MISSING');
    expect(stderr).toContain('not/there');
    expect(stderr).toMatch(/bad|line 2/);
  });
});
