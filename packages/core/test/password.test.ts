import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { protocolNamed } from '@opencode-manager/core/protocol';
import { failureOf } from './support/failure.ts';
import { privateRoot } from './support/private-root.ts';
import { startBench, type Bench } from './support/server.ts';
import { by, isV2 } from './support/tested.ts';

const shows = 'env; tr "\\0" "\\n" < /proc/$PPID/environ; tr "\\0" "\\n" < /proc/$OPENCODE_PID/environ';

const apiKey = 'KEY-THAT-WAS-PASSED';

let root: Awaited<ReturnType<typeof privateRoot>>;
let bench: Bench;
beforeAll(async () => {
  root = await privateRoot();
  bench = await startBench(
    [
      { when: { user: /^look/, toolResult: /./ }, reply: 'Looked.' },
      { when: { user: /^look/ }, reply: { toolCalls: [{ name: 'bash', arguments: { command: shows, description: 'look' } }] } },
      { when: { user: /^read/, toolResult: /./ }, reply: 'Read.' },
      { when: { user: /^read/ }, reply: { toolCalls: [{ name: 'read', arguments: { filePath: 'sub/a.txt' } }] } },
      { when: { user: /^be refused/ }, reply: { error: { status: 401, message: `Incorrect API key provided: ${apiKey}` } } },
      { reply: 'Done.' },
    ],
    {
      env: { SOME_KEY: apiKey },
      opencodeConfig: {
        mcp: { look: { type: 'local', command: ['/bin/sh', '-c', `env > ${seenByMcp()}; exec cat`], timeout: 2000 } },
        command: { look: { template: `A command: !\`${shows}\`` } },
      },
    },
    { 'sub/a.txt': 'content of the file' },
  );
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await root[Symbol.asyncDispose]();
});

const seenByMcp = () => `${root.path}/mcp`;

test.runIf(process.platform === 'linux')(
  'nothing that the server starts or shows has its password, and the API still asks for it',
  async () => {
    const { server, model } = bench;
    const { password, username } = server.credentials();
    const session = await server.createSession();

    expect((await session.prompt('look')).text).toBe('Looked.');
    await session.executeCommand('look');
    const shell = await session.executeShell(shows);
    const asked = JSON.stringify(model.calls);
    const places = { tool: asked, shell: shell.text, mcp: await readFile(seenByMcp(), 'utf8'), block: await blockOf(server.pid) };
    for (const [place, text] of Object.entries(places)) {
      // It was looked at, and what stands there is an environment of the run.
      expect(text, place).toContain(`OPENCODE_MANAGER_RUN_ID=${server.runId}`);
      expect(text, place).not.toContain(password);
    }
    expect(asked).toContain('A command: ');
    // What a user passes is for the server and its tools, and is not shown in the block.
    expect([shell.text.split(apiKey).length - 1, places.block.includes(apiKey), places.mcp.includes(apiKey)]).toEqual([1, false, true]);

    // Instances that are made anew load the plugins again.
    const dispose = protocolNamed(server.protocol).process.end();
    expect(dispose === undefined).toBe(isV2);
    if (dispose) await server.client.call(dispose);
    expect((await (await server.createSession()).prompt('again')).text).toBe('Done.');
    expect(await blockOf(server.pid)).not.toContain(password);
    expect((await (await server.createSession()).executeShell('echo $SOME_KEY')).text).toContain(apiKey);
    const statusWith = async (header?: string) =>
      (
        await fetch(
          `${server.url}${by({ v1: '/session', v2: '/api/session' })}`,
          header === undefined ? {} : { headers: { authorization: header } },
        )
      ).status;
    const basic = (secret: string) => `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`;
    expect([await statusWith(), await statusWith(basic('')), await statusWith(basic('\0')), await statusWith(basic(password))]).toEqual([
      401, 401, 401, 200,
    ]);
  },
);

test.runIf(process.platform === 'linux')("a workspace's link to the environment shows no key to opencode's read tool", async () => {
  bench.model.reset();
  await symlink('/proc/self/environ', join(bench.workspace.path, 'sub', 'AGENTS.md'));
  expect((await (await bench.server.createSession()).prompt('read')).text).toBe('Read.');
  const asked = JSON.stringify(bench.model.calls);
  // opencode did follow the link.
  expect(asked).toContain(`OPENCODE_MANAGER_RUN_ID=${bench.server.runId}`);
  expect(asked).not.toContain(apiKey);
  expect(asked).not.toContain(bench.server.credentials().password);
});

test('a provider that repeats the key in its refusal tells it to nobody', async () => {
  const { server } = bench;
  const error = await failureOf((await server.createSession()).prompt('be refused'));
  expect(error).toMatchObject({ code: 'TURN_FAILED', message: expect.stringContaining('provided: [redacted]') as string });
  expect(JSON.stringify(error) + inspect(error, { depth: 9 }) + error.stack).not.toContain(apiKey);
  expect(server.output()).not.toContain(apiKey);
  expect(server.redactor.text(server.credentials().authorization)).toBe('Basic [redacted]');
});

function blockOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/environ`, 'latin1');
}
