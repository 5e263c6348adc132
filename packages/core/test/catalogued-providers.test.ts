import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startBareServer } from '@opencode-manager/bench';
import { cataloguedProviders, findBinary, launchServer } from '@opencode-manager/core';
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

test.skipIf(!isV2)(
  'opencode 2 carries no provider that the list does not have; what it has besides are search services (opencode 2 only)',
  async () => {
    await using workspace = await temporaryWorkspace();
    await using server = await launchServer({ directory: workspace.path, projectConfig: 'all' });
    const { url, authorization } = server.credentials();
    const query = new URLSearchParams({ 'location[directory]': workspace.path });
    await server.catalogue();
    const { data } = (await (await fetch(`${url}/api/integration?${query.toString()}`, { headers: { authorization } })).json()) as {
      data: { readonly id: string }[];
    };
    const ids = data.map(({ id }) => id);
    expect(ids.filter((id) => !cataloguedProviders.ids.includes(id)).toSorted()).toEqual([
      'exa',
      'firecrawl',
      'parallel',
      'tavily',
      'tinyfish',
    ]);
    expect(ids.length).toBeGreaterThan(200);
  },
);

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
