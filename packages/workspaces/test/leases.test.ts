import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findLeftWorkspaces, openWorkspaces, recoverLeftWorkspaces } from '../src/index.ts';
import { git, repository, scratch, shell, write } from './support/repository.ts';

test('a workspace with a process in it, or one that changed since its capture, is not removed', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source });
  const workspace = await workspaces.acquire('busy');
  write(workspace.path, { 'a.txt': 'first\n' });
  const first = (await workspace.capture())!;
  const process = spawn('sleep', ['60'], { cwd: join(workspace.path, 'src'), stdio: 'ignore' });
  await once(process, 'spawn');
  expect(await workspace.release()).toEqual({ removed: false, reason: 'processes', processes: [process.pid] });
  process.kill('SIGKILL');
  await once(process, 'exit');
  write(workspace.path, { 'a.txt': 'later\n' });
  expect(await workspace.release()).toEqual({ removed: false, reason: 'changed' });
  const second = (await workspace.capture())!;
  expect(git(source, 'show', `${second.ref}:a.txt`)).toBe('later');
  expect(second.ref).toBe(first.ref);
  git(workspace.path, 'commit', '-q', '--allow-empty', '-m', 'a commit changes no file');
  expect(await workspace.release()).toEqual({ removed: false, reason: 'changed' });
  await workspace.capture();
  // Somebody removes the only thing that would hold the result.
  git(source, 'update-ref', '-d', second.ref);
  await expect(workspace.release()).rejects.toMatchObject({ code: 'WORKSPACE_CAPTURE_FAILED' });
  await workspace.capture();
  expect(await workspace.release()).toEqual({ removed: true });
  expect(await workspace.release()).toEqual({ removed: true });
  await expect(workspace.capture()).rejects.toMatchObject({ code: 'WORKSPACE_GONE' });
  await workspaces.close();
  await expect(workspaces.acquire('late')).rejects.toMatchObject({ code: 'WORKSPACES_CLOSED' });
});

test('a lock that a killed git left, and a line of the ledger that was cut off, stop nothing', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, run: 'cut' });
  const workspace = await workspaces.acquire('task');
  const leases = join(workspaces.root!, 'leases');
  for (const id of readdirSync(leases)) write(join(leases, id), { 'index.capture.lock': '' });
  write(workspace.path, { 'a.txt': 'a\n' });
  expect((await workspace.capture())!.filesChanged).toBe(1);
  await workspace.release({ keep: true });
  await workspaces.close();
  appendFileSync(join(workspaces.root!, 'ledger.jsonl'), '{"event":"removed","id":"');
  const again = await openWorkspaces({ repository: source, run: 'cut' });
  expect((await again.acquire('task')).attempt).toBe(2);
  await again.close();
  expect(await findLeftWorkspaces(source)).toMatchObject([{ leases: [{ attempt: 1, state: 'kept' }] }]);
});

test('a workspace in which something still writes is not captured', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source });
  const workspace = await workspaces.acquire('writer');
  const line = 'n=0; while :; do n=$((n+1)); echo $n >> count.txt; done';
  const writer = spawn('sh', ['-c', line], { cwd: workspace.path, stdio: 'ignore' });
  await once(writer, 'spawn');
  while (!existsSync(join(workspace.path, 'count.txt'))) await new Promise((resolve) => setTimeout(resolve, 5));
  await expect(workspace.capture()).rejects.toMatchObject({ code: 'WORKSPACE_STILL_CHANGING' });
  writer.kill('SIGKILL');
  await once(writer, 'exit');
  expect((await workspace.capture())!.files.map(({ path }) => path)).toEqual(['count.txt']);
  await workspaces.close();
});

test('attempts, slots and overlaps; what is kept stays, and is listed', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, run: 'a-run' });
  const first = await workspaces.acquire('feat');
  const nested = await workspaces.acquire('feat/1');
  expect([first.slot, nested.slot, first.attempt]).toEqual([0, 1, 1]);
  const bases = [first, nested].map(({ environment }) => Number(environment['OCM_PORT_BASE']));
  expect(Math.abs(bases[0]! - bases[1]!)).toBeGreaterThanOrEqual(10);
  write(first.path, { 'readme.txt': 'one\n' });
  write(nested.path, { 'readme.txt': 'two\n', 'src/a.txt': 'two\n' });
  const captures = [(await first.capture())!, (await nested.capture())!];
  expect(captures.map(({ ref, overlapsWith }) => [ref.replace(/[0-9a-f]{8}/, '#'), overlapsWith])).toEqual([
    ['refs/ocm/a-run/feat-#/1', []],
    ['refs/ocm/a-run/feat-1-#/1', ['feat']],
  ]);
  expect(await first.release()).toEqual({ removed: true });
  const second = await workspaces.acquire('feat');
  expect([second.slot, second.attempt]).toEqual([0, 2]);
  expect(await nested.release({ keep: true })).toEqual({ removed: false, reason: 'keep' });
  // Nobody works in what is kept, and a slot is given back once.
  expect((await workspaces.acquire('third')).slot).toBe(1);
  await nested.release({ keep: true });
  expect((await workspaces.acquire('fourth')).slot).toBe(2);
  // The run is in use: nobody else takes it, and it is not listed.
  await expect(openWorkspaces({ repository: source, run: 'a-run' })).rejects.toMatchObject({ code: 'WORKSPACE_LOCKED' });
  expect(await findLeftWorkspaces(source)).toEqual([]);
  expect(await recoverLeftWorkspaces(source)).toEqual([]);
  await workspaces.close();
  const kept = { key: 'feat/1', attempt: 1, path: nested.path };
  expect(await findLeftWorkspaces(source)).toMatchObject([
    { run: 'a-run', isGone: false, leases: [{ ...kept, state: 'kept', processes: [] }] },
  ]);
  expect(await recoverLeftWorkspaces(source)).toMatchObject([{ run: 'a-run', leases: [{ ...kept, outcome: 'kept', reason: 'keep' }] }]);
  expect(git(nested.path, 'log', '--format=%s')).toBe('Start');
  const again = await openWorkspaces({ repository: source, run: 'a-run' });
  expect((await again.acquire('feat')).attempt).toBe(3);
  await again.close();
  expect(existsSync(nested.path)).toBe(true);
});

