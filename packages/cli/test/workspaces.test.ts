import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { createSessionPool, type SessionPool, type SessionPoolOptions, type TaskResult } from '@opencode-manager/actors';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runWorkspaces } from '../src/workspaces/index.ts';
import { openBench, runClient, type Bench } from './support/ocm.ts';

const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
const slowly = { text: 'word '.repeat(400), tokensPerSecond: 4 };

let bench: Bench;
let repository: string;
const git = (...args: string[]) => execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', stdio: 'pipe' });

beforeAll(async () => {
  bench = await openBench({
    rules: [
      { when: { user: /^write (\S+)/, afterTool: 'bash' }, reply: 'Wrote {{user.1}}.' },
      { when: { user: /^write (\S+)/ }, reply: bash('(sleep 600 > /dev/null 2>&1 &); echo written > {{user.1}}.txt') },
    ],
  });
  // Its parent is this user's alone.
  repository = join(bench.root, 'project');
  execFileSync('git', ['clone', '--quiet', bench.workspace.path, repository], { stdio: 'pipe' });
});
afterAll(() => bench[Symbol.asyncDispose]());

/** Nothing of a run lies beside the repository but patches, and the repository is as it was. */
async function expectClean(): Promise<void> {
  expect(git('status', '--porcelain')).toBe('');
  expect(git('worktree', 'list').trim().split('\n')).toHaveLength(1);
  const runs = existsSync(`${repository}.ocm`) ? await readdir(`${repository}.ocm`) : [];
  // What is not finished may be gone on with.
  for (const run of runs)
    expect(
      (await readdir(join(`${repository}.ocm`, run))).filter((name) => !ofRun.has(name)),
      run,
    ).toEqual(['artifacts']);
}

/** What a run leaves besides. */
const ofRun = new Set([
  'run.json',
  'tasks.jsonl',
  'journal.sqlite',
  'journal.sqlite-wal',
  'journal.sqlite-shm',
  'results.jsonl',
  'state.json',
  'lock',
  'lock.json',
  'state',
]);

const lines = (...tasks: object[]) => tasks.map((task) => `${JSON.stringify(task)}\n`).join('');

test('ocm run gives each task a clone of its own; its changes come as a patch that applies, also of one that failed', async () => {
  const patches = join(bench.root, 'patches');
  const file = join(bench.root, 'tasks.jsonl');
  await writeFile(
    file,
    lines(
      { id: 'one', shell: 'ls; echo one > one.txt; echo more >> README.md; sleep 1' },
      { id: 'two', shell: 'sleep 0.5; ls; echo two > two.txt' },
      { id: 'bad', shell: 'echo bad > bad.txt; exit 3' },
      { id: 'model', prompt: 'write model', permissions: 'allow' },
      { id: 'looks', shell: 'echo "$OCM_TASK_ID $OCM_WORKSPACE $((OCM_PORT_BASE > 0)) $((OCM_SLOT < 8))"' },
      { id: 'reads', shell: 'pwd', workspace: 'shared' },
    ),
  );
  const options = ['--directory', repository, '--opencode-config', bench.configFile, '--workspace', 'clone', '--patches', patches];
  await using run = bench.start(['run', file, ...options, '--json']);
  expect(await run.exit, run.stderr).toBe(1);
  const results = Object.fromEntries(run.records.filter(({ type }) => type === 'task.finished').map((record) => [record['id'], record]));
  const changes = { base_commit: git('rev-parse', 'HEAD').trim(), left_behind: [], commits: [], deletions: 0 };
  expect(results).toMatchObject({
    one: { outcome: 'succeeded', output: 'README.md\n', ...changes, files_changed: 2, insertions: 2, overlaps_with: [] },
    two: { outcome: 'succeeded', output: 'README.md\n', ...changes, files_changed: 1, insertions: 1 },
    bad: { outcome: 'failed', exit_code: 3, ...changes, files_changed: 1 },
    model: { outcome: 'succeeded', output: 'Wrote model.', ...changes, files_changed: 1 },
    looks: {
      outcome: 'succeeded',
      output: expect.stringMatching(/^looks \S+\.ocm\/\S+ 1 1\n$/) as string,
      ...changes,
      files_changed: 0,
      patch: null,
    },
    reads: { outcome: 'succeeded', output: `${repository}\n` },
  });
  expect(results['reads']).not.toHaveProperty('patch');
  expect(run.records.at(-1)).toMatchObject({ type: 'done', patches: [patches] });
  expect(run.stderr).toMatch(/^Patches: 4, with 5 files \(\+5 -0\), in .+patches$/m);
  await expectClean();
  for (const { patch, tree } of ['one', 'two', 'bad', 'model'].map((id) => results[id]!)) {
    expect(patch.startsWith(`${patches}/`)).toBe(true);
    git('apply', '--index', patch);
    expect(git('write-tree').trim()).toBe(tree);
    git('reset', '--quiet', '--hard');
  }
  for (const id of ['one', 'two', 'bad', 'model'])
    expect(git('rev-parse', `${results[id]?.['ref']}^{tree}`).trim()).toBe(results[id]?.['tree']);
  await bench.expectNothingLeft();
});

