import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Ocm, originOf } from './support/ocm.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A start of a server alone may take half a minute on a machine that is busy. */
const timeout = 180_000;

let ocm: Ocm;
let url: string;
let origin: string;
let cookie: string;

/** A request with any header: `fetch` sets Host and Origin itself. */
function ask(
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const call = request(`${origin}${path}`, { method, headers, timeout: 20_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** What an event stream tells until something is among it. */
async function readUntil(from: string, headers: Record<string, string>, holds: (text: string) => boolean): Promise<string> {
  const response = await fetch(from, { headers, signal: AbortSignal.timeout(50_000) });
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
    text += chunk;
    if (holds(text)) return text;
  }
  throw new Error(`the event stream ended before: ${text.slice(-400)}`);
}

beforeAll(async () => {
  ocm = new Ocm(['playground', '--simulate', '--json']);
  url = await ocm.pageUrl();
  origin = originOf(url);
}, 120_000);

afterAll(() => ocm[Symbol.asyncDispose]());

describe('who may speak to the page', { timeout }, () => {
  it('refuses whoever has no token, for every path', async () => {
    for (const path of ['/', '/run', '/events', '/trace', '/index.html', '/?token=wrong', '/?token='])
      expect({ path, status: (await ask(path)).status }).toEqual({ path, status: 401 });
    const post = await ask('/send', { method: 'POST', headers: { origin, 'content-type': 'application/json' }, body: '{}' });
    expect(post.status).toBe(401);
  });

  it('refuses a foreign host, whatever it knows', async () => {
    const path = url.slice(origin.length);
    for (const host of ['evil.example', 'localhost', '127.0.0.1:1', `evil.example:${new URL(url).port}`])
      expect({ host, status: (await ask(path, { headers: { host } })).status }).toEqual({ host, status: 403 });
  });

  it('takes the token once, for a cookie that scripts cannot read', async () => {
    const first = await ask(url.slice(origin.length));
    expect(first.status).toBe(303);
    expect(first.headers.location).toBe('/');
    const [set] = first.headers['set-cookie'] as string[];
    expect(set).toMatch(/^ocm-playground-\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/);
    cookie = set!.split(';')[0]!;
    expect((await ask(url.slice(origin.length))).status).toBe(401);
    expect((await ask('/', { headers: { cookie } })).status).toBe(200);
    expect((await ask('/', { headers: { cookie: `${cookie}x` } })).status).toBe(401);
  });

  it('serves the page under a strict content security policy, and nothing beside it', async () => {
    const { headers, body } = await ask('/', { headers: { cookie } });
    expect(headers['content-security-policy']).toMatch(/^default-src 'self'; frame-ancestors 'none'/);
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(body).toContain('<div id="root">');
    for (const path of ['/../package.json', '/..%2f..%2fpackage.json', '//etc/passwd', '/assets/../../bin.js', '/events', '/trace']) {
      expect({ path, status: (await ask(path, { headers: { cookie } })).status }).toEqual({ path, status: 404 });
    }
  });

  it('refuses a foreign origin, and posts without one', async () => {
    const json = { cookie, 'content-type': 'application/json' };
    expect((await ask('/run', { headers: { cookie, origin: 'http://evil.example' } })).status).toBe(403);
    expect((await ask('/run', { headers: { cookie, origin: 'null' } })).status).toBe(403);
    expect((await ask('/run', { headers: { cookie, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' } })).status).toBe(403);
    expect((await ask('/send', { method: 'POST', headers: json, body: '{}' })).status).toBe(403);
    expect((await ask('/run', { headers: { cookie, origin } })).status).toBe(200);
  });

  it('takes no command where there is nothing to control', async () => {
    const body = JSON.stringify({ actor: 'ses_1', type: 'turn.abort', payload: {} });
    const { status, body: text } = await ask('/send', {
      method: 'POST',
      headers: { cookie, origin, 'content-type': 'application/json' },
      body,
    });
    expect(status).toBe(403);
    expect(JSON.parse(text)).toEqual({ message: 'This run takes no commands: it was started without --allow-control.' });
  });

  it('keeps prompts, model text and secrets to itself without --content, and takes no commands without --allow-control', async () => {
    await using model = await startScriptedModel({
      rules: [{ when: { user: 'hold' }, reply: { text: 'HIDDEN ANSWER '.repeat(2000), tokensPerSecond: 4 } }],
      default: 'HIDDEN ANSWER',
    });
    await using workspace = await temporaryWorkspace({ files: { 'opencode.json.txt': JSON.stringify(model.opencodeConfig()) } });
    const config = join(workspace.path, 'opencode.json.txt');
    const prompts = ['--prompt', 'HIDDEN PROMPT', '--prompt', 'HIDDEN PROMPT, hold'];
    await using run = new Ocm(['run', ...prompts, '--json', '--playground', '--directory', workspace.path, '--opencode-config', config]);
    const page = await run.pageUrl();
    const entered = await fetch(page, { redirect: 'manual' });
    const headers = { cookie: entered.headers.getSetCookie()[0]!.split(';')[0]! };
    const told = await readUntil(
      `${originOf(page)}/events`,
      headers,
      (text) => text.includes('"task.finished"') && /"deltas":[1-9]/.test(text),
    );
    expect(told).toContain('"message.finalised"');
    expect(told).not.toMatch(/HIDDEN/);
    expect(told).not.toMatch(/password|authorization/i);
    const refused = await fetch(`${originOf(page)}/send`, {
      method: 'POST',
      headers: { ...headers, origin: originOf(page), 'content-type': 'application/json' },
      body: '{}',
    });
    expect(refused.status).toBe(403);
  });

  it('refuses a file that is no trace, and flags that mean nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ocm-playground-'));
    const file = join(directory, 'notes.txt');
    await writeFile(file, 'just notes\n');
    await using refused = new Ocm(['playground', file]);
    expect(await refused.exit).toBe(2);
    expect(refused.stderr).toContain('is not a trace of the playground');
    await using useless = new Ocm(['demo', '--allow-control']);
    expect(await useless.exit).toBe(2);
    expect(useless.stderr).toContain('--allow-control belongs to --playground');
    await rm(directory, { recursive: true });
  });
});
