import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { git, plainEnvironment, repository, scratch } from './support/repository.ts';

const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));

test('the example takes a patch home, and leaves no process and no warning', () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const args = ['--conditions=@opencode-manager/source', path('examples/one-task.ts')];
  const stdout = execFileSync(process.execPath, args, { cwd: source, env: plainEnvironment, encoding: 'utf8' });
  expect([stdout, git(source, 'status', '--porcelain')]).toEqual(['1 file, +1 -0\n', 'A  greeting.txt']);
});

test('the README shows the example as it is', () => {
  expect(readFileSync(path('README.md'), 'utf8')).toContain(readFileSync(path('examples/one-task.ts'), 'utf8'));
});
