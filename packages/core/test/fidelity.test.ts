import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startScriptedModel, type ScriptedModel } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowedDifferences, withoutAllowed } from './fidelity/allowed.ts';
import { differences } from './fidelity/compare.ts';
import { openOurs, type Ours } from './fidelity/ours.ts';
import { placeRow } from './fidelity/place.ts';
import { readRecording, type Recording } from './fidelity/recording.ts';
import type { Row } from './fidelity/row.ts';
import { rows } from './fidelity/rows/index.ts';
import { repeating } from './fidelity/rows/repeating.ts';
import { isV2 } from './support/tested.ts';

const left = process.env['OCM_FIDELITY'] === 'all' ? [] : Object.values(repeating).flat();
const read = rows.filter(({ name }) => !left.includes(name));

let root: string;
let model: ScriptedModel;
const servers = new Map<boolean, Ours>();
let recording: Recording;
const used = new Set<string>();

/** One server for most rows; a few need one of their own kind. */
async function serverFor({ catalogue }: Pick<Row, 'catalogue'>): Promise<Ours> {
  const wanted = catalogue === true;
  const server = servers.get(wanted) ?? (await openOurs(root, model, wanted));
  servers.set(wanted, server);
  return server;
}

const told = left.length === 0 ? '' : ` (${left.length} more that repeat a kind with OCM_FIDELITY=all)`;

describe.skipIf(isV2)(`a configuration means here what it means in plain opencode${told} (opencode 1 only: recorded on it)`, () => {
  beforeAll(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'opencode-manager-fidelity-')));
    model = await startScriptedModel({ default: 'Done.' });
    // Missing for a new version of opencode: pnpm fidelity:record
    recording = await readRecording((await serverFor({})).version);
  });
  afterAll(async () => {
    for (const server of servers.values()) await server[Symbol.asyncDispose]();
    await model?.[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });

  test.each(read)('$name', async (row) => {
    const server = await serverFor(row);
    const reading = await server.read(await placeRow(row, root, model.url));
    const pair = withoutAllowed(row, { plain: recording.readings[row.name]!, ours: reading });
    for (const name of pair.used) used.add(name);
    expect(differences(pair)).toEqual([]);
  });

  test('every allowed difference is one, and there are at most 25', () => {
    expect(allowedDifferences.length).toBeLessThanOrEqual(25);
    expect(allowedDifferences.map(({ name }) => name).filter((name) => !used.has(name))).toEqual([]);
  });

  test('what is recorded is what is compared', () => {
    expect(read.length).toBeGreaterThanOrEqual(60);
    expect(Object.keys(recording.readings).toSorted()).toEqual(rows.map(({ name }) => name).toSorted());
  });

  test('what is left out repeats a row that is compared', () => {
    const names = new Set(rows.map(({ name }) => name));
    const unknown = Object.values(repeating)
      .flat()
      .filter((name) => !names.has(name));
    const untold = Object.keys(repeating).filter((name) => !names.has(name) || left.includes(name));
    expect([unknown, untold]).toEqual([[], []]);
  });
});
