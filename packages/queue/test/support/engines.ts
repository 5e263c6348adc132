import { findPostgres, findRedis, startPostgres, startRedis, type TestEngine } from '@opencode-manager/testing';
import { describe } from 'vitest';

interface Kind {
  readonly name: string;
  readonly isThere: boolean;
  readonly start: () => Promise<TestEngine>;
}

const kinds: readonly Kind[] = [
  { name: 'redis', isThere: findRedis() !== undefined, start: startRedis },
  { name: 'postgres', isThere: findPostgres() !== undefined, start: startPostgres },
];

/** Runs tests with each engine that is installed; those of the others are skipped by name. */
export function withEngines(what: string, body: (kind: Kind) => void): void {
  for (const kind of kinds) describe.skipIf(!kind.isThere)(`${what}, ${kind.name}`, () => body(kind));
}
