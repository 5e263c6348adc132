import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));

test('the example runs on a real server, ends by itself and prints the answer', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--conditions=@opencode-manager/source',
    path('examples/follow-a-session.ts'),
  ]);
  expect([stdout, stderr]).toEqual(['A repository with one file.', '']);
});

test('the README shows the example as it is', async () => {
  const [readme, example] = await Promise.all([
    readFile(path('README.md'), 'utf8'),
    readFile(path('examples/follow-a-session.ts'), 'utf8'),
  ]);
  expect(readme).toContain(example);
});
