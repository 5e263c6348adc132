import { readFile, readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { serverConfigJsonSchema } from '../src/config/index.ts';
import { errorCatalogue } from '../src/errors/index.ts';
import { errorDocument } from '../src/errors/document.ts';
import { outcomesDocument } from '../src/turn/outcomes-document.ts';

test('the committed JSON Schema is the one that the sources give', async () => {
  const committed = JSON.parse(await readFile(new URL('../schema/server-config.json', import.meta.url), 'utf8')) as unknown;
  expect(committed).toEqual(serverConfigJsonSchema());
});

test('docs/errors.md lists every code', async () => {
  expect(await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8')).toBe(errorDocument());
});

test('docs/outcomes.md is the table of finish reasons', async () => {
  expect(await readFile(new URL('../../../docs/outcomes.md', import.meta.url), 'utf8')).toBe(outcomesDocument());
});

test('every code of the catalogue is thrown somewhere', async () => {
  const packages = new URL('../../', import.meta.url);
  const names = (await readdir(packages, { recursive: true })).filter(
    (name) => /^\w+\/src\/.*\.ts$/.test(name) && !name.endsWith('errors/codes.ts'),
  );
  const sources = (await Promise.all(names.map((name) => readFile(new URL(name, packages), 'utf8')))).join('\n');
  const unused = Object.keys(errorCatalogue).filter((code) => !sources.includes(`'${code}'`) && !sources.includes(`${code}.`));
  expect(unused).toEqual([]);
});
