import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crash } from './support/crashes.ts';
import { git, repository, scratch } from './support/repository.ts';

// More of them: scripts/crashes.ts.
test('twenty runs that are killed at any moment lose nothing, and leave nothing after recovery', async () => {
  using directory = scratch();
  const source = repository(
    join(directory.path, 'repo'),
    Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`src/${n}.txt`, `${n}\n`])),
  );
  mkdirSync(join(directory.path, 'logs'));
  const seed = Date.now() % 2 ** 32;
  const { wrong, killed, worked } = await crash(source, join(directory.path, 'logs'), 20, 5, seed);
  expect({ wrong, seed: wrong.length > 0 && seed }).toEqual({ wrong: [], seed: false });
  expect([killed, worked > 5]).toEqual([20, true]);
  expect(git(source, 'fsck', '--no-dangling')).toBe('');
}, 180_000);
