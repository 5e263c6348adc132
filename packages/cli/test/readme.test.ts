import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  opencodeUnderTest,
  startScriptedModel,
  temporaryWorkspace,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';
import { blocks, missingLines, shownCommands, type ShownCommand } from './support/snippets.ts';
import { collector, runHere } from './support/terminal.ts';

const repository = new URL('../../../', import.meta.url);
const read = (path: string) => readFile(new URL(path, repository), 'utf8');
const path = (name: string) => fileURLToPath(new URL(name, repository));
const cwd = process.cwd();

const command = 'sed -i s/floor/round/ src/money.ts';
const roundInstead = { name: 'bash', arguments: { command, description: 'Round' } };

let model: ScriptedModel;
let workspace: TemporaryWorkspace;
beforeAll(async () => {
  model = await startScriptedModel({
    rules: [
      { when: { user: /^Review (\S+)/ }, reply: '{{user.1}} has no problem that matters.' },
      { when: { user: /Summarise/ }, reply: 'A summary.' },
      { when: { user: /^Count the functions/ }, reply: 'There is one.' },
      { when: { user: /^Your last answer does not fit/ }, reply: '{"functions":1}' },
      { name: 'slow', when: { user: /rounding/ }, reply: { text: 'word '.repeat(600), tokensPerSecond: 5 }, times: 1 },
      { when: { user: /rounding/ }, reply: [{ toolCalls: [roundInstead] }, 'total() cut instead of rounding; fixed.'] },
      { reply: 'Done.' },
    ],
  });
  workspace = await temporaryWorkspace({
    files: {
      'opencode.json': JSON.stringify(model.opencodeConfig()),
      'src/cart.ts': '',
      'src/money.ts': 'export const total = (x: number) => Math.floor(x);\n',
    },
  });
});
afterAll(async () => {
  process.chdir(cwd);
  vi.unstubAllEnvs();
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

/** The run that the texts show. */
const shownRun = '20261128T194245Z-tasks-e606';

/** A command as it is here: with the scripted model, and the run and the repository of this test. */
function here(text: string, run = shownRun): string {
  return (
    text
      .replaceAll('anthropic/claude-sonnet-5', 'scripted/model')
      .replaceAll(shownRun, run)
      .replaceAll(/(?<= )e606\b/g, run.slice(-4))
      // They show opencode 1.
      .replaceAll(/opencode 1(?:\.\d+){2}/g, (version) => opencodeUnderTest().by({ v1: version, v2: 'opencode 2.0.15' }))
      .replaceAll('../shop.ocm', '../repository.ocm')
      .replaceAll('/srv/shop', workspace.path)
  );
}

/** Runs a command and gives all that it says. What only looks runs in this process: node's own start is most of what it costs. */
async function said(line: string): Promise<string> {
  const [name, ...args] = line.split(' ');
  const isQuick = name === 'ocm' && !line.includes('|') && (!['run', 'resume'].includes(args[0]!) || args.includes('--explain'));
  if (!isQuick) return (await execa('bash', ['-euc', line], { all: true, reject: false, cwd: workspace.path })).all;
  const { stdout, stderr } = await runHere(...args);
  return `${stdout}${stderr}`;
}

async function expectShown({ command: line, shown }: ShownCommand, run?: string): Promise<void> {
  const came = await said(here(line, run));
  expect(
    missingLines(
      shown.map((one) => here(one, run)),
      came,
    ),
    `${line}\n${came}`,
  ).toEqual([]);
}

/** Starts a command that is killed once one task has succeeded and the other one is in flight. */
async function killedRun({ command: line, shown }: ShownCommand): Promise<void> {
  const killed = execa('bash', ['-euc', `exec ${here(line)}`], { all: true, reject: false, cwd: workspace.path });
  const output = collector();
  killed.all.pipe(output.stream);
  const hasBegun = () => {
    expect(output.text()).toMatch(/^cart {2}succeeded[^]*started money|started money[^]*^cart {2}succeeded/m);
    // A task is told as started before its prompt goes out.
    expect(model.calls.some(({ messages }) => JSON.stringify(messages).includes('rounding mistakes'))).toBe(true);
  };
  await vi.waitFor(hasBegun, { timeout: 60_000, interval: 50 });
  // Else the next attempt would get the slow answer.
  await model.waitForCalls(1, { rule: 'slow', timeoutMs: 60_000 });
  killed.kill('SIGKILL');
  await killed;
  expect(
    missingLines(
      shown.filter((text) => text !== 'Killed').map((text) => here(text)),
      output.text(),
    ),
  ).toEqual([]);
}

test("the README's commands and those of docs/runs.md run, with a scripted model in place of the provider", async () => {
  const bin = join(workspace.path, '..', 'bin');
  await mkdir(bin);
  // Stands for the installed command; the test has no key, so that the scripted provider stands in a configuration file.
  const options = `--opencode-config '${workspace.path}/opencode.json'`;
  const ocm = `#!/bin/sh\n[ "$1" = run ] && set -- "$@" ${options}\nexec '${process.execPath}' --conditions=@opencode-manager/source '${path('packages/cli/src/bin.ts')}' "$@"\n`;
  await writeFile(join(bin, 'ocm'), ocm);
  await chmod(join(bin, 'ocm'), 0o755);
  vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`);
  vi.stubEnv('ANTHROPIC_API_KEY', 'a-key-that-nobody-uses');
  process.chdir(workspace.path);
  const readme = await read('README.md');
  const snippets = blocks(readme, 'sh').filter((block) => /tasks\.jsonl|ocm run/.test(block));
  // A question alone starts nothing here: it would cost a server, and run.test.ts asks some.
  await execa('bash', ['-euc', `ocm() { command ocm "$@" --dry-run; }\n${here(snippets.join(''))}`], { cwd: workspace.path });

  const [first, ...rest] = shownCommands(readme);
  await killedRun(first!);
  const run = readdirSync(`${workspace.path}.ocm`).find((name) => name.includes('-tasks-'));
  for (const one of rest) await expectShown(one, run);
  expect(await workspace.read('src/money.ts')).toContain('Math.round');
  const text = await read('docs/runs.md');
  for (const block of blocks(text, 'yaml')) await writeFile(join(workspace.path, /^# (\S+)/.exec(block)![1]!), here(block));
  const hasJq = spawnSync('jq', ['--version']).status === 0;
  for (const one of shownCommands(text)) if (hasJq || !one.command.startsWith('jq ')) await expectShown(one, run);
}, 240_000);
