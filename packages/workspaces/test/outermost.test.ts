import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { newRunId, outermostTop } from '../src/index.ts';
import { git, repository, scratch } from './support/repository.ts';

test('the outermost repository is found from below, from a nested repository, a linked worktree and a submodule', async () => {
  using directory = scratch();
  const outer = repository(join(directory.path, 'outer'));
  const nested = repository(join(outer, 'vendor', 'nested'));
  git(outer, 'worktree', 'add', '-q', join(outer, '.trees', 'feature'));
  git(outer, 'submodule', '--quiet', 'add', repository(join(directory.path, 'library')), 'library');
  const places = [outer, join(outer, 'src'), nested, join(nested, 'src'), join(outer, '.trees', 'feature', 'src'), join(outer, 'library')];
  for (const place of places) expect(await outermostTop(place), place).toBe(outer);
});

test('a worktree elsewhere, a bare repository and a directory outside git are their own', async () => {
  using directory = scratch();
  const outer = repository(join(directory.path, 'outer'));
  const feature = join(directory.path, 'feature');
  git(outer, 'worktree', 'add', '-q', feature);
  expect(await outermostTop(join(feature, 'src'))).toBe(feature);
  const bare = join(directory.path, 'bare.git');
  git(directory.path, 'clone', '-q', '--bare', outer, bare);
  expect(await outermostTop(bare)).toBe(bare);
  const plain = join(directory.path, 'plain', 'below');
  mkdirSync(plain, { recursive: true });
  expect(await outermostTop(plain)).toBe(plain);
});

test('the name of a run holds its title as letters, digits and dashes', () => {
  expect(newRunId('../Fix ALL the tests!')).toMatch(/^\d{8}T\d{6}Z-fix-all-the-tests-[0-9a-f]{4}$/);
  expect(newRunId('???')).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{4}$/);
});
