import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** Entries of core that a browser can load. */
const browserSafe = new Set(['@opencode-manager/core/policy', '@opencode-manager/core/protocol']);
/** In single quotes: the texts of plugins, which run elsewhere, import with double ones. */
const runtimeImport = /^(?:import|export)\s+(?!type\b)(?:[^'"]*?from\s+)?'([^']+)'/gm;

/** Every module that a file pulls in at run time; packages are named, files followed. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const source = readFileSync(file, 'utf8');
  for (const [, specifier = ''] of source.matchAll(runtimeImport)) {
    if (specifier.startsWith('.')) importsOf(resolve(dirname(file), specifier), seen);
    else if (browserSafe.has(specifier)) importsOf(fileURLToPath(import.meta.resolve(specifier)), seen);
    else seen.add(specifier);
  }
  return seen;
}

test('the machines need nothing but xstate and pure files at run time', () => {
  const entry = fileURLToPath(new URL('../../src/machines/index.ts', import.meta.url));
  const packages = [...importsOf(entry)].filter((name) => !name.endsWith('.ts'));
  expect(packages).toEqual(['xstate']);
});
