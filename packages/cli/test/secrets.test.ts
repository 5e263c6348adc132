import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openBench, passwordOf, recordingPasswords, runClient, type Bench, type Running } from './support/ocm.ts';
import { runHere } from './support/terminal.ts';

/** Values as they come to a run, each by its own way. */
const kinds = {
  'a variable in the configuration': 'sk-env-0123456789abcdef',
  'a file in the configuration': 'sk-file-+/=ü-9876543210',
  'a key in the configuration': 'lit-key',
  'a password in a URL': 'p4ss/w0rd',
  'a key of the auth file': 'sk-auth-00112233445566',
  'a passed variable by its name': 'tok3n',
  'a passed variable by its length': 'a-value-of-mine-12345',
  'a text in a JSON value': 'inside-json-secret-77',
} as const;

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** All of them, in every form in which a model or a provider may repeat them. */
const repeated = Object.values(kinds)
  .flatMap((value) => [value, encodeURIComponent(value), JSON.stringify(value)])
  .join(' and ');
const authorization = `Basic ${base64(`someone:${kinds['a variable in the configuration']}`)}`;

let bench: Bench;
let outFile: string;
let args: string[];
/** What left the process, by the way that it took. */
const ways: Record<string, string> = {};
let password = '';

beforeAll(async () => {
  bench = await openBench({
    rules: [
      { when: { user: 'repeat them' }, reply: `Here: ${repeated} ${authorization}` },
      { when: { user: 'refuse me' }, reply: { error: { status: 401, message: `Incorrect API key provided: ${repeated}` } } },
    ],
  });
  Object.assign(env, await recordingPasswords(bench));
  outFile = join(bench.root, 'out.jsonl');
  args = await serverArguments();
  await collectRun();
  await collectServe();
  vi.unstubAllEnvs();
  await collectBrokenConfiguration();
}, 240_000);
afterAll(() => bench[Symbol.asyncDispose]());

