import { createServer } from 'node:net';
import { OpencodeManagerError } from '../errors/index.ts';

/** opencode's well-known port: left to the user's own server. */
const wellKnownPort = 4096;

/** A port that is free now. It may be taken before it is used: the caller tries again then. */
export async function freePort(hostname: string): Promise<number> {
  const port = await bindOnce(hostname, 0);
  return port === wellKnownPort ? freePort(hostname) : port;
}

/** @throws `PORT_IN_USE` */
export async function assertPortFree(hostname: string, port: number): Promise<void> {
  if (await isPortFree(hostname, port)) return;
  throw portInUse(port);
}

export async function isPortFree(hostname: string, port: number): Promise<boolean> {
  return bindOnce(hostname, port).then(
    () => true,
    () => false,
  );
}

export function portInUse(port: number): OpencodeManagerError {
  return new OpencodeManagerError('PORT_IN_USE', `port: ${port} is taken. Name another port, or 0 for a free one.`, { details: { port } });
}

function bindOnce(hostname: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: hostname, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : port));
    });
  });
}
