import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findLeftovers, listForeignRuns, processStartTime, reapLeftovers } from '../src/index.ts';
import { processOrigin } from '../src/process/origin.ts';
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

describe.runIf(process.platform === 'linux')('a record of a manager that is not of this place', () => {
  const here = async () => (await processOrigin())!;

  test.each([
    ['of another machine', 'foreign', async () => ({ ...(await here()), bootId: 'another', hostname: 'another' })],
    ['of another container of this machine that says nothing', 'foreign', async () => ({ ...(await here()), pidNamespace: 'pid:[1]' })],
    ['of this machine before it was started anew', 'gone', async () => ({ ...(await here()), bootId: 'another', hostname: hostname() })],
    ['of this place, under a pid that another process has now', 'gone', here],
  ] as const)('%s is %s', async (_whose, standing, origin) => {
    const { runId, stateDir } = await record({ managerPid: process.pid, origin: await origin() });
    const left = await bystander(runId);
    const found = await findLeftovers();
    const reaped = await reapLeftovers(found);
    const foreign = standing === 'foreign';
    expect({ found: found.length, reaped, foreign: (await listForeignRuns()).map(({ runId: id }) => id) }).toEqual({
      found: foreign ? 0 : 1,
      reaped: foreign ? { processes: 0, directories: 0 } : { processes: 1, directories: 1 },
      foreign: foreign ? [runId] : [],
    });
    expect([await isAlive(left), existsSync(stateDir)]).toEqual([foreign, foreign]);
  });
});

test('state that another run has taken since is left to it', async () => {
  const { runId, stateDir } = await record({});
  await writeFile(join(stateDir, 'opencode-manager-state.json'), '{"product":"opencode-manager","layout":1}');
  await writeFile(join(stateDir, 'manager.lock'), JSON.stringify({ pid: process.pid, startTime: '1', runId: 'successor' }));
  expect(await reapLeftovers(await findLeftovers())).toEqual({ processes: 0, directories: 0 });
  expect(existsSync(join(stateDir, 'manager.lock'))).toBe(true);
  expect((await findLeftovers()).map(({ record: { runId: id } }) => id)).not.toContain(runId);
});
