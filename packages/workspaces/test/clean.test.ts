import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cleanRuns, findFinishedRuns, findLeftWorkspaces, openWorkspaces, recoverLeftWorkspaces } from '../src/index.ts';
import { git, repository, scratch, shell, write } from './support/repository.ts';

test('what finished runs left is listed with its size and removed: first the workspaces, then results; a run in use is left alone', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const inUse = await openWorkspaces({ repository: source, run: 'in-use' });
  const working = await inUse.acquire('works');
  const workspaces = await openWorkspaces({ repository: source, mode: 'worktree', run: 'done' });
  const workspace = await workspaces.acquire('nests');
  write(workspace.path, { 'a.txt': 'a\n', 'library/code.txt': 'much work\n' });
  shell(workspace.path, 'git init -q library');
  const { ref, patch, leftBehind } = (await workspace.capture())!;
  expect(leftBehind).toMatchObject([{ path: 'library', reason: 'nested_repository' }]);
  expect(await workspace.release()).toEqual({ removed: false, reason: 'left_behind' });
  await workspaces.close();

  const [found, ...others] = await findFinishedRuns(source);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ run: 'done', root: workspaces.root, refs: expect.arrayContaining([ref]) as string[] });
  expect(found!.workspaces).toEqual([{ key: 'nests', attempt: 1, path: workspace.path, bytes: expect.any(Number) as number }]);
  expect([found!.workspaces[0]!.bytes > 10_000, found!.artifactBytes > 100]).toEqual([true, true]);

  await cleanRuns(source, { keepResults: true });
  expect([existsSync(workspace.path), existsSync(patch!)]).toEqual([false, true]);
  expect(git(source, 'show', `${ref}:a.txt`)).toBe('a');
  expect(git(source, 'worktree', 'list').split('\n')).toHaveLength(1);
  expect(await findFinishedRuns(source)).toMatchObject([{ run: 'done', workspaces: [], refs: [ref] }]);

  await expect(cleanRuns(source, { runs: ['in-use'] })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(await cleanRuns(source, { runs: ['done'] })).toMatchObject([{ run: 'done', refs: [ref], stays: [] }]);
  expect([existsSync(patch!), existsSync(working.path)]).toEqual([false, true]);
  await working.release();
  await inUse.close();
  await cleanRuns(source);
  expect([git(source, 'for-each-ref', 'refs/ocm'), existsSync(`${source}.ocm`)]).toEqual(['', false]);
});

test('a workspace in which a process works stays, and so do its results; one that somebody has removed is not kept any more', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, mode: 'worktree' });
  const [kept, gone] = [await workspaces.acquire('kept'), await workspaces.acquire('gone')];
  for (const { path } of [kept, gone]) write(path, { 'a.txt': 'a\n' });
  for (const workspace of [kept, gone]) await workspace.release({ keep: true });
  await workspaces.close();
  const process = spawn('sleep', ['60'], { cwd: kept.path, stdio: 'ignore' });
  await once(process, 'spawn');
  const [cleaned] = await cleanRuns(source);
  process.kill('SIGKILL');
  await once(process, 'exit');
  expect(cleaned?.stays).toEqual([{ path: kept.path, reason: `processes ${process.pid} have their directory there` }]);
  expect(git(source, 'for-each-ref', 'refs/ocm', '--format=%(refname)')).toContain('/kept-');
  shell(directory.path, `rm -rf '${kept.path}'`);
  await recoverLeftWorkspaces(source);
  expect(await findLeftWorkspaces(source)).toEqual([]);
  expect(git(source, 'worktree', 'list').split('\n')).toHaveLength(1);
});

test('a run that begins while others are cleaned is left alone, with the results that it had', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const held = await openWorkspaces({ repository: source, run: 'a-held' });
  const kept = await held.acquire('kept');
  await kept.release({ keep: true });
  await held.close();
  const results = await openWorkspaces({ repository: source, run: 'b-results' });
  const workspace = await results.acquire('works');
  write(workspace.path, { 'a.txt': 'a\n' });
  const { patch, ref } = (await workspace.capture())!;
  await workspace.release();
  await results.close();
  // A process keeps the cleaning at the first run for a moment.
  const process = spawn('sleep', ['60'], { cwd: kept.path, stdio: 'ignore' });
  await once(process, 'spawn');
  const cleaning = cleanRuns(source);
  await expect.poll(async () => (await findFinishedRuns(source)).map(({ run }) => run), { timeout: 5000 }).toEqual(['b-results']);
  const again = await openWorkspaces({ repository: source, run: 'b-results' });
  const cleaned = await cleaning;
  process.kill('SIGKILL');
  await once(process, 'exit');
  expect(cleaned.map(({ run, stays }) => [run, stays.map(({ path }) => path)])).toEqual([
    ['a-held', [kept.path]],
    ['b-results', [again.root]],
  ]);
  expect([existsSync(patch!), git(source, 'show', `${ref}:a.txt`)]).toEqual([true, 'a']);
  await again.close();
  expect(await cleanRuns(source)).toMatchObject([{ stays: [] }, { stays: [] }]);
  expect(existsSync(`${source}.ocm`)).toBe(false);
});

