import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, release, totalmem, type as systemType } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Machine } from './types.ts';

/** Package of the repository that depends on each of what is named in the report. */
const named = {
  core: ['opencode-ai', '@opencode-ai/sdk', 'undici'],
  events: ['eventsource', 'eventsource-parser', 'piscina'],
  actors: ['xstate'],
};

/** The machine, and the versions of what is compared. */
export function describeMachine(): Machine {
  return {
    cpu: processorModel(),
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${systemType()} ${release()}`,
    versions: { node: process.versions.node, ...packageVersions() },
  };
}

export function processorModel(): string {
  return cpus()[0]?.model.trim() ?? 'unknown';
}

function packageVersions(): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const [owner, names] of Object.entries(named)) {
    const require = createRequire(new URL(`../../../${owner}/package.json`, import.meta.url));
    for (const name of names) versions[name] = versionOf(require, name);
  }
  return versions;
}

function versionOf(require: NodeJS.Require, name: string): string {
  // Not every package exports its manifest; the directory that it is installed in has one.
  const directory = require.resolve.paths(name)?.find((path) => isThere(`${path}/${name}/package.json`));
  const manifest = JSON.parse(readFileSync(`${directory}/${name}/package.json`, 'utf8')) as { version: string };
  return manifest.version;
}

function isThere(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}

/** The repository's root. */
export const repository = fileURLToPath(new URL('../../../../', import.meta.url));
