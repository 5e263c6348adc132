import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A real opencode server for this package's own tests. The project's launcher lives in core, which depends on this
 * package, so the tests start the binary themselves with the same isolation.
 */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  createSession(body?: Record<string, unknown>): Promise<string>;
  /** Runs a prompt to its end and resolves with the final assistant message. */
  prompt(sessionId: string, text: string): Promise<Message>;
  promptAsync(sessionId: string, text: string): Promise<void>;
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Events since the start, of every session. */
  readonly events: readonly ServerEvent[];
}

interface ServerEvent {
  readonly type: string;
  readonly properties: {
    readonly sessionID?: string;
    readonly status?: { readonly type: string; readonly attempt?: number; readonly message?: string };
    readonly [key: string]: unknown;
  };
}

export interface Message {
  readonly info: {
    readonly role: string;
    readonly finish?: string;
    readonly error?: { readonly name: string; readonly data: { readonly message?: string; readonly statusCode?: number } };
    readonly tokens?: Record<string, unknown>;
  };
  readonly parts: readonly {
    readonly type: string;
    readonly text?: string;
    readonly tool?: string;
    readonly state?: { readonly status: string; readonly output?: string; readonly error?: string };
  }[];
}

export interface TestServerOptions {
  readonly directory: string;
  readonly config: Record<string, unknown>;
  /** Files of the opencode configuration directory, by path. */
  readonly configFiles?: Readonly<Record<string, string>>;
}

export function textOf(message: Message): string {
  return message.parts
    .filter(({ type }) => type === 'text')
    .map(({ text }) => text)
    .join('');
}

export async function startOpencode({ directory, config, configFiles = {} }: TestServerOptions): Promise<TestServer> {
  const root = await mkdtemp(join(tmpdir(), 'opencode-manager-testing-'));
  await prepareRoot(root, config, configFiles);
  const port = await freePort();
  const child = spawn(await findBinary(), ['serve', '--hostname', '127.0.0.1', '--port', String(port)], {
    cwd: directory,
    env: environment(root),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A test run that ends in the middle leaves no server behind.
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const stop = async () => {
    process.removeListener('exit', killWithUs);
    await endProcess(child);
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await readyLine(child);
    return connect(`http://127.0.0.1:${port}`, directory, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function prepareRoot(root: string, config: Record<string, unknown>, configFiles: Readonly<Record<string, string>>): Promise<void> {
  for (const name of ['home', 'config/opencode', 'data', 'cache', 'state', 'run', 'tmp', 'managed'])
    await mkdir(join(root, name), { recursive: true });
  const settings = { autoupdate: false, share: 'disabled', snapshot: false, lsp: false, formatter: false, ...config };
  await writeFile(join(root, 'opencode.json'), JSON.stringify(settings));
  await writeFile(join(root, 'gitconfig'), '');
  for (const [path, content] of Object.entries(configFiles)) {
    await mkdir(dirname(join(root, 'config/opencode', path)), { recursive: true });
    await writeFile(join(root, 'config/opencode', path), content);
  }
}

function environment(root: string): Record<string, string> {
  const switches = [
    'DISABLE_PROJECT_CONFIG',
    'DISABLE_CLAUDE_CODE',
    'DISABLE_EXTERNAL_SKILLS',
    'DISABLE_DEFAULT_PLUGINS',
    'DISABLE_AUTOUPDATE',
    'DISABLE_MODELS_FETCH',
    'DISABLE_LSP_DOWNLOAD',
    'DISABLE_SHARE',
    'DISABLE_EMBEDDED_WEB_UI',
    'EXPERIMENTAL_DISABLE_FILEWATCHER',
  ];
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    LANG: 'C.UTF-8',
    SHELL: '/bin/bash',
    HOME: join(root, 'home'),
    XDG_CONFIG_HOME: join(root, 'config'),
    XDG_DATA_HOME: join(root, 'data'),
    XDG_CACHE_HOME: join(root, 'cache'),
    XDG_STATE_HOME: join(root, 'state'),
    XDG_RUNTIME_DIR: join(root, 'run'),
    TMPDIR: join(root, 'tmp'),
    OPENCODE_CONFIG: join(root, 'opencode.json'),
    OPENCODE_TEST_MANAGED_CONFIG_DIR: join(root, 'managed'),
    OPENCODE_CLIENT: 'opencode-manager-testing',
    npm_config_offline: 'true',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(root, 'gitconfig'),
    ...Object.fromEntries(switches.map((name) => [`OPENCODE_${name}`, '1'])),
  };
}

/** The pinned binary of the repository, never one that happens to be on PATH. */
async function findBinary(): Promise<string> {
  const store = fileURLToPath(new URL('../../../../node_modules/.pnpm/', import.meta.url));
  const platform = `opencode-${process.platform}-${process.arch}`;
  const entry = (await readdir(store)).find((name) => name.startsWith(`${platform}@`));
  if (entry === undefined) throw new Error(`The package ${platform} is not installed in ${store}.`);
  return join(store, entry, 'node_modules', platform, 'bin/opencode');
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Requests sent before this line hang for ever. */
async function readyLine(child: ChildProcess): Promise<void> {
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`opencode was not ready in 30 s: ${output}`)), 30_000);
    const settle = (act: () => void) => {
      clearTimeout(timer);
      act();
    };
    const read = (data: Buffer) => {
      output += data.toString();
      if (output.includes('opencode server listening on')) settle(resolve);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', (code) => settle(() => reject(new Error(`opencode ended with ${code}: ${output}`))));
  });
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

function promptBody(text: string) {
  return { parts: [{ type: 'text', text }] };
}

function connect(url: string, directory: string, stop: () => Promise<void>): TestServer {
  const events: ServerEvent[] = [];
  const closing = new AbortController();
  const reading = readEvents(`${url}/global/event`, events, closing.signal);
  const request = <T>(method: string, path: string, body?: unknown) => call<T>(`${url}${path}`, method, directory, body);
  return {
    url,
    directory,
    events,
    request,
    createSession: async (body = {}) => (await request<{ id: string }>('POST', '/session', body)).id,
    prompt: (sessionId, text) => request('POST', `/session/${sessionId}/message`, promptBody(text)),
    promptAsync: (sessionId, text) => request('POST', `/session/${sessionId}/prompt_async`, promptBody(text)),
    [Symbol.asyncDispose]: async () => {
      // Ends tool children, which a kill of the server does not reach.
      await request('POST', '/global/dispose').catch(() => undefined);
      closing.abort();
      await reading;
      await stop();
    },
  };
}

async function call<T>(url: string, method: string, directory: string, body: unknown): Promise<T> {
  const target = new URL(url);
  target.searchParams.set('directory', directory);
  const response = await fetch(target, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(45_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${target.pathname}: ${response.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

async function readEvents(url: string, events: ServerEvent[], signal: AbortSignal): Promise<void> {
  try {
    const response = await fetch(url, { signal });
    let rest = '';
    for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      const records = (rest + chunk).split('\n\n');
      rest = records.pop() ?? '';
      for (const record of records) {
        const { payload } = JSON.parse(record.replace(/^data: /, '')) as { payload: ServerEvent };
        if (payload.type !== 'sync') events.push(payload);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
