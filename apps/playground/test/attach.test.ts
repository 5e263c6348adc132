import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  startScriptedModel,
  temporaryWorkspace,
  type Script,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser, type Browsing } from './support/browser.ts';
import { Ocm } from './support/ocm.ts';

/** What a turn, or the start of a server, may take here while other work fills the machine. */
const turnMs = 60_000;

const options = [
  { label: 'Postgres', description: 'A server' },
  { label: 'SQLite', description: 'A file' },
];

const script: Script = {
  rules: [
    { when: { user: 'Ask me', toolResult: /\S/ }, reply: 'You said: {{toolResult}}' },
    {
      when: { user: 'Ask me' },
      reply: {
        toolCalls: [{ name: 'question', arguments: { questions: [{ header: 'Storage', question: 'Which database?', options }] } }],
      },
    },
  ],
  default: 'Done.',
};

let directory: string;
let workspace: TemporaryWorkspace | undefined;
let model: ScriptedModel | undefined;
let serve: Ocm | undefined;
let watch: Ocm | undefined;
let browsing: Browsing;
const page = () => browsing.page;
const byTest = (id: string) => page().getByTestId(id);
const stateOf = (id: string) => byTest(`${id}-state`).textContent();
const cellsIn = (path: string) => page().locator(`.cell[data-path="${path}"]`);
const logCount = async () => Number(await byTest('log-count').textContent());
const filterLog = (text: string) => page().getByRole('searchbox', { name: 'Filter events by text' }).fill(text);

/** A run of its own: managers of other tests must not be found. */
const ocm = (...args: string[]) => new Ocm(args, { TMPDIR: directory });

/** Sends an event of the chosen actor, with a payload when one is given. */
async function send(event: string, payload?: object): Promise<void> {
  await page().getByRole('tab', { name: 'Send' }).click();
  await page().getByRole('button', { name: event, exact: true }).click();
  if (payload) await byTest('payload').fill(JSON.stringify(payload));
  await byTest('send').click();
}

beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'ocm-pg-')));
  workspace = await temporaryWorkspace({ files: { 'README.md': '# Served\n' } });
  model = await startScriptedModel(script);
  const write = async (name: string, value: unknown) => {
    await writeFile(join(directory, name), JSON.stringify(value));
    return join(directory, name);
  };
  const config = await write('opencode.json', model.opencodeConfig());
  const rules = await write('rules.json', [{ permission: '*', action: 'escalate' }]);
  serve = ocm('serve', '--json', '--opencode-config', config, '--permissions', rules, '--directory', workspace.path, '--playground');
  browsing = await openBrowser();
  // The page of ocm serve itself; the tests look at one that comes later.
  await serve.pageUrl();
}, 180_000);

