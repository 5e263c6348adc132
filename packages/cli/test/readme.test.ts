import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startScriptedModel, temporaryWorkspace, type ScriptedModel, type TemporaryWorkspace } from '@opencode-manager/testing';

const repository = new URL('../../../', import.meta.url);
const read = (path: string) => readFile(new URL(path, repository), 'utf8');
const path = (name: string) => fileURLToPath(new URL(name, repository));

/** The code blocks of a language in a Markdown text. */
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1]!);

let model: ScriptedModel;
let workspace: TemporaryWorkspace;
beforeAll(async () => {
  model = await startScriptedModel({
    rules: [
      { when: { user: /^Review (\S+)/ }, reply: '{{user.1}} is fine.' },
      { when: { user: /Summarise/ }, reply: 'A summary.' },
      { reply: 'Done.' },
    ],
  });
  workspace = await temporaryWorkspace({
    files: { 'opencode.json': JSON.stringify(model.opencodeConfig()), 'src/cart.ts': '', 'src/money.ts': '' },
  });
});
afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
  await model[Symbol.asyncDispose]();
});

const runExample = (file: string) =>
  execa(process.execPath, ['--conditions=@opencode-manager/source', path(file)], {
    cwd: workspace.path,
    env: { ANTHROPIC_API_KEY: 'a-key-that-nobody-uses' },
  });

test("the README's library example is the file that runs in installed.test.ts", async () => {
  expect(blocks(await read('README.md'), 'ts')).toEqual([await read('packages/actors/examples/quick-start.ts')]);
});

test("the example in core's README is the file that runs here", async () => {
  expect(blocks(await read('packages/core/README.md'), 'ts')).toEqual([await read('packages/core/examples/quick-start.ts')]);
  const { stdout } = await runExample('packages/core/examples/quick-start.ts');
  expect(stdout).toMatch(/^A summary\. \{[\s\S]*final_message/);
});

test("the README's commands run, with a scripted model in place of the provider", async () => {
  const snippet = blocks(await read('README.md'), 'sh')
    .filter((block) => block.includes('ocm run'))
    .join('');
  const bin = join(workspace.path, 'bin');
  await mkdir(bin);
  // Stands for the installed command; the test has no key, so provider and model are the scripted ones.
  const ocm = `#!/bin/sh\nexec '${process.execPath}' --conditions=@opencode-manager/source '${path('packages/cli/src/bin.ts')}' "$@" --opencode-config '${workspace.path}/opencode.json'\n`;
  await writeFile(join(bin, 'ocm'), ocm);
  await chmod(join(bin, 'ocm'), 0o755);
  await execa('bash', ['-euc', snippet.replaceAll('anthropic/claude-sonnet-5', 'scripted/model')], {
    cwd: workspace.path,
    env: { PATH: `${bin}:${process.env['PATH']}` },
  });
  const records = (await readFile(join(workspace.path, 'results.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; id?: string; outcome?: string; succeeded?: number });
  expect(records[0]?.type).toBe('launch');
  expect(
    records
      .filter(({ type }) => type === 'task.finished')
      .map(({ id, outcome }) => `${id} ${outcome}`)
      .toSorted(),
  ).toEqual(['cart succeeded', 'money succeeded']);
  expect(records.at(-1)).toMatchObject({ type: 'done', succeeded: 2 });
}, 180_000);
