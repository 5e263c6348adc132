import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';

/**
 * Joins a connection that leaves HTTP (a WebSocket) with the target, byte for byte. Rules do not reach into it; what
 * breaks or refuses connections does.
 */
export function tunnel(request: IncomingMessage, client: Socket, first: Buffer, target: URL): void {
  const upstream = connect({ host: target.hostname.replace(/^\[|\]$/g, ''), port: Number(target.port || 80), noDelay: true });
  upstream.write(rawHead(request, target));
  upstream.write(first);
  client.pipe(upstream).pipe(client);
  upstream.on('error', () => client.resetAndDestroy());
  client.on('error', () => upstream.resetAndDestroy());
  client.once('close', () => upstream.destroy());
}

function rawHead({ method, url, rawHeaders }: IncomingMessage, target: URL): string {
  const fields = rawHeaders.flatMap((name, index) => {
    if (index % 2 === 1) return [];
    const value = name.toLowerCase() === 'host' ? target.host : rawHeaders[index + 1];
    return [`${name}: ${value}\r\n`];
  });
  return `${method} ${url} HTTP/1.1\r\n${fields.join('')}\r\n`;
}
