import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const runtimeImport = /^(?:import|export)\s+(?!type\b)(?:[^'"]*?from\s+)?'([^']+)'/gm;

/** Every module that a file pulls in at run time; packages are named, files followed. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(runtimeImport)) {
    if (specifier.startsWith('.')) importsOf(resolve(dirname(file), specifier), seen);
    else seen.add(specifier);
  }
  return seen;
}

function packagesOf(entry: string): string[] {
  const file = fileURLToPath(new URL(`../../src/${entry}`, import.meta.url));
  return [...importsOf(file)].filter((name) => !name.endsWith('.ts')).toSorted();
}

test('machine and host of a run need no Node at run time', () => {
  expect(packagesOf('machine/index.ts')).toEqual(['xstate']);
  expect(packagesOf('hosts.ts')).toEqual(['@opencode-manager/actors/hosts', '@opencode-manager/core/errors', 'xstate']);
});
