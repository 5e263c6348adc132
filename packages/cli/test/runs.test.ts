import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TaskResult } from '@opencode-manager/actors';
import { createRunDirectory, openRunDirectory, runLayout, type JournalEvent, type RunDirectory } from '@opencode-manager/runs';
import { pinCommit } from '@opencode-manager/workspaces';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runHere } from './support/terminal.ts';

const evil = 'evil\u001B[2J<&"';
const bin = fileURLToPath(new URL('../src/bin.ts', import.meta.url));
const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', '-C', repository, ...args]);

let place: string;
let repository: string;
let patch: Buffer;
let run: RunDirectory;
let facts: Parameters<typeof createRunDirectory>[0]['facts'];
const cwd = process.cwd();

/** One run of a repository with all kinds of tasks, which this process has; the newest there. */
beforeAll(async () => {
  place = realpathSync(mkdtempSync(join(tmpdir(), 'ocm-look-')));
  repository = join(place, 'repo');
  mkdirSync(join(repository, 'src'), { recursive: true });
  execFileSync('git', ['init', '-q', repository]);
  writeFileSync(join(repository, 'a.txt'), 'one\n');
  git('add', '.');
  git('commit', '-q', '-m', 'one');
  const base = git('rev-parse', 'HEAD').toString().trim();
  // Bytes that are no UTF-8, and some that are no text.
  writeFileSync(join(repository, 'a.txt'), Buffer.from('one\nna\xEFve\n', 'latin1'));
  writeFileSync(join(repository, 'b.bin'), Buffer.from([0, 255, 1, 254]));
  git('add', '.');
  patch = git('diff', '--binary', '--cached');
  git('reset', '-q', '--hard');
  const own = { source: join(repository, 'tasks.jsonl'), argv: [], configuration: {}, configuration_digest: 'sha256:0', git: null };
  facts = { ...own, versions: { manager: '0', opencode: '1', protocol: 'v1', node: '24' }, base_commits: { [repository]: base } };
  run = await createRunDirectory({ directory: repository, title: 'look', facts });
  const keys = ['good', 'text', 'same', evil, 'after', 'late', 'flies'];
  await run.addTasks(
    keys.map((key) => ({
      generation: 1,
      key,
      hash: `ocm-task-v1:${'0'.repeat(64)}`,
      fields: {},
      source: null,
      task: { prompt: `Do ${key}` },
    })),
  );
  const added = keys.map((key): JournalEvent => ({ type: 'task.added', key, hash: 'h', after: [], retries: 0 }));
  await run.journal.append([{ type: 'run.opened', generation: 1 }, ...added]);
  const file = join(await run.makeArtifacts('good', 2), 'patch.diff');
  writeFileSync(file, patch);
  const text = join(await run.makeArtifacts('text', 1), 'patch.diff');
  writeFileSync(text, 'diff --git a/x b/x\n');
  const transcript = [
    { type: 'transcript', schema_version: 1, key: 'good', attempt: 2, session: 's', message: 'm', model: 'local/test' },
    { type: 'message', session: 's', role: 'assistant', at: '2026-01-01T00:00:00.000Z', text: 'I look\u001B[31m first.' },
  ];
  writeFileSync(join(file, '..', 'transcript.jsonl'), transcript.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const changes = {
    base_commit: base,
    tree: base,
    ref: `refs/ocm/${run.run.id}/good/2`,
    files_changed: 2,
    insertions: 1,
    deletions: 0,
    commits: [],
  };
  await run.journal.append([
    ended('good', 1, { outcome: 'failed', final: false }),
    ended('good', 2, { result: { ...changes, patch: file } }),
    ended('text', 1, { result: { ...changes, patch: text } }),
    ended('same', 1, { result: { ...changes, patch: null, files_changed: 0 } }),
    ended(evil, 1, { outcome: 'failed', error: { name: 'OpencodeManagerError', code: 'TURN_FAILED', message: 'no\u0000 <way>' } }),
    { type: 'task.skipped', key: 'after', blockedBy: evil },
    { type: 'attempt.intended', key: 'flies', attempt: 1, token: 't', sessionId: 's', messageId: 'm', directory: '/' },
  ]);
  const outcomes = { succeeded: 3, failed: 1 };
  run.tellState(() => ({
    pid: process.pid,
    total: 7,
    running: 1,
    waiting: 1,
    outcomes,
    skipped: 1,
    not_started: 1,
    dropped: 0,
    ended: null,
  }));
  await vi.waitUntil(() => existsSync(runLayout(run.path).state));
  process.chdir(join(repository, 'src'));
});
afterAll(async () => {
  process.chdir(cwd);
  await run.close();
  rmSync(place, { recursive: true, force: true });
});

type Ended = Extract<JournalEvent, { type: 'attempt.ended' }>;

function ended(
  key: string,
  attempt: number,
  { result, ...fields }: Partial<Omit<Ended, 'result'>> & { result?: Partial<TaskResult> } = {},
): Ended {
  const { outcome = 'succeeded', error = null } = fields;
  const usage = { input_tokens: 1, output_tokens: 2, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };
  const nothing = { proof: null, asks: [], gaps: 0, retries: 0, model_calls: 1, tool_calls: 0, metadata: {} };
  const of = {
    schema_version: 1,
    id: key,
    outcome,
    attempt,
    session_id: 's',
    message_id: 'm',
    directory: '/',
    model: 'local/test',
    error,
  } as const;
  const spent = { output: `Answer of ${key}.`, finish: 'stop', usage, cost_usd: 0.01, duration_ms: 1500, queued_ms: 1 };
  const kept = { counts: 'task', final: true, billed: true } as const;
  return {
    type: 'attempt.ended',
    key,
    attempt,
    token: 't',
    ...kept,
    outcome,
    error,
    ...fields,
    result: { ...of, ...spent, ...nothing, ...result },
  };
}

const json = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { readonly [field: string]: unknown });

