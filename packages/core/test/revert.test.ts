import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Session } from '@opencode-manager/core';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';

const write = (filePath: string, content: string) => ({ toolCalls: [{ name: 'write', arguments: { filePath, content } }] });
const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(
    [
      { when: { user: /^write (\S+) (\S+)/ }, reply: [write('{{user.1}}', '{{user.2}}\n'), 'Written.'] },
      {
        when: { user: /^wait/ },
        reply: [write('a.txt', 'a1\n'), bash('for i in $(seq 200); do test -e go && break; sleep 0.1; done'), 'Waited.'],
      },
      { when: { user: /^delete/ }, reply: [bash('rm readme.txt'), 'Deleted.'] },
      { reply: 'Said.' },
    ],
    { profile: 'interactive' },
    { 'readme.txt': 'first\n', 'sub/x.txt': 'x\n', 'b.txt': 'b0\n' },
  );
});
afterAll(() => bench[Symbol.asyncDispose]());
afterEach(async () => {
  await execa('git', ['checkout', '-q', '.'], { cwd: bench.workspace.path });
  await execa('git', ['clean', '-fdq'], { cwd: bench.workspace.path });
});

const read = (name: string) => bench.workspace.read(name);
const put = (name: string, text: string) => writeFile(join(bench.workspace.path, name), text);
const conflictOf = async (session: Session, messageId: string) => {
  const { code, details, message } = await failureOf(session.revertMessage(messageId));
  expect(code).toBe('REVERT_CONFLICT');
  return { sessions: (details['sessions'] as { id: string }[]).map(({ id }) => id), files: details['files'], message };
};

test('a revert that would take back what another session wrote is refused, and names both', async () => {
  const [ours, other] = [await bench.server.createSession({ title: 'ours' }), await bench.server.createSession({ title: 'other' })];
  const turn = ours.prompt('wait for it');
  await vi.waitFor(() => read('a.txt'), { timeout: 15_000 });
  await other.prompt('write b.txt b1');
  await put('go', '');
  const { messageId } = await turn;
  // opencode counts the file as changed by our step.
  expect((await ours.diff(messageId)).map(({ file }) => file)).toEqual(['a.txt', 'b.txt', 'go']);
  const { sessions, files, message } = await conflictOf(ours, messageId);
  expect([sessions, files]).toEqual([[other.id], []]);
  expect(message).toMatch(/other sessions worked in this worktree since \(ses_\w+ "other"\).*force: true/);
  expect(await read('b.txt')).toBe('b1\n');
  await ours.revertMessage(messageId, { force: true });
  expect(await read('b.txt')).toBe('b0\n');
});

test('files that were changed after the turn are named, those that a revert leaves alone are not', async () => {
  const session = await bench.server.createSession();
  const { messageId } = await session.prompt('write a.txt a1');
  await put('readme.txt', 'by a person\n');
  await put('a.txt', 'a1, and more by a person\n');
  expect(await conflictOf(session, messageId)).toMatchObject({ sessions: [], files: ['a.txt'] });
  await put('a.txt', 'a1\n');
  await session.revertMessage(messageId);
  await expect(read('a.txt')).rejects.toThrow(/ENOENT/);
  expect(await read('readme.txt')).toBe('by a person\n');
});

test('so are those that were changed between two turns, and files that came again after a turn deleted them', async () => {
  const session = await bench.server.createSession();
  const { messageId } = await session.prompt('write a.txt a1');
  await put('a.txt', 'by a person\n');
  await session.prompt('write b.txt b2');
  expect(await conflictOf(session, messageId)).toMatchObject({ sessions: [], files: ['a.txt'] });
  const deleted = await session.prompt('delete the readme');
  expect((await session.diff(deleted.messageId)).map(({ file }) => file)).toEqual(['readme.txt']);
  await put('readme.txt', 'by a person\n');
  expect(await conflictOf(session, deleted.messageId)).toMatchObject({ sessions: [], files: ['readme.txt'] });
});

test('several turns are taken back at once and one after the other when nobody else was there', async () => {
  const session = await bench.server.createSession();
  const first = await session.prompt('write a.txt a1');
  const second = await session.prompt('write a.txt a2');
  await session.prompt('say nothing');
  await session.revertMessage(second.messageId);
  expect(await read('a.txt')).toBe('a1\n');
  await session.revertMessage(first.messageId);
  await expect(read('a.txt')).rejects.toThrow(/ENOENT/);
  await session.unrevert();
  expect(await read('a.txt')).toBe('a2\n');
});

test('a session of a directory below counts, a fork without a turn does not, nor does one that worked before', async () => {
  const before = await bench.server.createSession();
  await before.prompt('write b.txt b3');
  const session = await bench.server.createSession();
  const { messageId } = await session.prompt('write a.txt a1');
  await session.fork();
  await bench.server.createSession();
  await session.revertMessage(messageId);
  await session.unrevert();
  const below = await bench.server.createSession({ directory: join(bench.workspace.path, 'sub') });
  await below.prompt('say something');
  expect((await conflictOf(session, messageId)).sessions).toEqual([below.id]);
});

test('a step that was aborted is taken back too; only what changed after the steps with an end counts', async () => {
  const session = await bench.server.createSession();
  const first = await session.prompt('write b.txt b4');
  const turn = failureOf(session.prompt('wait for it'));
  await vi.waitFor(async () => expect(JSON.stringify(await session.messages())).toContain('for i in'), { timeout: 15_000 });
  await put('b.txt', 'during the step\n');
  await session.abort();
  expect((await turn).code).toBe('TURN_ABORTED');
  await session.revertMessage(first.messageId);
  expect(await read('b.txt')).toBe('b0\n');
  await expect(read('a.txt')).rejects.toThrow(/ENOENT/);
});

test('a turn that changed no file can always be reverted', async () => {
  const session = await bench.server.createSession();
  const { messageId } = await session.prompt('say something');
  await (await bench.server.createSession()).prompt('write a.txt a1');
  await session.revertMessage(messageId);
  expect(await read('a.txt')).toBe('a1\n');
});