test('what cannot be is refused before anything starts: places for patches, and a directory without a repository', async () => {
  const ocm = (...args: string[]) =>
    runClient(bench, 'run', '--opencode-config', bench.configFile, '--directory', repository, ...args, '--json', '--prompt', 'write x');
  const used = join(bench.root, 'used');
  const plain = join(bench.root, 'plain');
  await Promise.all([mkdir(used), mkdir(plain)]);
  await writeFile(join(used, 'old.diff'), '');
  const clone = ['--workspace', 'clone'];
  const refused = [
    [['--patches', join(bench.root, 'nowhere')], 'USAGE'],
    [[...clone, '--patches', used], 'OUTPUT_UNUSABLE'],
    [[...clone, '--patches', join(used, 'old.diff')], 'OUTPUT_UNUSABLE'],
    [[...clone, '--patches', join(used, 'old.diff', 'below')], 'OUTPUT_UNUSABLE'],
    [[...clone, '--directory', plain, '--patches', join(bench.root, 'new')], 'WORKSPACE_SOURCE_INVALID'],
    ...[['--setup', 'true'], ['--root', join(bench.root, 'nowhere')], ['--keep'], ['--lfs']].map((args) => [args, 'USAGE'] as const),
    [[...clone, '--setup-timeout', '1m'], 'USAGE'],
    [[...clone, '--ready', ' '], 'USAGE'],
    [[...clone, '--yes'], 'USAGE'],
    [['--workspace', 'copy', '--include', '.env'], 'USAGE'],
    [[...clone, '--root', join(repository, 'inside')], 'WORKSPACE_ROOT_UNSAFE'],
    [[...clone, '--root', join(bench.root, 'state', 'x'), '--state-dir', join(bench.root, 'state')], 'OUTPUT_UNUSABLE'],
  ] as const;
  for (const [args, code] of refused) {
    const run = await ocm(...args);
    expect([run.records.at(-1)?.['error'].code, run.exitCode], args.join(' ')).toEqual([code, 2]);
  }
  expect(existsSync(join(bench.root, 'nowhere'))).toBe(false);
  expect(existsSync(join(bench.root, 'new'))).toBe(false);
});

