import { writeFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskResult } from '@opencode-manager/actors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorCommand, resultCommands, noticesWithoutCommands } from '../src/batch/github.ts';
import { reportersOf } from '../src/batch/reporters.ts';
import { createTerminal } from '../src/terminal/index.ts';
import { openBench, type Bench } from './support/ocm.ts';
import { openSynthetic, syntheticAnswer, type Synthetic } from './support/synthetic.ts';
import { collector } from './support/terminal.ts';

describe('what --reporter asks for', () => {
  test.each([
    [{}, { output: 'default' }],
    [{ json: true, reporter: ['json', 'default'] }, { output: 'json' }],
    [{ reporter: ['github', 'junit=a.xml'] }, { output: 'github', junitFile: 'a.xml' }],
    [{ reporter: ['junit=a=b.xml'] }, { output: 'default', junitFile: 'a=b.xml' }],
  ])('%j', (flags, reporters) => expect(reportersOf(flags)).toEqual(reporters));

  test.each([
    [{ reporter: ['xml'] }, '"xml" is no reporter. Use one of default, json, junit, github.'],
    [{ reporter: ['json=a'] }, 'json writes to standard output; only junit takes a file.'],
    [{ reporter: ['junit='] }, 'junit= names no file.'],
    [{ json: true, reporter: ['github'] }, 'json and github would both write to standard output.'],
    [{ reporter: ['junit=a', 'junit=b'] }, 'a report goes to one file; a and b are named.'],
  ])('%j is refused', (flags, why) => expect(() => reportersOf(flags)).toThrow(why));
});

describe('commands for GitHub', () => {
  test('cannot be given by what is told', () => {
    expect(errorCommand('a,b:c%\n::error::x', 'one\r\n::warning::two 100%\u001B[31m')).toBe(
      '::error title=a%2Cb%3Ac%25%0A%3A%3Aerror%3A%3Ax::one%0A::warning::two 100%25␛[31m',
    );
    const result = { id: 'x\n::add-mask::y', outcome: 'succeeded', duration_ms: 1000, output: '::error::no\n::TOKEN::\n' } as TaskResult;
    expect(resultCommands(result, 'T0')).toEqual([
      '::group::x ::add-mask::y succeeded 1.0 s',
      '::stop-commands::T0',
      '::error::no\n::TOKEN::',
      '::T0::',
      '::endgroup::',
    ]);
  });

  test('are no commands among notices', () => {
    const [stdout, stderr] = [collector(), collector()];
    const terminal = noticesWithoutCommands(
      createTerminal({ stdin: stdout.stream, stdout: stdout.stream, stderr: stderr.stream, env: {} }),
    );
    terminal.notice('said ##[error]x #\u00AD#[y\n  ::warning::y: a::b');
    expect(stderr.text()).toBe('said # #[error]x # #[y\n  : :warning::y: a::b\n');
  });
});

describe('of runs', () => {
  let bench: Bench;
  let synthetic: Synthetic;

  beforeAll(async () => {
    bench = await openBench();
    synthetic = await openSynthetic(bench);
    const tasks = [
      { id: 'good', prompt: 'hi' },
      { id: 'bad', shell: 'exit 3' },
      { id: 'never', prompt: 'hi', after: ['bad'] },
    ];
    await writeFile(join(bench.root, 'tasks.jsonl'), tasks.map((task) => `${JSON.stringify(task)}\n`).join(''));
  });

  afterAll(async () => {
    await synthetic[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  const start = (...args: string[]) => bench.start(['run', '--directory', bench.workspace.path, ...synthetic.args, ...args]);

  test('github on standard output, and a report in a file; an earlier one is replaced', async () => {
    const file = join(bench.root, 'report.xml');
    await writeFile(file, '<?xml version="1.0"?>\n<old/>\n');
    await using run = start(join(bench.root, 'tasks.jsonl'), '--no-run-dir', '--reporter', 'github', '--reporter', `junit=${file}`);
    expect(await run.exit).toBe(1);
    expect(run.stdout).toMatch(
      new RegExp(`::group::good succeeded [^\\n]*\\n::stop-commands::([\\w-]+)\\n${syntheticAnswer}\\n::\\1::\\n::endgroup::\\n`),
    );
    const report = await readFile(file, 'utf8');
    expect(report).toMatch(/^<\?xml [^]*<testsuites name="ocm" tests="3"/);
    expect(report).not.toContain('<old/>');
    expect(report).toMatch(/<testcase name="good" [^\n]*\/>/);
    expect(report).toMatch(/<testcase name="bad" [^\n]*>\n *<failure message="NOT_FOUND/);
    expect(report).toMatch(/<testcase name="never" [^\n]*>\n *<skipped message="it comes after bad/);
    expect(run.stdout).toContain('\n::error title=bad::NOT_FOUND: ');
  });

  test('junit alone on standard output', async () => {
    await using run = start('--prompt', 'hi', '--reporter', 'junit');
    expect(await run.exit).toBe(0);
    expect(run.stdout).toMatch(/^<\?xml [^]*<testcase name="prompt-1" [^\n]*\/>\n {2}<\/testsuite>\n<\/testsuites>\n$/);
  });

  test('a file that is no report is refused, and stays', async () => {
    const tasks = join(bench.root, 'tasks.jsonl');
    const before = await readFile(tasks, 'utf8');
    await using run = start('--prompt', 'hi', '--reporter', `junit=${tasks}`, '-j');
    expect(await run.exit).toBe(2);
    expect(run.records).toMatchObject([{ type: 'error', error: { code: 'OUTPUT_UNUSABLE' } }]);
    expect(await readFile(tasks, 'utf8')).toBe(before);
  });
});
