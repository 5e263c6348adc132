import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { instructionsFile } from '../src/isolation/instructions-files.ts';
import { createInstructionsStore } from '../src/session/instructions.ts';

test('instructions of a workspace that was removed go, those of the others stay', async () => {
  const place = await realpath(await mkdtemp(join(tmpdir(), 'opencode-manager-instructions-')));
  try {
    const root = join(place, 'instructions');
    const keep = createInstructionsStore(root);
    const directories = Array.from({ length: 400 }, (_, index) => join(place, `w${index}`));
    for (const [index, directory] of directories.entries()) {
      await mkdir(directory);
      await keep(directory, [`of ${index}`]);
      if (index < 150) await rm(directory, { recursive: true });
    }
    expect((await readdir(root)).length).toBe(250);
    expect(JSON.parse(await readFile(instructionsFile(root, directories[399]!), 'utf8'))).toEqual(['of 399']);
    await keep(directories[399]!, []);
    expect((await readdir(root)).length).toBe(249);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
});