test('a shell completes runs and keys; what no shell takes is left out', async () => {
  const complete = async (...words: string[]) => (await runHere('complete', '--', ...words)).stdout;
  expect(await complete('status', '')).toBe(`${run.run.id}\trun\n:4\n`);
  expect(await complete('show', run.run.id, 'f')).toBe('flies\ttask\n:4\n');
  const keys = await complete('diff', '');
  expect(keys).toContain('good\ttask\n');
  expect(keys).not.toContain('evil');
});

test('runs, status and results tell of a live run from any directory of its repository, and nothing is written', async () => {
  const { id } = run.run;
  const before = readdirSync(run.path).map((name) => [name, statSync(join(run.path, name)).size]);
  const states = { succeeded: 3, failed: 1, skipped: 1, not_started: 1, running: 1 };
  for (const name of [[], [id], [id.slice(-4)], [id.slice(0, 12)], [run.path]]) {
    const [record] = json((await runHere('status', ...name, '--json')).stdout);
    expect(record).toMatchObject({ type: 'run', id, status: 'running', holder: { pid: process.pid, standing: 'alive' }, total: 7, states });
  }
  expect(json((await runHere('runs', '--json')).stdout)).toMatchObject([{ id, status: 'running' }]);
  expect((await runHere('runs')).stdout).toContain(`${id}  running     3 of 7`);
  expect(await runHere('status', 'zzzz')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(`RUN_UNKNOWN: zzzz is no run`) as string,
  });

  const all = json((await runHere('results', '--json')).stdout);
  expect(all.map(({ type, id: key, outcome, state }) => [type, key, outcome ?? state])).toEqual([
    ['task.finished', 'good', 'succeeded'],
    ['task.finished', 'text', 'succeeded'],
    ['task.finished', 'same', 'succeeded'],
    ['task.finished', evil, 'failed'],
    ['task.skipped', 'after', undefined],
    ['task.unfinished', 'late', 'not_started'],
    ['task.unfinished', 'flies', 'running'],
    ['done', undefined, undefined],
  ]);
  const { stdout, stderr } = await runHere('results', '--failed');
  expect(stdout.split('\n').slice(1, -1)).toEqual([
    'evil␛[2J<&"  failed          1  1.5 s       3  TURN_FAILED: no␀ <way>',
    'after        skipped                           it comes after evil␛[2J<&", which has not succeeded',
  ]);
  expect(stderr).toBe('3 of 7 tasks succeeded, 1 failed, 1 skipped, 1 running, 1 not started\n');
  expect(readdirSync(run.path).map((name) => [name, statSync(join(run.path, name)).size])).toEqual(before);
});

