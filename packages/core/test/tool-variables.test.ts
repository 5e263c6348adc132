import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { expect, it } from 'vitest';
import { clearToolVariables, keepToolVariables, toolVariablesDirectory } from '../src/isolation/tool-variables.ts';

it('writes the variables of a directory though a server that takes the place of a lost one empties their place', async () => {
  await using state = await temporaryWorkspace({ git: false });
  const place = toolVariablesDirectory(state.path);
  for (let round = 0; round < 100; round += 1) {
    const variables = { ROUND: String(round) };
    await Promise.all([keepToolVariables(state.path, '/a', variables), clearToolVariables(state.path)]);
    // What was there when the place was emptied has gone with it.
    const [left] = await readdir(place).catch(() => []);
    if (left !== undefined) expect(JSON.parse(await readFile(join(place, left), 'utf8'))).toEqual(variables);
  }
});