test.each(['clone', 'worktree'] as const)(
  'a %s that is removed under us is told, leaves nothing and keeps what can be kept',
  async (mode) => {
    using directory = scratch();
    const source = repository(join(directory.path, 'repo'));
    const workspaces = await openWorkspaces({ repository: source, mode });
    const workspace = await workspaces.acquire('gone');
    shell(workspace.path, 'echo work > work.txt; git add .; git commit -q -m work');
    rmSync(workspace.path, { recursive: true });
    await expect(workspace.capture()).rejects.toMatchObject({ code: 'WORKSPACE_GONE' });
    expect(await workspace.release()).toEqual({ removed: true, reason: 'gone' });
    const moved = await workspaces.acquire('moved');
    renameSync(moved.path, join(directory.path, 'elsewhere'));
    shell(directory.path, `ln -s / "${moved.path}"`);
    await expect(moved.capture()).rejects.toMatchObject({ code: 'WORKSPACE_GONE' });
    expect(await moved.release()).toEqual({ removed: true, reason: 'gone' });
    await workspaces.close();
    expect(git(source, 'worktree', 'list').split('\n')).toHaveLength(1);
    expect(existsSync('/usr')).toBe(true);
    // The commit of a worktree lies in the user's repository.
    const refs = git(source, 'for-each-ref', '--format=%(refname)', 'refs/ocm').split('\n');
    expect(refs.map((ref) => ref.split('/').at(-1))).toEqual(mode === 'worktree' ? ['1.agent'] : ['']);
    if (mode === 'worktree') expect(git(source, 'show', `${refs[0]}^1:work.txt`)).toBe('work');
  },
);

test('a run directory that is removed under us ends every call with one error, and the repository is clean after recovery', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, mode: 'worktree', run: 'lost' });
  const workspace = await workspaces.acquire('task');
  shell(workspace.path, 'echo work > work.txt; git add .; git commit -q -m work');
  rmSync(`${source}.ocm`, { recursive: true });
  for (const call of [() => workspace.capture(), () => workspaces.acquire('next'), () => workspaces.close()]) {
    await expect(call()).rejects.toMatchObject({ code: 'WORKSPACE_GONE' });
  }
  expect(await findLeftWorkspaces(source)).toEqual([{ run: 'lost', root: join(`${source}.ocm`, 'lost'), isGone: true, leases: [] }]);
  expect(await recoverLeftWorkspaces(source)).toEqual([{ run: 'lost', root: join(`${source}.ocm`, 'lost'), leases: [] }]);
  expect(await findLeftWorkspaces(source)).toEqual([]);
  expect(git(source, 'worktree', 'list').split('\n')).toHaveLength(1);
  const refs = git(source, 'for-each-ref', '--format=%(refname)', 'refs/ocm').split('\n');
  expect(refs).toEqual([expect.stringMatching(/^refs\/ocm\/lost\/task-[0-9a-f]{8}-1\/gone\.0$/)]);
  expect(git(source, 'show', `${refs[0]}:work.txt`)).toBe('work');
  expect(readdirSync(join(source, '.git', 'ocm'))).toEqual(['lock']);
});

test('a workspace that was kept is taken up again with what was done there, also by a later process', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, run: 'parked' });
  const first = await workspaces.acquire('task');
  write(first.path, { 'a.txt': 'first\n' });
  await first.release({ keep: true });
  const again = await workspaces.reopen('task', 1);
  expect([again.path, again.attempt, again.baseCommit]).toEqual([first.path, 1, first.baseCommit]);
  write(again.path, { 'b.txt': 'second\n' });
  await again.release({ keep: true });
  await workspaces.close();

  const later = await openWorkspaces({ repository: source, run: 'parked' });
  const last = await later.reopen('task', 1);
  const capture = (await last.capture())!;
  expect(capture.files.map(({ path, status }) => [path, status])).toEqual([
    ['a.txt', 'added'],
    ['b.txt', 'added'],
  ]);
  expect(await last.release()).toEqual({ removed: true });
  await expect(later.reopen('task', 1)).rejects.toMatchObject({ code: 'WORKSPACE_GONE' });
  await later.close();
  // Nothing of it is left that somebody needs.
  expect(existsSync(join(later.root!, 'ledger.jsonl'))).toBe(false);
});
