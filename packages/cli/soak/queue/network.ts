import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** The network between the hosts and the queue: it passes bytes, and can be cut. */
export interface Network extends AsyncDisposable {
  readonly port: number;
  /** Every connection breaks, and none is to be had for so long, in milliseconds. */
  cut(forMs: number): Promise<void>;
}

export async function openNetwork(to: () => number): Promise<Network> {
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(to(), '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    return undefined;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async cut(forMs) {
      isCut = true;
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, forMs));
      isCut = false;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
