import { createServer } from 'node:net';
import { exhaustionOf, OpencodeManagerError } from '../errors/index.ts';

/** opencode's well-known port: left to the user's own server. */
const wellKnownPort = 4096;

/** A port that is free now. It may be taken before it is used: the caller tries again then. */
export async function freePort(hostname: string): Promise<number> {
  const port = await bindOnce(hostname, 0);
  return port === wellKnownPort ? freePort(hostname) : port;
}

/** @throws `PORT_IN_USE`, `CONFIG_INVALID` for an address that this machine does not have, `RESOURCES_EXHAUSTED` */
export async function assertPortFree(hostname: string, port: number): Promise<void> {
  if (await isPortFree(hostname, port)) return;
  throw portInUse(port);
}

/** @throws as {@link assertPortFree}, when it cannot be told */
export async function isPortFree(hostname: string, port: number): Promise<boolean> {
  return bindOnce(hostname, port).then(
    () => true,
    (error: unknown) => {
      if (error instanceof OpencodeManagerError) throw error;
      return false;
    },
  );
}

export function portInUse(port: number): OpencodeManagerError {
  return new OpencodeManagerError('PORT_IN_USE', `port: ${port} is taken. Name another port, or 0 for a free one.`, { details: { port } });
}

function bindOnce(hostname: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => reject(explained(error, hostname)));
    server.listen({ host: hostname, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : port));
    });
  });
}

/** Without IPv6 there is no `::1`; without a descriptor nothing can be told of any port. */
function explained(error: NodeJS.ErrnoException, hostname: string): Error {
  if (error.code !== 'EADDRNOTAVAIL' && error.code !== 'EAFNOSUPPORT') return exhaustionOf(error) ?? error;
  return new OpencodeManagerError(
    'CONFIG_INVALID',
    `Option hostname: this machine does not have the address ${hostname}. Leave it unset.`,
    {
      details: { option: 'hostname' },
      cause: error,
    },
  );
}