afterAll(async () => {
  await browsing?.[Symbol.asyncDispose]();
  await watch?.[Symbol.asyncDispose]();
  await serve?.[Symbol.asyncDispose]();
  await model?.stop();
  await workspace?.remove();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

describe('a page for a running ocm serve', { timeout: 3 * turnMs }, () => {
  it('is opened by ocm playground, through the socket, and shows every actor as it is', async () => {
    watch = ocm('playground', '--json', '--allow-control', '--content');
    await page().goto(await watch.pageUrl());
    await byTest('chart').waitFor();
    await expect.poll(() => stateOf('pool'), { timeout: turnMs }).toBe('pool running');
    expect(await stateOf('server')).toBe('server ready');
    expect(await byTest('mode').textContent()).toBe('Live · connected');
    expect(await page().locator('.title-text').textContent()).toBe('ocm serve');
  });

  it('queues a task, and answers the question of its turn in words of its own', async () => {
    await byTest('pool-state').click();
    await send('task.queued', { prompt: 'Ask me' });
    await expect.poll(() => cellsIn('active.awaitingInput').count(), { timeout: turnMs, message: 'a turn that asks' }).toBe(1);
    await cellsIn('active.awaitingInput').click();
    const form = byTest('question');
    await expect.poll(() => form.textContent(), { timeout: turnMs, message: 'the question' }).toContain('Storage: Which database?');
    expect(await form.getByRole('radio').count()).toBe(2);
    await form.getByRole('textbox', { name: 'Answer to: Which database?' }).fill('Neither, a text file');
    await byTest('answer').click();
    await expect.poll(() => cellsIn('idle').count(), { timeout: turnMs, message: 'the end of the turn' }).toBe(1);
    await filterLog('You said');
    await expect.poll(logCount, { timeout: turnMs, message: 'the answer that the model saw' }).toBeGreaterThan(0);
    await page().locator('.rows tbody tr').first().click();
    await expect.poll(() => byTest('detail').textContent()).toContain('Neither, a text file');
    await filterLog('');
  });

  it('runs a prompt on the session that is idle, and answers by a choice', async () => {
    await cellsIn('idle').click();
    await send('turn.submit', { prompt: 'Ask me again: Ask me' });
    await expect.poll(() => cellsIn('active.awaitingInput').count(), { timeout: turnMs, message: 'a turn that asks' }).toBe(1);
    await byTest('question').getByRole('radio', { name: 'SQLite' }).check();
    await byTest('answer').click();
    await expect.poll(() => cellsIn('idle').count(), { timeout: turnMs, message: 'the end of the turn' }).toBe(1);
    await page().getByRole('tab', { name: 'Context' }).click();
    await expect
      .poll(async () => JSON.parse((await byTest('context').textContent()) ?? '{}') as object, { timeout: turnMs })
      .toMatchObject({ turn: null, turns: 2, lastTurn: { outcome: 'succeeded' } });
  });

  it('refuses what no run can be told, and says why', async () => {
    await page().getByRole('tab', { name: 'Send' }).click();
    await byTest('pool-state').click();
    await send('task.queued', { words: 'none' });
    await expect.poll(() => page().getByRole('alert').textContent(), { timeout: turnMs }).toContain('This payload cannot be sent: prompt');
    await page().getByRole('button', { name: 'Dismiss' }).click();
    await page().locator('.others summary').click();
    expect(await page().locator('.others').getByRole('button', { name: 'turn.ended' }).isDisabled()).toBe(true);
  });

  it('rotates the server, and shows a killed one come back', async () => {
    await page().getByRole('tab', { name: 'Faults' }).click();
    await page().getByRole('button', { name: 'Rotate the server' }).click();
    await expect
      .poll(() => byTest('server-line').textContent(), { timeout: turnMs, message: 'the next generation' })
      .toContain('generation 2 · 1 rotated');
    await page().getByRole('button', { name: 'Kill the server' }).click();
    await expect
      .poll(() => byTest('server-line').textContent(), { timeout: turnMs, message: 'the one after that' })
      .toContain('generation 3 · 1 restarted · 1 rotated');
    await expect.poll(() => stateOf('pool'), { timeout: turnMs }).toBe('pool running');
    await expect.poll(() => page().locator('.pip[data-used="true"]').count(), { timeout: turnMs }).toBe(1);
    await filterLog('server.lost');
    await expect.poll(logCount, { timeout: turnMs }).toBeGreaterThan(0);
    await filterLog('');
  });

  it('ends with its command, and the manager goes on', async () => {
    watch!.child.kill('SIGINT');
    expect(await watch!.exit).toBe(0);
    await expect.poll(() => byTest('mode').textContent(), { timeout: turnMs }).toBe('Live · run ended');
    await using sessions = ocm('sessions', '--json');
    expect(await sessions.exit).toBe(0);
    expect(sessions.lines.length).toBeGreaterThan(0);
    expect(browsing.complaints.filter((text) => !text.includes('409'))).toEqual([]);
  });

  it('is a simulation when there is no manager', async () => {
    const empty = await mkdtemp(join(directory, 'none-'));
    await using alone = new Ocm(['playground', '--json'], { TMPDIR: empty });
    await page().goto(await alone.pageUrl());
    await expect.poll(() => byTest('mode').textContent(), { timeout: turnMs }).toBe('Simulation');
  });
});
