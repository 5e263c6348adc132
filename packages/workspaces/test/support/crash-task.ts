// A run that somebody kills: it makes workspaces, lets an agent work there, captures and releases, without end. What an agent has done is
// in the log, synced, before anything else is done: that must not be lost.
import { spawn } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openWorkspaces, type WorkspaceMode } from '../../src/index.ts';
import { git } from './repository.ts';

const [, , repository = '', mode = '', run = '', log = ''] = process.argv;
const file = openSync(log, 'a');
const workspaces = await openWorkspaces({ repository, mode: mode as WorkspaceMode, run });
process.stdout.write('open\n');

async function work(lane: number): Promise<void> {
  for (let turn = 0; ; turn += 1) {
    const workspace = await workspaces.acquire(`lane ${lane}`);
    const content = `${run} ${lane} ${turn}`;
    writeFileSync(join(workspace.path, 'work.txt'), content);
    const commits = (lane + turn) % 3 === 0;
    if (commits) git(workspace.path, 'add', 'work.txt');
    if (commits) git(workspace.path, 'commit', '-q', '-m', content);
    const commit = commits ? git(workspace.path, 'rev-parse', 'HEAD') : undefined;
    const goesOn = (lane + turn) % 4 === 1;
    const child = goesOn ? spawn('sleep', ['600'], { cwd: workspace.path, detached: true, stdio: 'ignore' }) : undefined;
    const { path, attempt } = workspace;
    writeSync(file, `${JSON.stringify({ ref: String(attempt), key: workspace.key, path, content, commit, process: child?.pid })}\n`);
    fdatasyncSync(file);
    process.stdout.write('worked\n');
    await workspace.capture();
    process.stdout.write('captured\n');
    if (child) await workspace.release();
    child?.kill('SIGKILL');
    await workspace.release();
    process.stdout.write('released\n');
  }
}

await Promise.all([0, 1, 2].map(work));
closeSync(file);
