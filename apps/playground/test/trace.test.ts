import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatTrace, parseTrace, type RunRecord } from '../src/trace/format.ts';
import { play } from './support/play.ts';
import { openBrowser, type Browsing } from './support/browser.ts';
import { Ocm } from './support/ocm.ts';

let directory: string;
let file: string;
let records: readonly RunRecord[];
let browsing: Browsing;

beforeAll(async () => {
  browsing = await openBrowser();
  directory = await mkdtemp(join(tmpdir(), 'ocm-playground-'));
  file = join(directory, 'trace.jsonl');
  ({ records } = await play('quota', 4000));
  const header = { format: 'opencode-manager-trace', version: 1, title: 'Three quotas', source: 'simulation', content: true } as const;
  await writeFile(file, formatTrace({ header, records }));
}, 120_000);

afterAll(async () => {
  await browsing?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

describe('trace files', { timeout: 180_000 }, () => {
  it('are read back as they were written, and refused by line when they are not', async () => {
    const text = await readFile(file, 'utf8');
    expect(parseTrace(text).records).toEqual(JSON.parse(JSON.stringify(records)));
    expect(() => parseTrace('{}\n')).toThrow('Line 1 is not the header of a trace');
    expect(() => parseTrace(`${text}{"actor":1}\n`)).toThrow(`Line ${records.length + 2} is not a record of a run.`);
    expect(() => parseTrace(`${text}nonsense\n`)).toThrow(`Line ${records.length + 2} is not JSON.`);
    // The last line of a file whose writer was killed.
    expect(parseTrace(`${text}{"seq":`).records.length).toBe(records.length);
  });

  it('are shown by the command, and replayed', async () => {
    await using ocm = new Ocm(['playground', file, '--json']);
    const { page, complaints } = browsing;
    await page.goto(await ocm.pageUrl());
    await expect.poll(() => page.getByTestId('mode').textContent(), { timeout: 30_000 }).toBe('Trace');
    await expect.poll(() => page.locator('.cell[data-path="error"]').count(), { timeout: 30_000 }).toBe(3);
    expect(await page.locator('.title-text').textContent()).toContain('Three quotas');
    await expect.poll(() => page.getByTestId('log-count').textContent()).toBe(String(records.length));
    await page.getByTestId('scrubber').fill('1');
    await expect.poll(() => page.locator('.cell').count(), { timeout: 30_000 }).toBe(0);
    await page.getByTestId('speed').selectOption('20');
    await page.getByTestId('play').click();
    await expect
      .poll(() => page.locator('.cell[data-path="error"]').count(), { timeout: 30_000, message: 'the replay reaches the end' })
      .toBe(3);
    expect(complaints).toEqual([]);
  });

  it('bring their own charts, when they were recorded with other machines', async () => {
    const definition = (id: string, states: readonly string[]) => ({
      id,
      key: id,
      type: 'compound',
      initial: { target: [`#${id}.${states[0]}`] },
      always: [],
      transitions: [],
      states: Object.fromEntries(
        states.map((key) => [
          key,
          {
            id: `${id}.${key}`,
            key,
            type: 'atomic',
            states: {},
            always: [],
            transitions: [{ eventType: 'tick', source: `#${id}.${key}`, target: [`#${id}.${states[1]}`] }],
          },
        ]),
      ),
    });
    const machines = { session: definition('lamp', ['dark', 'lit']), pool: definition('house', ['empty', 'full']) };
    const header = { format: 'opencode-manager-trace', version: 1, title: 'Lamps', source: 'simulation', content: true, machines } as const;
    const lamp = { actor: 'lamp-1', from: 'user', to: 'session', type: 'tick' } as const;
    const other = join(directory, 'other.jsonl');
    await writeFile(
      other,
      formatTrace({
        header,
        records: [
          { ...lamp, seq: 1, atMs: 0, path: 'dark' },
          { ...lamp, seq: 2, atMs: 5, path: 'lit' },
        ],
      }),
    );
    await using ocm = new Ocm(['playground', other, '--json']);
    const { page, complaints } = browsing;
    await page.goto(await ocm.pageUrl());
    await page.locator('[data-node="lit"][data-leaf="true"]').waitFor();
    expect(await page.locator('.edge').count()).toBe(2);
    expect(complaints).toEqual([]);
  });

  it('open from disk on a page that simulates', async () => {
    await using ocm = new Ocm(['playground', '--simulate', '--json']);
    const { page } = browsing;
    await page.goto(await ocm.pageUrl());
    await page.getByTestId('chart').waitFor();
    // So fast that the file comes while the simulation is at work: it adds nothing to the trace.
    await page.getByTestId('speed').selectOption('20');
    await page.getByTestId('trace-file').setInputFiles(file);
    await expect.poll(() => page.locator('.cell[data-path="error"]').count(), { timeout: 30_000 }).toBe(3);
    await expect.poll(() => page.getByTestId('log-count').textContent(), { timeout: 30_000 }).toBe(String(records.length));
    const broken = join(directory, 'broken.jsonl');
    await writeFile(broken, 'nothing\n');
    await page.getByTestId('trace-file').setInputFiles(broken);
    await expect.poll(() => page.getByRole('alert').textContent(), { timeout: 30_000 }).toContain('Line 1 is not JSON.');
    expect(await page.getByTestId('mode').textContent()).toBe('Trace');
  });
});
