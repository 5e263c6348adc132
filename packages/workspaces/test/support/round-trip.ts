import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TreeResult } from '../../src/index.ts';
import { git } from './repository.ts';

/** Applies a patch on a clean clone and expects the tree of the result. */
export function expectRoundTrip(source: string, directory: string, { patch, baseCommit, tree }: TreeResult): void {
  const clean = mkdtempSync(join(directory, 'clean-'));
  git(directory, 'clone', '-q', '--no-local', '--no-checkout', '-c', 'remote.origin.fetch=+refs/*:refs/source/*', source, clean);
  git(clean, 'checkout', '-q', '--detach', baseCommit);
  git(clean, 'apply', '--index', '--allow-empty', patch!);
  expect(git(clean, 'write-tree')).toBe(tree);
}