test('flags say how workspaces are made, where they lie, and which stay: here those that failed, of a repository whose parent others can write', async () => {
  const open = join(bench.root, 'open');
  await mkdir(open);
  await chmod(open, 0o1777);
  const exposed = join(open, 'project');
  execFileSync('git', ['clone', '--quiet', bench.workspace.path, exposed], { stdio: 'pipe' });
  await writeFile(join(exposed, '.git', 'info', 'exclude'), 'local.env\nbuilt\n');
  await writeFile(join(exposed, 'local.env'), 'KEY=1\n');
  const file = join(bench.root, 'flags.jsonl');
  await writeFile(
    file,
    lines(
      { id: 'good', shell: 'cat built local.env' },
      { id: 'bad', shell: 'echo half > half.txt; false' },
      { id: 'nests', shell: 'mkdir lib; echo code > lib/code.txt; git init -q lib' },
    ),
  );
  const root = join(bench.root, 'places');
  const patches = join(bench.root, 'flag-patches');
  const made = ['--setup', 'echo "$OCM_TASK_ID" > built', '--setup-timeout', '1m', '--ready', 'test -s built', '--include', '*.env'];
  const where = ['--directory', exposed, '--workspace', 'clone', '--root', root, '--patches', patches, '--keep=failed'];
  const { exitCode, records, stderr } = await runClient(
    bench,
    'run',
    file,
    '--opencode-config',
    bench.configFile,
    ...where,
    ...made,
    '--json',
  );
  expect([exitCode, records.filter(({ type }) => type === 'error')], stderr).toEqual([1, []]);
  const results = Object.fromEntries(records.filter(({ type }) => type === 'task.finished').map((record) => [record['id'], record]));
  expect(results['good']).toMatchObject({ outcome: 'succeeded', output: expect.stringMatching(/^(good|bad|nests)\nKEY=1\n$/) as string });
  const run = (await readdir(root)).find((name) => name !== 'templates')!;
  expect(results['bad']?.['directory']).toMatch(new RegExp(`^${root}/${run}/workspaces/project-[0-9a-f]{8}/workspaces/bad-`));
  expect(await readdir(dirname(results['bad']?.['directory'] as string))).toEqual([
    expect.stringMatching(/^bad-/),
    expect.stringMatching(/^nests-/),
  ]);
  expect(existsSync(join(results['bad']?.['directory'] as string, 'half.txt'))).toBe(true);
  expect(existsSync(`${exposed}.ocm`)).toBe(false);
  // What no patch holds is told, with where it is and how it goes.
  const library = { path: 'lib', reason: 'nested_repository', kept_at: expect.stringMatching(/\/nests-[^/]+\/lib$/) as string };
  expect(results['nests']).toMatchObject({ outcome: 'succeeded', left_behind: [library] });
  const remove = `ocm clean --keep-results ${run} --directory ${exposed}`;
  expect(stderr).toMatch(
    /^Kept: the workspace of nests, it holds files that its patch has not \(lib, nested repository, [\d.]+ \w+\): .+\/nests-\S+$/m,
  );
  expect(stderr).toMatch(/^Kept: the workspace of bad, it was to be kept: .+\/bad-\S+$/m);
  expect(stderr).toContain(`\nTo remove what was kept: ${remove}\n`);
  expect(stderr.trimEnd().split('\n').at(-1)).toBe(`To run again what failed: ocm resume ${root}/${run} --retry-errors`);
  const told = (records.at(-1)!['kept_workspaces'] as { id: string }[]).toSorted((one, other) => one.id.localeCompare(other.id));
  expect(told).toMatchObject([
    { id: 'bad', remove, holds: [] },
    { id: 'nests', remove, holds: [{ path: 'lib' }] },
  ]);

  const cleaned = async (...args: string[]) => (await runClient(bench, 'clean', '--directory', exposed, ...args, '--json')).records[0];
  expect(await cleaned('--dry-run')).toMatchObject({
    run,
    removed: false,
    workspaces: [{ key: 'bad' }, { key: 'nests' }],
  });
  expect(await cleaned('--keep-results', run)).toMatchObject({ run, removed: true, results_removed: false });
  expect(existsSync(results['bad']?.['directory'] as string)).toBe(false);
  // Without a workspace nothing in the repository says where the run is.
  expect(await cleaned(join(root, run))).toMatchObject({
    run,
    refs: expect.arrayContaining([results['bad']?.['ref']]) as string[],
    results_removed: true,
  });
  expect(execFileSync('git', ['-C', exposed, 'for-each-ref', 'refs/ocm'], { encoding: 'utf8' })).toBe('');
  expect(await readdir(root)).toEqual(['templates']);
});

test('a repository has one run, by whatever path it is named', async () => {
  const wanted = [{ directory: relative(process.cwd(), repository), mode: 'worktree' }] as const;
  await using workspaces = runWorkspaces({ plan: { mode: 'worktree', wanted }, baseOf: async () => undefined, onNote: () => undefined });
  await workspaces.open();
  const { signal } = new AbortController();
  const place = await workspaces.source.acquire('one', { directory: repository, mode: undefined, signal });
  expect(workspaces.patches).toHaveLength(1);
  expect(git('worktree', 'list')).toContain(place.directory);
  await place.release();
  expect(await workspaces.close()).toEqual([]);
  await expectClean();
});

/** A pool on a server of its own with the workspaces of `ocm run`, and what is left of them at the end. */
async function withPool(options: SessionPoolOptions, work: (pool: SessionPool) => Promise<void>): Promise<void> {
  const notes: string[] = [];
  const plan = { mode: 'clone', wanted: [] } as const;
  const workspaces = runWorkspaces({ plan, baseOf: async () => undefined, onNote: (line) => notes.push(line) });
  const server = { directory: repository, opencodeConfig: bench.model.opencodeConfig() };
  const pool = await createSessionPool({ server, permissions: 'allow', workspaces: workspaces.source, ...options });
  try {
    await work(pool);
  } finally {
    await pool.stop();
    expect(await workspaces.close()).toEqual([]);
  }
  expect(notes).toEqual([]);
  await expectClean();
}

const shown = (ref = '') => git('show', '--format=', '--name-only', ref).trim();

/** A task writes a file, and then takes its time to say so, so many times. */
const rulesOf = (name: string, slowCalls: number) => [
  { name: 'slow', when: { user: name, afterTool: 'bash' }, reply: slowly, times: slowCalls },
  { name: 'last', when: { user: name, afterTool: 'bash' }, reply: 'Done.' },
  { name: 'first', when: { user: name }, reply: bash(`ls; echo "$OCM_TASK_ID" > ${name}.txt`) },
];

test('an aborted task leaves a patch; one whose server was killed runs again in a fresh workspace, and nothing of its first attempt is half changed; what was done on a server that is lost for good is taken before the result is told', async () => {
  const restartBudget = { maxRestarts: 1, backoffMs: [10] };
  await withPool({ restartBudget }, async (pool) => {
    await abortedLeavesPatch(pool);
    await killedRunsAgain(pool);
    await lostIsTaken(pool);
  });
});

