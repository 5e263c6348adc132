import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { FaultProxyError } from './error.ts';

const host = '127.0.0.1';
const reopenDeadlineMs = 5000;
const reopenRetryMs = 20;

/**
 * The port of the proxy, which can be closed and opened again while connections live on. A closed port is the only way
 * to refuse a connection: one that was taken can only be broken.
 */
export class Listener {
  port = 0;
  readonly #onConnection: (socket: Socket) => void;
  #server: Server | undefined;

  constructor(onConnection: (socket: Socket) => void) {
    this.#onConnection = onConnection;
  }

  async open(port: number): Promise<void> {
    // The HTTP parser decides about half-open connections itself.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, this.#onConnection);
    server.listen(port, host);
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  get isOpen(): boolean {
    return this.#server !== undefined;
  }

  /** The port is free when this returns; connections stay. */
  close(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** A free port may be lent to an outgoing connection for a moment, so a port in use is tried again for a while. */
  async reopen(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + reopenDeadlineMs;
    while (!this.isOpen && !signal.aborted) {
      try {
        await this.open(this.port);
      } catch (cause) {
        if (performance.now() > deadline) throw new FaultProxyError('PORT_LOST', `Port ${this.port} was taken meanwhile.`, { cause });
        await sleep(reopenRetryMs);
      }
    }
    if (signal.aborted) this.close();
  }
}
