import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser } from './support/browser.ts';
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
/** What the page's own requests carry, once it has entered. */
let access: { readonly authorization: string };

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

/** Another program's page on this machine, with all that browsers send it. */
async function otherPort(): Promise<AsyncDisposable & { readonly origin: string; readonly seen: readonly object[] }> {
  const seen: object[] = [];
  const server = createServer((one, answer) => {
    seen.push({ url: one.url, headers: one.headers });
    answer.setHeader('content-type', 'text/html').end('<title>Other</title>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
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

function ticketOf(address: string): string {
  return new URLSearchParams(new URL(address).hash.slice(1)).get('token') ?? '';
}

/** Enters as the page does; gives what its requests carry. */
async function enter(address: string): Promise<{ readonly authorization: string }> {
  const headers = { origin: originOf(address), authorization: `Bearer ${ticketOf(address)}` };
  const response = await fetch(`${originOf(address)}/enter`, { method: 'POST', headers });
  return { authorization: `Bearer ${((await response.json()) as { token: string }).token}` };
}

beforeAll(async () => {
  ocm = new Ocm(['playground', '--simulate', '--json']);
  url = await ocm.pageUrl();
  origin = originOf(url);
}, 120_000);

afterAll(() => ocm[Symbol.asyncDispose]());

describe('who may speak to the page', { timeout }, () => {
  it('gives the page itself to anybody, and nothing of a run without the token', async () => {
    for (const path of ['/', '/index.html']) expect((await ask(path)).status).toBe(200);
    const ticket = ticketOf(url);
    const headers = { authorization: `Bearer ${ticket}` };
    for (const path of ['/run', '/events', '/trace', `/run?token=${ticket}`, '/enter', '/nothing'])
      expect({ path, status: (await ask(path)).status }).toEqual({ path, status: 401 });
    // The ticket of the address opens nothing by itself, nor does a cookie.
    expect((await ask('/run', { headers })).status).toBe(401);
    expect((await ask('/run', { headers: { cookie: `ocm-playground=${ticket}` } })).status).toBe(401);
    const post = await ask('/send', { method: 'POST', headers: { origin, 'content-type': 'application/json' }, body: '{}' });
    expect(post.status).toBe(401);
  });

  it('refuses a foreign host, whatever it knows', async () => {
    for (const host of ['evil.example', 'localhost', '127.0.0.1:1', `evil.example:${new URL(url).port}`])
      expect({ host, status: (await ask('/', { headers: { host } })).status }).toEqual({ host, status: 403 });
  });

  it('takes the ticket of the address once, for a token', async () => {
    const exchange = (ticket: string) => ask('/enter', { method: 'POST', headers: { origin, authorization: `Bearer ${ticket}` } });
    expect((await exchange('wrong')).status).toBe(401);
    expect((await ask('/enter', { method: 'POST', headers: { authorization: `Bearer ${ticketOf(url)}` } })).status).toBe(403);
    const first = await exchange(ticketOf(url));
    expect(first.status).toBe(200);
    expect(first.headers['set-cookie']).toBeUndefined();
    const { token } = JSON.parse(first.body) as { token: string };
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(token).not.toBe(ticketOf(url));
    expect((await exchange(ticketOf(url))).status).toBe(401);
    access = { authorization: `Bearer ${token}` };
    expect((await ask('/run', { headers: access })).status).toBe(200);
    for (const authorization of [`${access.authorization}x`, token, `Basic ${token}`, 'Bearer '])
      expect({ authorization, status: (await ask('/run', { headers: { authorization } })).status }).toEqual({ authorization, status: 401 });
  });

  it('serves the page under a strict content security policy, and nothing beside it', async () => {
    const { headers, body } = await ask('/', { headers: access });
    expect(headers['content-security-policy']).toMatch(/^default-src 'self'; frame-ancestors 'none'/);
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(body).toContain('<div id="root">');
    for (const path of ['/../package.json', '/..%2f..%2fpackage.json', '//etc/passwd', '/assets/../../bin.js', '/events', '/trace']) {
      expect({ path, status: (await ask(path, { headers: access })).status }).toEqual({ path, status: 404 });
    }
  });

  it('refuses a foreign origin, and posts without one', async () => {
    const json = { ...access, 'content-type': 'application/json' };
    expect((await ask('/run', { headers: { ...access, origin: 'http://evil.example' } })).status).toBe(403);
    expect((await ask('/run', { headers: { ...access, origin: 'null' } })).status).toBe(403);
    expect((await ask('/run', { headers: { ...access, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' } })).status).toBe(403);
    expect((await ask('/run', { headers: { ...access, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' } })).status).toBe(403);
    expect((await ask('/send', { method: 'POST', headers: json, body: '{}' })).status).toBe(403);
    expect((await ask('/run', { headers: { ...access, origin } })).status).toBe(200);
  });

  it('takes no command where there is nothing to control', async () => {
    const body = JSON.stringify({ actor: 'ses_1', type: 'turn.abort', payload: {} });
    const { status, body: text } = await ask('/send', {
      method: 'POST',
      headers: { ...access, origin, 'content-type': 'application/json' },
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
    const headers = await enter(page);
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

  it('lets the page of another port neither see nor use what this page has', async () => {
    await using run = new Ocm(['playground', '--simulate', '--json']);
    const address = await run.pageUrl();
    const target = originOf(address);
    await using browsing = await openBrowser();
    const { page, context } = browsing;
    const asked: string[] = [];
    page.on('request', (one) => asked.push(one.url()));
    await page.goto(address);
    await expect
      .poll(() => page.evaluate(() => sessionStorage.getItem('ocm-playground-token')), { timeout: 30_000 })
      .toMatch(/^[\w-]{43}$/);
    const token = (await page.evaluate(() => sessionStorage.getItem('ocm-playground-token')))!;
    expect(page.url()).toBe(`${target}/`);
    expect(await context.cookies()).toEqual([]);
    for (const one of asked.filter((seen) => new URL(seen).hash === ''))
      expect(one).not.toMatch(new RegExp(`${token}|${ticketOf(address)}`));
    expect(browsing.complaints).toEqual([]);

    await using other = await otherPort();
    const intruder = await context.newPage();
    await intruder.goto(other.origin);
    expect(JSON.stringify(other.seen)).not.toMatch(new RegExp(`cookie|${token}|${ticketOf(address)}`));
    expect(await intruder.evaluate(() => [document.cookie, sessionStorage.length, localStorage.length])).toEqual(['', 0, 0]);
    const tries = await intruder.evaluate(
      async ([to, known]) => {
        const outcome = (work: Promise<Response>) => work.then((answer) => `${answer.type} ${answer.status}`).catch(() => 'refused');
        return {
          plain: await outcome(fetch(`${to}/run`, { credentials: 'include' })),
          blind: await outcome(fetch(`${to}/run`, { credentials: 'include', mode: 'no-cors' })),
          // Even one who has learned the token cannot send it from another origin.
          withToken: await outcome(fetch(`${to}/run`, { headers: { authorization: `Bearer ${known}` } })),
          command: await outcome(fetch(`${to}/send`, { method: 'POST', body: '{}', credentials: 'include', mode: 'no-cors' })),
          stream: await new Promise((resolve) => {
            const source = new EventSource(`${to}/events`, { withCredentials: true });
            source.addEventListener('open', () => resolve('opened'));
            source.addEventListener('error', () => resolve('refused'));
          }),
        };
      },
      [target, token] as const,
    );
    expect(tries).toEqual({ plain: 'refused', blind: 'refused', withToken: 'refused', command: 'refused', stream: 'refused' });
    await page.reload();
    await expect.poll(() => page.getByTestId('mode').textContent(), { timeout: 30_000 }).toContain('Simulation');
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
