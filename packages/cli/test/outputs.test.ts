import { spawn, spawnSync } from 'node:child_process';
import { link, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { StreamOutlet } from '../src/terminal/index.ts';
import { openBench, type Bench, type Record_, type Running } from './support/ocm.ts';
import { openSynthetic, type Synthetic } from './support/synthetic.ts';
import { runHere } from './support/terminal.ts';

/** Room of its own for an output, seen by one command alone; see state-directory.test.ts. */
const namespace = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mayMount = spawnSync('unshare', [...namespace, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
if (!mayMount) console.info('Nothing can be mounted here: outputs on a full file system are not tested on this machine.');

const count = 12;
const ids = Array.from({ length: count }, (_, index) => `t${index + 1}`);

let bench: Bench;
let root: string;
let tasks: string;
/** In place of opencode where a row is about the way out alone. */
let synthetic: Synthetic;
beforeAll(async () => {
  bench = await openBench({ rules: [{ when: { user: /number (\d+)/ }, reply: 'It was {{user.1}}.' }] });
  root = join(bench.root, 'outputs');
  tasks = join(root, 'tasks.jsonl');
  synthetic = await openSynthetic(bench);
});
beforeEach(async () => {
  await rm(root, { recursive: true, force: true });
  await mkdir(root);
  bench.model.reset();
  await writeTasks(0);
});
afterEach(() => bench.expectNothingLeft());
afterAll(async () => {
  await synthetic[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

/** Each result carries its task's metadata, so that `pad` says how much is written. */
async function writeTasks(pad: number): Promise<void> {
  const lines = ids.map((id, index) => JSON.stringify({ id, prompt: `number ${index + 1}`, metadata: { pad: 'x'.repeat(pad) } }));
  await writeFile(tasks, `${lines.join('\n')}\n`);
}

const base = () => ['--directory', bench.workspace.path, '--opencode-config', bench.configFile, '--concurrency', '4'];
const path = (name: string) => join(root, name);
/** Runs a command below a line of shell; `"$@"` is the command. */
const below = (line: string) => ['bash', '-c', `cd ${root}; ${line}`, 'sh'];
const finishedIn = (text: string) =>
  recordsIn(text)
    .filter(({ type }) => type === 'task.finished')
    .map(({ id }) => id as string);
const recordsIn = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record_);
const idsIn = async (name: string) => recordsIn(await readFile(path(name), 'utf8')).map(({ id }) => id as string);

interface Refusal {
  readonly name: string;
  readonly args?: () => string[];
  /** The line of shell that the command runs in; without one, and without variables, it runs in this process. */
  readonly line?: string;
  readonly before?: () => Promise<unknown>;
  readonly env?: NodeJS.ProcessEnv;
  readonly says: string;
}

const refused: Refusal[] = [
  { name: '--out is the task file', args: () => [tasks, '--out', tasks], says: '--out {tasks} is also the task file.' },
  {
    name: '--out is the task file by another name',
    before: () => Promise.all([link(tasks, path('hard')), symlink('hard', path('soft'))]),
    args: () => [tasks, '--out', path('soft'), '--overwrite'],
    says: 'is also the task file.',
  },
  {
    name: '--out is standard input',
    line: '"$@" < tasks.jsonl',
    args: () => ['-', '--out', tasks, '--append'],
    says: 'is also standard input.',
  },
  {
    name: '--out is a configuration',
    args: () => [tasks, '--out', bench.configFile, '--overwrite'],
    says: 'is also the file of --opencode-config.',
  },
  {
    name: '--out is in the state directory',
    args: () => [tasks, '--state-dir', path('state'), '--out', path('state/tmp/results.jsonl')],
    says: 'is in the state directory',
  },
  { name: 'standard output is the task file', line: '"$@" >> tasks.jsonl', says: 'standard output is also the task file.' },
  {
    name: '--out is standard output, a pipe',
    line: '"$@"',
    args: () => [tasks, '--out', '/dev/stdout'],
    says: '--out /dev/stdout is also standard output.',
  },
  {
    name: '--out is standard output, a file',
    line: '"$@" > both',
    args: () => [tasks, '--out', path('both')],
    says: 'is also standard output.',
  },
  {
    name: '--out is standard error',
    line: '"$@" 2> both; code=$?; cat both >&2; exit $code',
    args: () => [tasks, '--out', path('both')],
    says: 'is also standard error.',
  },
  {
    name: '--out holds results already',
    before: () => writeFile(path('old'), 'results of another run\n'),
    args: () => [tasks, '--out', path('old')],
    says: 'holds 23 bytes already. Give --append to add to them, or --overwrite to replace them.',
  },
  {
    name: 'its directory is missing',
    args: () => [tasks, '--out', path('nowhere/out')],
    says: 'cannot be written (ENOENT: no such file or directory).',
  },
  { name: 'it is a directory', args: () => [tasks, '--out', root], says: 'cannot be written (EISDIR: illegal operation on a directory).' },
  {
    name: 'it is a FIFO that nobody reads',
    before: async () => spawnSync('mkfifo', [path('fifo')]),
    args: () => [tasks, '--out', path('fifo')],
    says: 'is a FIFO that nobody reads. Start its reader first.',
  },
  {
    name: 'it is read-only',
    args: () => [tasks, '--out', '/proc/sys/kernel/ostype'],
    says: 'cannot be written (EACCES: permission denied).',
  },
  { name: 'standard output is closed', env: { OCM_STDOUT: 'closed' }, says: 'standard output is closed, and there is no --out' },
  { name: 'it is both to grow and to go', args: () => [tasks, '--out', path('x'), '--append', '--overwrite'], says: 'leave out one.' },
  { name: 'a flag without --out', args: () => [tasks, '--append'], says: '--append belongs to --out' },
];

async function runBelow(words: readonly string[], line = '"$@"', env: NodeJS.ProcessEnv = {}) {
  await using run = bench.start(words, { within: below(line), env });
  return { exitCode: await run.exit, stderr: run.stderr };
}

describe('an output is refused before anything starts', () => {
  test.each(refused)('$name', async ({ args = () => [tasks], line, before, env, says }) => {
    await before?.();
    const holds = await readFile(tasks, 'utf8');
    const words = ['run', ...args(), ...base(), '--json'];
    const { exitCode, stderr } = line === undefined && !env ? await runHere(...words) : await runBelow(words, line, env);
    expect(exitCode, stderr).toBe(2);
    expect(stderr).toContain(says.replace('{tasks}', tasks));
    expect((await readFile(tasks, 'utf8')).startsWith(holds)).toBe(true);
    expect(bench.model.calls).toEqual([]);
  });
});

interface Delivery {
  readonly name: string;
  readonly args?: () => string[];
  readonly line?: string;
  /** Characters beside each result. */
  readonly pad?: number;
  readonly before?: () => Promise<unknown>;
  /** What the test does once standard error holds `actAt`, or the summary. */
  readonly act?: (run: Running) => unknown;
  readonly actAt?: string;
  /** False: the test's own end of the pipe takes nothing. */
  readonly reads?: boolean;
  readonly exit: number;
  readonly says?: string | RegExp;
  readonly check?: (run: Running) => Promise<void>;
  readonly runIf?: boolean;
}

/** More than a pipe and the buffers of a socket hold. */
const muchPad = 60_000;

const toldAll = async (run: Running) => expect(finishedIn(run.stdout).toSorted()).toEqual(ids.toSorted());
const toldAllIn = (name: string) => async () => expect((await idsIn(name)).toSorted()).toEqual(ids.toSorted());
const full = `mkdir full && mount -t tmpfs -o size=16k tmpfs full`;

/** Of a reader that a failed test leaves, nothing waits for ever. */
const untilGo = 'until [ -e go ] || [ ! -e tasks.jsonl ]; do sleep 0.1; done';

const delivered: Delivery[] = [
  {
    name: 'a reader that is slow gets everything, and the run succeeds',
    pad: muchPad,
    line: `set -o pipefail; "$@" | { ${untilGo}; cat; }`,
    act: () => writeFile(path('go'), ''),
    exit: 0,
    check: async (run) => {
      await toldAll(run);
      expect(run.records.at(-1)).toMatchObject({ type: 'done', total: count, succeeded: count });
    },
  },
  {
    name: 'a signal ends the wait for a reader that takes nothing, and what is lost is named',
    pad: muchPad,
    reads: false,
    act: (run) => run.signal('SIGINT'),
    exit: 130,
    says: /error OUTPUT_LOST: standard output: \d+ lines were not written \(a signal ended the wait for its reader\); not written: the results of .*t\d+/,
  },
  { name: 'a reader that closes during the wait', pad: muchPad, reads: false, act: (run) => run.child.stdout!.destroy(), exit: 143 },
  {
    name: 'a full disk behind standard output: named, and no task is paid for whose result has nowhere to go',
    line: '"$@" > /dev/full',
    exit: 1,
    says: /error OUTPUT_LOST: standard output: \d+ lines were not written \(ENOSPC: no space left on device\)/,
    check: async (run) => expect(run.stderr).toMatch(/of 12 tasks succeeded, .*[1-9]\d* not started/),
  },
  {
    name: 'a full disk behind --out: named, and standard output has all',
    args: () => [tasks, '--out', '/dev/full'],
    exit: 1,
    says: 'error OUTPUT_LOST: --out /dev/full: 12 lines were not written (ENOSPC: no space left on device); not written: the results of t',
    check: async (run) => {
      await toldAll(run);
      expect(run.records.at(-1)).toMatchObject({ type: 'done', succeeded: count, exit_code: 1 });
      expect(run.records.find(({ type }) => type === 'error')!['error']).toMatchObject({
        code: 'OUTPUT_LOST',
        details: { lines: 12, labels: expect.arrayContaining(ids) as string[], why: 'ENOSPC', output: '/dev/full' },
      });
    },
  },
  {
    name: 'a disk that fills up: whole lines of what could be written, and the rest is named',
    runIf: mayMount,
    pad: 3000,
    line: `${full}; "$@"; code=$?; cp full/out kept; exit $code`,
    args: () => [tasks, '--out', 'full/out'],
    exit: 1,
    says: /--out full\/out: \d+ lines were not written \(ENOSPC/,
    check: async (run) => {
      const kept = await idsIn('kept');
      const [, named] = /not written: the results of (.*)\./.exec(run.stderr)!;
      expect(kept.length).toBeGreaterThan(0);
      expect([...kept, ...named!.split(', ')].toSorted()).toEqual(ids.toSorted());
      await toldAll(run);
    },
  },
  {
    name: 'a disk behind standard output that fills up: whole lines in the file, and all in --out',
    runIf: mayMount,
    pad: 3000,
    line: `${full}; "$@" > full/stdout; code=$?; cp full/stdout kept; exit $code`,
    args: () => [tasks, '--out', path('out')],
    exit: 1,
    says: 'error OUTPUT_LOST: standard output: ',
    check: async () => {
      expect(recordsIn(await readFile(path('kept'), 'utf8'))[0]).toMatchObject({ type: 'launch' });
      await toldAllIn('out')();
    },
  },
  { name: 'standard error is closed', line: '"$@" 2>&-', exit: 0, check: toldAll },
  {
    name: 'standard output goes to /dev/null, and so does --out',
    line: '"$@" > /dev/null',
    args: () => [tasks, '--out', '/dev/null'],
    exit: 0,
  },
  {
    name: '--out is a FIFO whose reader is slow',
    pad: muchPad,
    before: async () => spawnSync('mkfifo', [path('fifo')]),
    line: `{ ${untilGo}; cat; } < fifo > copy & "$@"; code=$?; wait; exit $code`,
    args: () => [tasks, '--out', path('fifo')],
    actAt: '(12/12)',
    act: () => writeFile(path('go'), ''),
    exit: 0,
    check: toldAllIn('copy'),
  },
  {
    name: '--append adds to what is there, behind a line that a killed run left half',
    before: () => writeFile(path('old'), '{"id":"whole"}\n{"id":"ha'),
    args: () => [tasks, '--out', path('old'), '--append'],
    exit: 0,
    check: async () => {
      const lines = (await readFile(path('old'), 'utf8')).split('\n');
      expect(lines.slice(0, 2)).toEqual(['{"id":"whole"}', '{"id":"ha']);
      expect(
        lines
          .slice(2, -1)
          .map((line) => (JSON.parse(line) as Record_)['id'] as string)
          .toSorted(),
      ).toEqual(ids.toSorted());
    },
  },
];

describe('an output', { timeout: 120_000 }, () => {
  test.each(delivered.filter(({ runIf = true }) => runIf))('$name', async (row) => {
    const {
      args = () => [tasks],
      line,
      pad = 0,
      before,
      act,
      actAt = `${count} of ${count} tasks succeeded`,
      reads = true,
      exit,
      says,
      check,
    } = row;
    await writeTasks(pad);
    await before?.();
    const within = line === undefined ? [] : line.startsWith(full) ? ['unshare', ...namespace, ...below(line)] : below(line);
    await using run = bench.start(['run', ...args(), ...base(), ...synthetic.args, '--json'], { within });
    if (!reads) run.child.stdout!.pause();
    if (act) {
      await expect.poll(() => run.stderr, { timeout: 60_000 }).toContain(actAt);
      await act(run);
    }
    expect(await run.exit, run.stderr).toBe(exit);
    if (says !== undefined) expect(run.stderr).toMatch(says);
    await check?.(run);
  });
});

test('a reader that holds its pipe open and takes nothing is given up after a while', async () => {
  const reader = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const outlet = new StreamOutlet(reader.stdin);
  for (const id of ids) outlet.write(`${'x'.repeat(muchPad)}\n`, id);
  const loss = await outlet.flush({ idleMs: 200 });
  expect(loss).toMatchObject({ why: 'idle', labels: expect.arrayContaining(['t12']) as string[] });
  expect(outlet.pending).toBe(loss!.lines);
  reader.kill();
  expect(await outlet.flush({ idleMs: 10_000 })).toMatchObject({ why: expect.stringMatching(/EPIPE|ECONNRESET/) as string });
});
