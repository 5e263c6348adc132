import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { createMessageIds } from '../src/protocol/index.ts';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([{ when: { user: /./ }, reply: 'Said.' }]);
});
afterAll(() => bench[Symbol.asyncDispose]());

test('a turn of a session is trusted by its own directory, whatever its caller names', async () => {
  const { server, model } = bench;
  await using place = await temporaryWorkspace({ files: { 'readme.txt': 'first\n' } });
  const { id, directory } = await server.createSession({ directory: place.path });
  const ids = createMessageIds();
  const shell = (text: string) => ({ kind: 'shell', messageId: ids.next(), command: text }) as const;
  await server.operations(id, directory).submit(shell('touch ran-at-home'));
  expect(await place.read('ran-at-home')).toBe('');
  await mkdir(join(place.path, '.opencode/plugin'), { recursive: true });
  await writeFile(join(place.path, '.opencode/plugin/planted.js'), 'export const Planted = async () => ({});\n');
  expect((await failureOf(server.operations(id, directory).submit(shell('touch ran-untrusted')))).code).toBe('WORKSPACE_CHANGED');
  for (const elsewhere of [server.operations(id, server.directory), server.operations(id)]) {
    const refused = await failureOf(elsewhere.submit(shell('touch ran-elsewhere')));
    expect([refused.code, refused.message]).toEqual(['DIRECTORY_MISMATCH', expect.stringContaining(`works in ${directory}`)]);
    const prompt = { kind: 'prompt', messageId: ids.next(), parts: [{ type: 'text', text: 'hello' }] } as const;
    expect((await failureOf(elsewhere.submit(prompt))).code).toBe('DIRECTORY_MISMATCH');
    expect((await failureOf(elsewhere.summarize('scripted/model'))).code).toBe('DIRECTORY_MISMATCH');
  }
  expect(model.calls).toEqual([]);
  await expect(place.read('ran-elsewhere')).rejects.toThrow('ENOENT');
});