test('status loads neither SQLite nor what carries runs: it is asked again and again', () => {
  const hook = `import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    process.on('exit', () => console.error(JSON.stringify([...loaded, ...process.moduleLoadList])));`;
  const asked = ['--conditions=@opencode-manager/source', '--import', `data:text/javascript,${encodeURIComponent(hook)}`, bin, 'status'];
  const { stdout, stderr } = spawnSync(process.execPath, asked, { encoding: 'utf8' });
  expect(stdout).toContain(`${run.run.id}  running`);
  const loaded = JSON.parse(stderr) as string[];
  expect(loaded.filter((name) => /run-at-a-glance/.test(name))).toHaveLength(1);
  expect(loaded.filter((name) => /sqlite|zod|xstate|execa|actors|node:crypto$|core\/src\/index/.test(name))).toEqual([]);
});

test('show tells an attempt of a task; diff gives its patch byte for byte', async () => {
  const { stdout } = await runHere('show', 'good');
  expect(stdout).toContain(`good  succeeded\n  prompt     Do good\n  attempt    2 of 2: succeeded`);
  expect(stdout).toContain('\nAnswer\nAnswer of good.\n');
  expect(stdout).toContain('I look first.');
  expect(json((await runHere('show', run.run.id, 'good', '--attempt', '1', '--json')).stdout)).toMatchObject([
    { attempt: 1, state: 'succeeded' },
  ]);
  expect((await runHere('show', 'late')).stdout).toBe('late  not started\n  prompt     Do late\n');
  expect((await runHere('show', 'goood')).stderr).toContain('TASK_UNKNOWN: goood is no task of');
  expect((await runHere('show', 'good', '--attempt', '7')).exitCode).toBe(2);
  expect((await runHere('diff')).exitCode).toBe(2);

  const child = spawn(process.execPath, ['--conditions=@opencode-manager/source', bin, 'diff', 'good'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  await once(child, 'close');
  expect(Buffer.concat(pieces).equals(patch)).toBe(true);
  execFileSync('git', ['-C', repository, 'apply', '--index'], { input: Buffer.concat(pieces) });
  expect(git('show', ':b.bin')).toEqual(Buffer.from([0, 255, 1, 254]));
  git('reset', '-q', '--hard');
  expect(await runHere('diff', 'same')).toMatchObject({ exitCode: 0, stdout: '' });
  expect(await runHere('diff', 'late')).toMatchObject({ exitCode: 1, stdout: '' });
});

test('export writes a JUnit report, and predictions without a line for what never ran', async () => {
  const report = (await runHere('export', '--format', 'junit')).stdout;
  expect(report).toContain('tests="7" failures="1" errors="0" skipped="3" time="6.000"');
  expect(report).toContain('<testcase name="evil␛[2J&lt;&amp;&quot;" ');
  expect(report).toContain('<failure message="TURN_FAILED: no␀ &lt;way&gt;" type="failed"/>');
  const file = join(place, 'predictions.jsonl');
  const { stdout, stderr, exitCode } = await runHere('export', '--format', 'swebench', '--out', file);
  expect([stdout, exitCode]).toEqual(['', 0]);
  expect(json(readFileSync(file, 'utf8'))).toEqual([
    { instance_id: 'text', model_name_or_path: 'local/test', model_patch: 'diff --git a/x b/x\n' },
    { instance_id: 'same', model_name_or_path: 'local/test', model_patch: '' },
  ]);
  expect(stderr.split('\n')).toEqual([
    '3 tasks without a prediction: never ran, or not over.',
    '1 task without a prediction: no patch was taken (no workspace of their own, or it failed).',
    '1 task without a prediction: the patch is not UTF-8; ocm diff has it.',
    '',
  ]);
  expect(await runHere('export', '--format', 'junit', '--out', join(run.path, 'x.xml'))).toMatchObject({ exitCode: 2 });
});

test('wait ends with the run; a run that is not finished, or that a process has, is kept by clean', async () => {
  const { id } = run.run;
  await pinCommit(repository, id, git('rev-parse', 'HEAD').toString().trim());
  const refs = () => git('for-each-ref', '--format=%(refname)', 'refs/ocm').toString().trim();
  expect(await runHere('wait', '--timeout', '1ms')).toMatchObject({
    exitCode: 124,
    stdout: expect.stringContaining('running still') as string,
  });
  expect((await runHere('clean')).stdout).toContain(`${id}  is kept: process ${process.pid} on `);
  expect((await runHere('clean', '--unfinished', id)).exitCode).toBe(1);
  const waiting = runHere('wait', '--json');
  await run.close();
  expect(json((await waiting).stdout)).toMatchObject([
    { type: 'done', status: 'interrupted', states: { succeeded: 3, interrupted: 1 }, exit_code: 1 },
  ]);
  expect((await runHere('status')).stdout).toContain(`${id}  interrupted: resume with ocm resume ${id}\n`);

  const kept = await runHere('clean');
  expect([kept.exitCode, existsSync(runLayout(run.path).results), refs()]).toEqual([
    0,
    true,
    expect.stringContaining(`refs/ocm/${id}/base/`),
  ]);
  expect(kept.stdout).toContain('is kept: it is not finished (interrupted; 3 of 7 tasks succeeded');
  await using again = await openRunDirectory(run.path);
  await again.journal.append([{ type: 'run.opened', generation: 2 }, ended('flies', 1), { type: 'run.ended', reason: 'aborted' }]);
  await again.close();
  expect((await runHere('status')).stdout).toContain('stopped: aborted: resume with ocm resume');
  await using done = await createRunDirectory({ directory: repository, facts });
  const over = ended('one', 1);
  await done.journal.append([
    { type: 'run.opened', generation: 1 },
    { type: 'task.added', key: 'one', hash: 'h', after: [], retries: 0 },
    over,
  ]);
  await done.journal.append([{ type: 'run.ended', reason: 'done' }]);
  await done.close();
  expect(await runHere('wait')).toMatchObject({ exitCode: 0, stdout: `${done.run.id}  done; 1 of 1 task succeeded\n` });
  expect((await runHere('clean')).exitCode).toBe(0);
  expect([existsSync(done.path), existsSync(run.path)]).toEqual([false, true]);
  expect(json((await runHere('clean', '--unfinished', '--dry-run', '--json')).stdout)).toMatchObject([
    { run: id, removed: false },
    { runs: 1 },
  ]);
  expect((await runHere('clean', '--keep-results', '--unfinished')).exitCode).toBe(0);
  expect([existsSync(runLayout(run.path).results), refs() !== '']).toEqual([true, true]);
  const gone = await runHere('clean', '--unfinished');
  expect(gone.stderr).toContain(`${id} is not finished (4 of 7 tasks succeeded`);
  expect([gone.exitCode, existsSync(`${repository}.ocm`), refs()]).toEqual([0, false, '']);
});
