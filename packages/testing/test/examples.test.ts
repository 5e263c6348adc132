import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { loadScript, startScriptedModel } from '../src/index.ts';
import { chat, say } from './support/chat.ts';

const run = promisify(execFile);
const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));

describe('examples', () => {
  it('quick.ts prints what its comment says', async () => {
    const { stdout } = await run(process.execPath, ['--conditions=@opencode-manager/source', path('examples/quick.ts')]);
    expect(stdout).toBe('Task 7 is done.\n');
  });

  it('lost-answer.ts meets its two faults', async () => {
    const { stdout } = await run(process.execPath, ['--conditions=@opencode-manager/source', path('examples/lost-answer.ts')]);
    expect(stdout.split('\n')).toEqual([
      'Attempt 1: an error',
      'Attempt 2: an error',
      'Attempt 3: an answer',
      'The model was asked 3 times.',
      'lost: dropped, cut: dropped, no rule: completed',
      '',
    ]);
  });

  it('model.jsonc answers', async () => {
    await using model = await startScriptedModel(await loadScript(path('examples/model.jsonc')));
    await chat(model, 'a');
    await chat(model, 'b');
    expect(await say(model, 'hello')).toBe('I have read: hello');
    expect(model.calls.map(({ status }) => status)).toEqual([429, 429, 200]);
  });
});

describe('README', () => {
  it.each(['examples/quick.ts', 'examples/changelog-bot.test.ts', 'examples/lost-answer.ts', 'examples/model.jsonc'])(
    'shows %s as it is',
    async (file) => {
      const [readme, example] = await Promise.all([readFile(path('README.md'), 'utf8'), readFile(path(file), 'utf8')]);
      expect(readme).toContain(example);
    },
  );
});
