import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { runHere } from './support/terminal.ts';

/** The words that may come, and what the shell does besides. */
async function completed(...words: string[]): Promise<string[]> {
  const { stdout, exitCode, stderr } = await runHere('complete', '--', ...words);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[0]!);
}

test.each([
  [['res'], ['resume', 'results', ':4']],
  [['mod'], [':4']],
  [
    ['session', ''],
    ['delete', ':4'],
  ],
  [
    ['run', '--work'],
    ['--workspace', ':4'],
  ],
  [
    ['run', '--workspace', 'c'],
    ['clone', 'copy', ':4'],
  ],
  [['run', '-j', '--concurrency', '8', ''], [':0']],
  [['run', '--directory', ''], [':16']],
  [
    ['run', '--workspace', '=', 'cl'],
    ['clone', ':4'],
  ],
  [['run', '--', '--work'], [':0']],
  [['sessions', ''], [':4']],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish', 'powershell', ':4'],
  ],
])('%j', async (words, candidates) => expect(await completed(...words)).toEqual(candidates));

test('Tab in bash asks ocm, and evaluates nothing of the line', async () => {
  const { stdout: script } = await runHere('completion', 'bash');
  const words = "(ocm results '>' victim '$(touch pwned)' '--ou')";
  // Prints what ocm is asked, and answers.
  const ocm = 'ocm() { echo "$@" >&2; printf "%s\\n" "--out\tof the results" :4; }';
  const asks = `COMP_WORDS=${words}; COMP_CWORD=5; _ocm; echo "\${COMPREPLY[@]}"`;
  const line = [ocm, script.replace('2>/dev/null </dev/null', ''), asks].join('\n');
  const { stdout, stderr } = spawnSync('bash', ['-c', line], { encoding: 'utf8', cwd: '/' });
  expect({ stdout, stderr }).toEqual({ stdout: '--out\n', stderr: 'complete -- results > victim $(touch pwned) --ou\n' });
});

test.each(['zsh', 'fish', 'powershell'])('the script for %s asks ocm', async (shell) => {
  expect((await runHere('completion', shell)).stdout).toMatch(/ocm complete '?--/);
});
