import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { execa } from 'execa';
import { privateEnvironment } from '../measure/private-environment.ts';

/** A bare `opencode serve`, started as somebody does it without this project, in a home of the benchmark's own. */
export interface BareServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly directory: string;
  credentials(): { readonly url: string; readonly authorization: string };
}

export interface BareServerOptions {
  readonly binary: string;
  readonly directory: string;
  /** Holds `opencode.json`. */
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
}

/** Starts it; resolves with its listening line. */
export async function startBareServer({ binary, directory, home, env = {}, flags = [] }: BareServerOptions): Promise<BareServer> {
  const server = execa(binary, ['serve', '--hostname', '127.0.0.1', '--port', String(await freePort()), ...flags], {
    cwd: directory,
    env: { ...privateEnvironment(home), ...env },
    extendEnv: false,
    buffer: false,
    reject: false,
  });
  server.stderr.resume();
  const url = await listeningUrl(server.stdout);
  return {
    url,
    pid: server.pid!,
    directory,
    credentials: () => ({ url, authorization: '' }),
    async [Symbol.asyncDispose]() {
      server.kill('SIGKILL');
      await server;
    },
  };
}

/** opencode's own choice for port 0 is 4096, which two servers that start at once both find free. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function listeningUrl(stdout: NodeJS.ReadableStream): Promise<string> {
  const lines = createInterface({ input: stdout });
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const [, url] = /listening on (http:\S+)/.exec(line) ?? [];
      if (url !== undefined) resolve(url);
    });
    lines.on('close', () => reject(new Error('the server ended before it was ready')));
  });
}
