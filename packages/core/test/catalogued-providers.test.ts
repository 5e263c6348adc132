import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startBareServer } from '@opencode-manager/bench';
import { findBinary } from '@opencode-manager/core';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { carriedPackages, cataloguedPackages } from '../src/isolation/packages/index.ts';
import { isV2 } from './support/tested.ts';

test.skipIf(isV2)('the committed list of providers is that of the binary; `vitest run -u` writes it anew (opencode 1 only)', async () => {
  await using home = await temporaryWorkspace({ files: { 'opencode.json': '{}' }, git: false });
  const { path: binary, version } = await findBinary();
  await using server = await startBareServer({ binary, directory: home.path, home: home.path });
  const { all } = (await (await fetch(`${server.url}/provider`)).json()) as { all: Provider[] };
  const ids = all.map(({ id }) => id).toSorted((a, b) => (a < b ? -1 : 1));
  const file = fileURLToPath(new URL('../src/protocol/v1/configuration/catalogued-providers.ts', import.meta.url));
  await expect(sourceOf(version, ids)).toMatchFileSnapshot(file);
  const installed = all.flatMap(({ id, models }) =>
    Object.values(models).flatMap(({ api: { npm } }) => (carriedPackages.has(npm) ? [] : [[id, npm] as const])),
  );
  expect(cataloguedPackages).toEqual(Object.fromEntries(installed));
});

interface Provider {
  readonly id: string;
  readonly models: Readonly<Record<string, { readonly api: { readonly npm: string } }>>;
}

const sourceOf = (version: string, ids: readonly string[]): string =>
  `/** Providers in the catalogue that this version of opencode carries; written by \`test/catalogued-providers.test.ts\`. */
export const cataloguedProviders: { readonly version: string; readonly ids: readonly string[] } = {
  version: '${version}',
  ids: [
${ids.map((id) => `    '${id}',\n`).join('')}  ],
};
`;