async function serverArguments(): Promise<string[]> {
  const put = async (name: string, content: string | object) => {
    const path = join(bench.root, name);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const keyFile = await put('key', `${kinds['a file in the configuration']}\n`);
  const base = bench.model.opencodeConfig();
  const scripted = base.provider['scripted'] as { options: object };
  const options = { ...scripted.options, apiKey: '{env:SOME_NAME}', headers: { 'X-Own': kinds['a passed variable by its length'] } };
  const url = `https://someone:${encodeURIComponent(kinds['a password in a URL'])}@mcp.example.invalid/`;
  const configFile = await put('opencode.json', {
    ...base,
    provider: { ...base.provider, scripted: { ...scripted, options } },
    mcp: {
      file: {
        type: 'local',
        command: ['true', '--note', 'x'],
        environment: { X_TOKEN: `{file:${keyFile}}`, Y_KEY: kinds['a key in the configuration'] },
        enabled: false,
      },
      url: { type: 'remote', url, enabled: false },
    },
  });
  const authFile = await put('auth.json', { elsewhere: { type: 'api', key: kinds['a key of the auth file'] } });
  const serverConfig = await put('server.json', {
    env: {
      SOME_NAME: kinds['a variable in the configuration'],
      FROM_FILE: (await readFile(keyFile, 'utf8')).trim(),
      JSON_VALUE: JSON.stringify({ nested: [{ note: kinds['a text in a JSON value'] }] }),
      PLAIN: kinds['a passed variable by its length'],
    },
    passEnv: ['SHORT_TOKEN'],
  });
  const files = ['--opencode-config', configFile, '--config', serverConfig, '--auth-file', authFile];
  return ['--directory', bench.workspace.path, '--model', 'scripted/model', ...files];
}

const env: NodeJS.ProcessEnv = { SHORT_TOKEN: kinds['a passed variable by its name'] };
const start = (...line: string[]): Running => bench.start(line, { env });

async function collectRun(): Promise<void> {
  const tasks = join(bench.root, 'tasks.jsonl');
  const shell = 'env; printf "%s" "$FROM_FILE" | base64 -w0';
  const lines = [
    { id: 'repeated', prompt: 'repeat them' },
    { id: 'refused', prompt: 'refuse me' },
    { id: 'shown', shell },
  ];
  await writeFile(tasks, lines.map((line) => JSON.stringify({ ...line, metadata: { note: repeated } })).join('\n'));
  await using run = start('run', tasks, ...args, '--json', '--out', outFile, '--playground', '--content', '--concurrency', '1');
  const launch = await run.record('launch');
  password = await passwordOf(bench, launch['server'].pid);
  const { url } = await run.record('playground');
  const page = readPage(url as string);
  expect(await run.exit, run.stderr).toBe(1);
  ways['the records of ocm run'] = run.stdout;
  ways['the progress lines of ocm run'] = run.stderr;
  ways['the page and its journal'] = await page;
  ways['the file of --out'] = await readFile(outFile, 'utf8');
  await using text = start('run', tasks, ...args);
  expect(await text.exit, text.stderr).toBe(1);
  ways['the text of ocm run'] = text.stdout + text.stderr;
}

/** Everything that the page is told, to its end. */
async function readPage(address: string): Promise<string> {
  const { origin, hash } = new URL(address);
  const entered = await fetch(`${origin}/enter`, { method: 'POST', headers: { origin, authorization: `Bearer ${hash.split('=')[1]}` } });
  const { token } = (await entered.json()) as { token: string };
  const headers = { authorization: `Bearer ${token}` };
  const info = await (await fetch(`${origin}/run`, { headers })).text();
  return info + (await (await fetch(`${origin}/events`, { headers })).text());
}

async function collectServe(): Promise<void> {
  await using serve = start('serve', ...args, '--profile', 'batch', '--json');
  await serve.record('launch');
  await using events = start('events', '--json');
  const ask = async (...line: string[]) => {
    const { stdout, stderr } = await runClient(bench, ...line);
    return stdout + stderr;
  };
  // It hears nothing of what is over before it listens.
  await vi.waitFor(
    async () => {
      await ask('shell', 'new', 'true');
      expect(events.stdout).not.toBe('');
    },
    { timeout: 20_000, interval: 200 },
  );
  ways['ocm prompt --json'] = await ask('prompt', 'new', 'repeat them', '--json');
  ways['ocm prompt'] = (await ask('prompt', 'new', 'repeat them')) + (await ask('prompt', 'new', 'refuse me'));
  ways['ocm shell'] = await ask('shell', 'new', 'env');
  ways['ocm sessions'] = await ask('sessions', '--json');
  events.signal('SIGINT');
  await events.exit;
  ways['ocm events'] = events.stdout;
  serve.signal('SIGTERM');
  await serve.exit;
  ways['ocm serve'] = serve.stdout + serve.stderr;
}

/** opencode repeats what stands in a field that it refuses. */
async function collectBrokenConfiguration(): Promise<void> {
  const broken = join(bench.root, 'broken.json');
  const config = {
    model: 'scripted/model',
    command: { a: { template: ['{env:FROM_FILE}', '{env:SOME_NAME}', '{env:SHORT_TOKEN}', '{env:PLAIN}'] } },
  };
  await writeFile(broken, JSON.stringify(config));
  await using run = start('run', '--prompt', 'x', ...args, '--opencode-config', broken, '--json');
  expect(await run.exit).toBe(2);
  expect(run.stderr).toContain('OPENCODE_CONFIG_INVALID');
  ways['the error of a broken configuration'] = run.stdout + run.stderr;
  const list = join(bench.root, 'list.json');
  await writeFile(list, JSON.stringify({ env: Object.values(kinds).map((value) => `KEY=${value}`) }));
  const refused = [['--config', list, '--json']];
  for (const value of Object.values(kinds)) refused.push(['--pass-env', `KEY=${value}`, '--json'], [`--api-key=${value}`]);
  ways['the error of a refused option'] = '';
  for (const options of refused) {
    const { exitCode, stdout, stderr } = await runHere('run', '--prompt', 'x', ...options);
    expect(exitCode).toBe(2);
    ways['the error of a refused option'] += stdout + stderr;
  }
}

const names = [
  'the records of ocm run', 'the progress lines of ocm run', 'the page and its journal', 'the file of --out', 'the text of ocm run',
  'ocm prompt --json', 'ocm prompt', 'ocm shell', 'ocm sessions', 'ocm events', 'ocm serve',
  'the error of a broken configuration', 'the error of a refused option',
]; // prettier-ignore

describe.each(names)('%s', (name) => {
  test('tells something', () => {
    expect(ways[name]!.length).toBeGreaterThan(50);
  });

  test.each(Object.entries(kinds))('tells not %s', (_kind, value) => {
    const forms = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), base64(value).slice(4, -4)];
    for (const form of forms.filter((one) => one.length >= 4)) expect(excerpt(ways[name]!, form)).toBeUndefined();
  });

  test("tells not the server's password, nor a header", () => {
    for (const form of [password, base64(`opencode-manager:${password}`), authorization])
      expect(excerpt(ways[name]!, form)).toBeUndefined();
  });
});

/** Where a text gives something away; shorter than the whole of it, for the message of a failure. */
function excerpt(text: string, form: string): string | undefined {
  const at = text.indexOf(form);
  return at === -1 ? undefined : text.slice(Math.max(0, at - 200), at + 100);
}

test('a result counts what was taken out of it', async () => {
  const results = (await readFile(outFile, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; outcome: string; redacted?: number; output: string });
  expect(results.map(({ id, outcome }) => [id, outcome])).toEqual([
    ['repeated', 'succeeded'],
    ['refused', 'failed'],
    ['shown', 'succeeded'],
  ]);
  for (const { redacted } of results) expect(redacted).toBeGreaterThanOrEqual(Object.keys(kinds).length * 3);
  expect(results[0]!.output).toMatch(/^Here: \[redacted\] and \[redacted\] and "\[redacted\]" and /);
});
