import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { opencodeUnderTest } from '@opencode-manager/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBench, type Bench } from './support/ocm.ts';

const { by } = opencodeUnderTest();

let bench: Bench;
let configFile: string;
beforeAll(async () => {
  bench = await openBench({ default: 'Done.' });
  configFile = join(bench.root, 'with-servers.json');
  const servers = {
    missing: { type: 'local', command: ['no-such-program'] },
    // opencode 2 takes the older number for its questions to a server that is up.
    hangs: { type: 'local', command: ['sleep', '600'], timeout: by<unknown>({ v1: 3000, v2: { startup: 3000 } }) },
  };
  const mcp = by<object>({ v1: servers, v2: { servers } });
  await writeFile(configFile, JSON.stringify({ ...bench.model.opencodeConfig(), mcp }));
});
afterAll(() => bench[Symbol.asyncDispose]());

const flags = () => ['--directory', bench.workspace.path, '--opencode-config', configFile, '--json'];

test('ocm run goes on with MCP servers that are missing or hang, and says so', async () => {
  await using run = bench.start(['run', '--prompt', 'hello', ...flags()]);
  expect(await run.exit, run.stderr).toBe(0);
  const launch = await run.record('launch');
  expect(launch['parts']).toEqual([
    { kind: 'provider', name: 'scripted', status: 'alive' },
    { kind: 'mcp', name: 'missing', status: 'starting' },
    { kind: 'mcp', name: 'hangs', status: 'starting' },
  ]);
  expect((await run.record('parts'))['parts'].slice(1)).toEqual([
    { kind: 'mcp', name: 'missing', status: 'failed', reason: expect.stringContaining('no-such-program') },
    { kind: 'mcp', name: 'hangs', status: 'failed', reason: expect.stringContaining(by({ v1: '3000', v2: 'timed out' })) },
  ]);
  expect(run.stderr).toMatch(/MCP server missing: .*no-such-program/);
});

test('ocm doctor with a configuration waits for each part, and fails for one that does not work', async () => {
  await using doctor = bench.start(['doctor', ...flags()]);
  expect(await doctor.exit).toBe(1);
  const found = doctor.records.filter(({ type, name }) => type === 'check' && /^(provider|MCP server) /.test(name));
  expect(found.map(({ name, status }) => [name, status])).toEqual([
    ['provider scripted', 'ok'],
    ['MCP server missing', 'failed'],
    ['MCP server hangs', 'failed'],
  ]);
});