async function abortedLeavesPatch(pool: SessionPool): Promise<void> {
  bench.model.reset({ rules: rulesOf('aborted', 1) });
  const enough = new AbortController();
  const turn = pool.run({ id: 'aborted', prompt: 'aborted' }, { signal: enough.signal });
  await bench.model.waitForCalls(1, { rule: 'slow', timeoutMs: 30_000 });
  enough.abort();
  const result = await turn;
  expect(result).toMatchObject({ outcome: 'aborted', files_changed: 1 });
  expect(shown(result.ref)).toBe('aborted.txt');
}

async function killedRunsAgain(pool: SessionPool): Promise<void> {
  bench.model.reset({ rules: rulesOf('killed', 1) });
  const places: string[] = [];
  const stopNoting = pool.on('task.started', ({ directory }) => places.push(directory));
  const turn: Promise<TaskResult> = pool.run({ id: 'killed', prompt: 'killed' });
  await bench.model.waitForCalls(1, { rule: 'slow', timeoutMs: 30_000 });
  process.kill(pool.server.pid, 'SIGKILL');
  const result = await turn;
  stopNoting();
  expect(result).toMatchObject({ outcome: 'succeeded', output: 'Done.', attempt: 2, files_changed: 1 });
  expect(result).not.toHaveProperty('workspace_may_be_half_changed');
  expect(new Set(places).size).toBe(2);
  expect(result.attempts).toMatchObject([{ outcome: 'interrupted', ref: expect.stringMatching(/\/1$/) as string }]);
  expect([shown(result.attempts?.[0]?.ref), shown(result.ref)]).toEqual(['killed.txt', 'killed.txt']);
  // The server that was started anew knows the variables of the second place.
  expect(git('show', `${result.ref}:killed.txt`)).toBe('killed\n');
  await vi.waitFor(() => expect(places.filter((place) => existsSync(place))).toEqual([]), { timeout: 10_000 });
}

/** The restarts are spent by now. */
async function lostIsTaken(pool: SessionPool): Promise<void> {
  bench.model.reset({ rules: rulesOf('lost', 1) });
  const turn = pool.run({ id: 'lost', prompt: 'lost' });
  await bench.model.waitForCalls(1, { rule: 'slow', timeoutMs: 30_000 });
  process.kill(pool.server.pid, 'SIGKILL');
  const result = await turn;
  expect(result).toMatchObject({ outcome: 'server_lost', files_changed: 1 });
  expect(result).not.toHaveProperty('notes');
  expect(shown(result.ref)).toBe('lost.txt');
}

test('the next run, here with worktrees, brings home what a killed one had left; what an agent changed in the repository itself is told; a note says when several work in one place', async () => {
  bench.model.reset({ rules: rulesOf('left', 1) });
  const args = ['--directory', repository, '--opencode-config', bench.configFile, '--permissions', 'allow', '--json'];
  await using killed = bench.start(['run', ...args, '--workspace', 'clone', '--prompt', 'left']);
  const { directory } = await killed.record('task.started');
  await bench.model.waitForCalls(1, { rule: 'slow', timeoutMs: 30_000 });
  killed.signal('SIGKILL');
  await killed.exit;
  const { server } = await killed.record('launch');
  await vi.waitFor(() => expect(existsSync(`/proc/${server.pid}`)).toBe(false), { timeout: 10_000, interval: 50 });
  expect(existsSync(join(directory, 'left.txt'))).toBe(true);

  const file = join(bench.root, 'worktrees.jsonl');
  const shared = ['one', 'two'].map((id) => ({ id, shell: 'true', workspace: 'shared' }));
  const config = { id: 'config', shell: 'echo new > new.txt; git config --local demo.key value; git branch aside' };
  await writeFile(file, lines(config, ...shared));
  await using next = bench.start(['run', file, ...args, '--workspace', 'worktree']);
  expect(await next.exit, next.stderr).toBe(0);
  git('config', '--unset', 'demo.key');
  git('branch', '-D', 'aside');
  const [, ref] = /A workspace of an earlier run, prompt-1: its result is (\S+)/.exec(next.stderr) ?? [];
  expect(shown(ref)).toBe('left.txt');
  expect(next.stderr).toMatch(/^Patches: 1, with 1 file \(\+1 -0\), in .+artifacts$/m);
  const changes = expect.arrayContaining(['config', 'refs/heads/aside']) as string[];
  expect(await next.record('task.finished', ({ id }) => id === 'config')).toMatchObject({ source_changes: changes });
  expect(next.stderr.match(/^.*Several tasks work in .*$/gm)).toEqual([expect.stringContaining(`in ${repository} at once`)]);
  await expectClean();
  await bench.expectNothingLeft();
});
