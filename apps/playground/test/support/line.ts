import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A line between a browser and a server that can be cut. The browser takes it for its proxy. */
export interface Line extends AsyncDisposable {
  readonly port: number;
  /** Where it leads; set before the browser opens a page. */
  target: number;
  /** Ends every connection, as a network would. New ones can be made at once. */
  cut(): void;
}

export async function openLine(): Promise<Line> {
  const sockets = new Set<Socket>();
  const hold = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
  };
  const server = createServer((near) => {
    const far = connect(line.target, '127.0.0.1');
    for (const socket of [near, far]) hold(socket);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const line: Line = {
    port: (server.address() as AddressInfo).port,
    target: 0,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    async [Symbol.asyncDispose]() {
      line.cut();
      server.close();
      await once(server, 'close');
    },
  };
  return line;
}