test('a run that cannot be opened keeps no other from being recovered and cleaned, and is named', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const leave = async (run: string) => {
    const workspaces = await openWorkspaces({ repository: source, run });
    await (await workspaces.acquire('task')).release({ keep: true });
    await workspaces.close();
    return workspaces.root!;
  };
  const [broken, whole] = [await leave('a-broken'), await leave('b-whole')];
  rmSync(join(broken, 'workspaces'), { recursive: true });
  write(broken, { workspaces: 'no directory' });
  await expect(recoverLeftWorkspaces(source)).rejects.toThrow(/workspaces/);
  expect(await cleanRuns(source)).toMatchObject([
    { run: 'a-broken', stays: [{ path: broken, reason: expect.stringContaining('workspaces') as string }] },
    { run: 'b-whole', stays: [] },
  ]);
  expect([existsSync(broken), existsSync(whole)]).toEqual([true, false]);
});

test('what a killed run had left in a workspace goes with it, and what belongs to a run with a directory of its own only by its name', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const whole = join(`${source}.ocm`, 'whole');
  const index = new URL('../src/index.ts', import.meta.url).href;
  const dies = (run: string, root: string) => `
    import { writeFileSync } from 'node:fs';
    import { openWorkspaces } from '${index}';
    const workspaces = await openWorkspaces({ repository: '${source}', run: '${run}', root: '${root}' });
    writeFileSync((await workspaces.acquire('task')).path + '/a.txt', 'work');
    process.kill(process.pid, 'SIGKILL');`;
  for (const [run, root] of [
    ['dead', join(`${source}.ocm`, 'dead')],
    ['whole', join(whole, 'workspaces', 'repo')],
  ] as const)
    spawnSync(process.execPath, ['--conditions=@opencode-manager/source', '--input-type=module', '--eval', dies(run, root)]);
  write(whole, { 'run.json': '{}', 'journal.sqlite': '' });
  expect(
    (await findFinishedRuns(source)).map(({ run, isPart, runDirectory, workspaces: { length } }) => [run, isPart, runDirectory, length]),
  ).toEqual([
    ['dead', false, undefined, 1],
    ['whole', true, whole, 1],
  ]);
  expect(await cleanRuns(source)).toMatchObject([{ run: 'dead', stays: [] }]);
  expect([git(source, 'for-each-ref', 'refs/ocm/dead'), existsSync(join(`${source}.ocm`, 'dead'))]).toEqual(['', false]);
  expect(existsSync(join(whole, 'workspaces', 'repo', 'ledger.jsonl'))).toBe(true);
  expect(await cleanRuns(source, { runs: ['whole'] })).toMatchObject([{ run: 'whole', stays: [] }]);
  expect([git(source, 'for-each-ref', 'refs/ocm'), existsSync(join(whole, 'journal.sqlite'))]).toEqual(['', true]);
});

test('outside git the directory of a run that was killed keeps its lock and its files; its workspaces are found in it', async () => {
  using directory = scratch();
  const [source, whole] = [join(directory.path, 'plain'), join(directory.path, 'plain.ocm', 'run')];
  write(source, { 'a.txt': 'a\n' });
  write(whole, { 'run.json': '{}', lock: '' });
  const workspaces = await openWorkspaces({ repository: source, run: 'run', root: join(whole, 'workspaces', 'plain') });
  const workspace = await workspaces.acquire('task');
  await workspace.release({ keep: true });
  await workspaces.close();
  expect(await findLeftWorkspaces(source)).toMatchObject([{ run: 'run', root: workspaces.root, leases: [{ path: workspace.path }] }]);
  await recoverLeftWorkspaces(source);
  expect([existsSync(workspace.path), existsSync(join(whole, 'lock')), existsSync(join(whole, 'ledger.jsonl'))]).toEqual([
    true,
    true,
    false,
  ]);
});

test.each(['clone', 'worktree'] as const)(
  'what an agent puts beside its %s stays, is told and listed, and goes when it is cleaned; its commits are history',
  async (mode) => {
    using directory = scratch();
    const source = repository(join(directory.path, 'repo'));
    const notes: string[] = [];
    const workspaces = await openWorkspaces({ repository: source, mode, run: 'beside', onNote: ({ message }) => notes.push(message) });
    const workspace = await workspaces.acquire('adds');
    shell(workspace.path, 'git worktree add -q --detach ../feature; cd ../feature; echo w > work.txt; git add .; git commit -q -m work');
    const commit = git(join(workspace.path, '..', 'feature'), 'rev-parse', 'HEAD');
    const { historyRef } = (await workspace.capture())!;
    if (mode === 'clone') expect(git(source, 'rev-parse', `${historyRef}^1`)).toBe(commit);
    expect(await workspace.release()).toEqual({ removed: true });
    await workspaces.close();

    const feature = join(workspaces.root!, 'workspaces', 'feature');
    expect(notes).toEqual([expect.stringContaining(`${feature} was made beside the workspaces`)]);
    expect(await recoverLeftWorkspaces(source)).toMatchObject([{ leases: [{ path: feature, outcome: 'kept', reason: 'left_behind' }] }]);
    expect(existsSync(join(feature, 'work.txt'))).toBe(true);
    expect(await findFinishedRuns(source)).toMatchObject([{ run: 'beside', workspaces: [{ path: feature }] }]);
    expect(await cleanRuns(source)).toMatchObject([{ run: 'beside', stays: [] }]);
    expect([existsSync(`${source}.ocm`), git(source, 'worktree', 'list').split('\n').length]).toEqual([false, 1]);
  },
);
