import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OpencodeManagerError } from '@opencode-manager/core';

/** What a page about a worker asks. */
export interface HealthOptions {
  /** `[HOST:]PORT`; 127.0.0.1 without a host, 0 for a free port. */
  readonly address: string;
  /** Why it takes no tasks; undefined when it does. */
  readonly problem: () => string | undefined;
  readonly running: () => number;
}

export interface Health extends AsyncDisposable {
  readonly url: string;
}

/**
 * Serves `/health` (200 while the process lives) and `/ready` (200 while it takes tasks, else 503 with the reason).
 * @throws OpencodeManagerError `USAGE` for an address that cannot be had
 */
export async function serveHealth({ address, problem, running }: HealthOptions): Promise<Health> {
  const [, host = '127.0.0.1', port] = /^(?:(.+):)?(\d{1,5})$/.exec(address) ?? [];
  if (port === undefined || Number(port) > 65_535)
    throw new OpencodeManagerError('USAGE', `--health: ${JSON.stringify(address)} is no address; write PORT or HOST:PORT.`);
  const server = createServer((request, response) => {
    const why = problem();
    const isReady = why === undefined;
    const known = request.url === '/health' || request.url === '/ready';
    const status = !known ? 404 : request.url === '/ready' && !isReady ? 503 : 200;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(
      `${JSON.stringify(known ? { ready: isReady, ...(why !== undefined && { why }), running: running() } : { error: 'Ask for /health or /ready.' })}\n`,
    );
  });
  await listen(server, host, Number(port), address);
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${taken}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function listen(server: Server, host: string, port: number, address: string): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
    server.unref();
  } catch (error) {
    throw new OpencodeManagerError(
      'USAGE',
      `--health ${address} cannot be had (${(error as NodeJS.ErrnoException).code}). Name another port.`,
      { cause: error },
    );
  }
}
