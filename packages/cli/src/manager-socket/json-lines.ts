import { once } from 'node:events';
import type { Socket } from 'node:net';
import { OpencodeManagerError } from '@opencode-manager/core';

/** Longest line that is taken: a 10 MB prompt, escaped, with room. A peer that sends more is cut off. */
const maxLineCharacters = 64 * 1024 * 1024;

/**
 * The JSON values of a socket, one a line, until it ends.
 * @throws OpencodeManagerError `BAD_REQUEST` for a line that is too long or is not JSON
 */
export async function* readJsonLines(socket: Socket): AsyncGenerator {
  socket.setEncoding('utf8');
  let parts: string[] = [];
  let length = 0;
  // The one who reads decides when the socket ends: an answer may still be due.
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    const lines = chunk.split('\n');
    for (const [index, piece] of lines.entries()) {
      parts.push(piece);
      length += piece.length;
      if (length > maxLineCharacters)
        throw new OpencodeManagerError('BAD_REQUEST', `A line is longer than ${maxLineCharacters} characters.`);
      if (index === lines.length - 1) continue;
      const line = parts.join('');
      parts = [];
      length = 0;
      if (line !== '') yield parseLine(line);
    }
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new OpencodeManagerError('BAD_REQUEST', `A line is not JSON (${(error as Error).message}).`, { cause: error });
  }
}

/** Writes one value and resolves when the peer can take more; a slow reader slows the writer down. */
export async function writeJsonLine(socket: Socket, value: object): Promise<void> {
  if (socket.destroyed || !socket.writable) return;
  if (socket.write(`${JSON.stringify(value)}\n`)) return;
  const gone = new AbortController();
  const onClose = () => gone.abort();
  socket.once('close', onClose);
  try {
    await once(socket, 'drain', { signal: gone.signal });
  } catch {
    // Closed while it waited: there is nobody left to write to.
  } finally {
    socket.off('close', onClose);
  }
}
