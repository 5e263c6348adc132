// Records what plain opencode makes of the rows: `pnpm fidelity:record` all of them, with parts of names those alone. Each is kept at once.
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinary } from '@opencode-manager/core';
import { startScriptedModel } from '@opencode-manager/testing';
import { environmentOf, placeRow } from './place.ts';
import { openPlain, type PlainOpencode } from './plain.ts';
import { readRecording, writeRecording, type Recording } from './recording.ts';
import { rows } from './rows/index.ts';

const wanted = process.argv.slice(2);
const { path: binary, version } = await findBinary({ environment: {} });
const known: Recording = await readRecording(version).catch(() => ({ version, readings: {} }));
const readings = Object.fromEntries(Object.entries(known.readings).filter(([name]) => rows.some((row) => row.name === name)));
const root = await realpath(await mkdtemp(join(tmpdir(), 'opencode-manager-fidelity-')));
let homeWasRead = false;
let plain: PlainOpencode | undefined;
try {
  await using model = await startScriptedModel({ default: 'Done.' });
  for (const row of rows.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)))) {
    const placed = await placeRow(row, root, model.url);
    // opencode reads the configuration of its home once, however often it is told to begin anew.
    if (plain && (placed.configDir !== undefined || homeWasRead)) {
      await plain[Symbol.asyncDispose]();
      plain = undefined;
    }
    homeWasRead = placed.configDir !== undefined;
    plain ??= await openPlain(root, binary, model, environmentOf(rows, root));
    const startedAtMs = performance.now();
    const reading = await plain.read(placed);
    process.stdout.write(
      `${row.name}: ${'refused' in reading ? reading.refused : 'read'} in ${Math.round(performance.now() - startedAtMs)} ms\n`,
    );
    readings[row.name] = reading;
    await writeRecording({ version, readings });
  }
} finally {
  await plain?.[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}
