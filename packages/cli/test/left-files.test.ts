import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileOf, QueuedFile } from '@opencode-manager/queue';
import type { JournalEvent } from '@opencode-manager/runs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sendFiles, type LeftFiles } from '../src/worker/left-files.ts';

type Ended = Extract<JournalEvent, { type: 'attempt.ended' }>;

let root: string;
const sent: { of: FileOf; file: QueuedFile }[] = [];
const notes: string[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ocm-left-files-'));
  sent.length = 0;
  notes.length = 0;
});
afterEach(() => rm(root, { recursive: true, force: true }));

const left = (shared?: string): LeftFiles => ({
  ledger: { putFile: async (of, file) => void sent.push({ of, file }) },
  lease: { run: 'r', key: 'a' },
  path: join(root, 'lease'),
  shared,
  giveUp: new AbortController().signal,
  note: (line) => notes.push(line),
});

/** What the functions read of a row. */
const ended = (result: object) => ({ type: 'attempt.ended', key: 'a', attempt: 2, result }) as unknown as Ended;

test('a row names the patches that were sent, those of submodules too', async () => {
  const [patch, below] = [join(root, 'patch.diff'), join(root, 'patch.lib%2Fa.diff')];
  await writeFile(patch, 'one');
  await writeFile(below, 'two');
  const { result } = await sendFiles(left(), ended({ patch, ref: 'refs/x', submodules: [{ path: 'lib/a', patch: below }] }));
  expect(result).toEqual({ patch: 'patch.diff', submodules: [{ path: 'lib/a', patch: 'patch.lib%2Fa.diff' }] });
  expect(sent.map(({ of, file: { name, content } }) => [of.attempt, name, content?.toString()])).toEqual([
    [2, 'patch.diff', 'one'],
    [2, 'patch.lib%2Fa.diff', 'two'],
  ]);
  expect(notes).toEqual([]);
});

test('a patch that is not there any more is told as none', async () => {
  const { result } = await sendFiles(left(), ended({ patch: join(root, 'patch.diff') }));
  expect(result).toEqual({ patch: null, truncated: true });
  expect(sent).toEqual([]);
  expect(notes).toEqual([expect.stringMatching(/^patch\.diff of a, attempt 2, cannot be sent: ENOENT/)]);
});

test('what the directory of all hosts does not take goes through the queue', async () => {
  const [patch, shared] = [join(root, 'patch.diff'), join(root, 'shared')];
  await writeFile(patch, 'one');
  await mkdir(shared);
  await sendFiles(left(shared), ended({ patch }));
  await rm(shared, { recursive: true });
  await writeFile(shared, 'no directory');
  const { result } = await sendFiles(left(shared), ended({ patch }));
  expect(result).toEqual({ patch: 'patch.diff' });
  expect(sent.map(({ file: { path, content } }) => [path, content?.toString()])).toEqual([
    [join(shared, 'r/artifacts/a-ca978112/2/patch.diff'), undefined],
    [null, 'one'],
  ]);
  expect(notes).toEqual([expect.stringMatching(/^patch\.diff of a, attempt 2, goes through the queue: /)]);
});
