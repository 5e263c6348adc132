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

test('the machine of a run needs nothing but xstate and pure files at run time', () => {
  const entry = fileURLToPath(new URL('../../src/machine/index.ts', import.meta.url));
  const packages = [...importsOf(entry)].filter((name) => !name.endsWith('.ts'));
  expect(packages).toEqual(['xstate']);
});
