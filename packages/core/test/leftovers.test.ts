import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findLeftovers, processStartTime, reapLeftovers } from '../src/index.ts';
import { writeRunRecord, type RunRecord } from '../src/process/registry.ts';
import { privateRoot } from './support/private-root.ts';

let root: Awaited<ReturnType<typeof privateRoot>>;
const temporary = process.env['TMPDIR'];
const children: ChildProcess[] = [];

beforeEach(async () => {
  root = await privateRoot();
  process.env['TMPDIR'] = root.path;
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  if (temporary === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = temporary;
  await root[Symbol.asyncDispose]();
});

/** A process of somebody else, or, with a mark, one that a run left behind. */
async function bystander(mark?: string): Promise<number> {
  const environment = { PATH: process.env['PATH'], ...(mark !== undefined && { OPENCODE_MANAGER_RUN_ID: mark }) };
  const child = spawn('sleep', ['600'], { env: environment, stdio: 'ignore' });
  children.push(child);
  await expect.poll(() => processStartTime(child.pid!), { timeout: 5000 }).toMatch(/\d/);
  return child.pid!;
}

const isAlive = async (pid: number) => (await processStartTime(pid)) !== undefined;

async function record(change: Partial<RunRecord>): Promise<RunRecord> {
  const runId = randomUUID();
  const stateDir = join(root.path, runId);
  await mkdir(stateDir);
  const written: RunRecord = {
    runId,
    managerPid: 2 ** 22 - 1,
    managerStartTime: '1',
    serverPid: 2 ** 22 - 2,
    serverStartTime: '1',
    url: 'http://127.0.0.1:1',
    version: '1.18.33',
    directory: root.path,
    stateDir,
    temporaryState: true,
    startedAt: new Date().toISOString(),
    ...change,
  };
  await writeRunRecord(written);
  return written;
}

test('recycled pids of a manager and its server are never hit; what carries the mark of the run is', async () => {
  const manager = await bystander();
  const server = await bystander();
  const { runId, stateDir } = await record({ managerPid: manager, serverPid: server });
  const left = await bystander(runId);
  const found = await findLeftovers();
  expect(found.map(({ record: { runId: id }, processes }) => ({ id, pids: processes.map(({ pid }) => pid) }))).toEqual([
    { id: runId, pids: [left] },
  ]);
  expect(await reapLeftovers(found)).toEqual({ processes: 1, directories: 1 });
  await expect.poll(() => isAlive(left), { timeout: 5000 }).toBe(false);
  expect([await isAlive(manager), await isAlive(server)]).toEqual([true, true]);
  expect(existsSync(stateDir)).toBe(false);
});

test('a manager that is alive keeps what is its own', async () => {
  const { runId, stateDir } = await record({ managerPid: process.pid, managerStartTime: (await processStartTime(process.pid))! });
  const own = await bystander(runId);
  expect(await findLeftovers()).toEqual([]);
  expect(await isAlive(own)).toBe(true);
  expect(existsSync(stateDir)).toBe(true);
});
