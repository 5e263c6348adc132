import type { IncomingMessage } from 'node:http';
import { OpencodeManagerError } from '@opencode-manager/core';

/** Largest body that is taken, in bytes: a 10 MB prompt, escaped, with room. */
const maxBodyBytes = 64 * 1024 * 1024;

/**
 * The JSON object of a request; an empty body is an empty object.
 * @throws OpencodeManagerError `BAD_REQUEST` for a body that is too large or is no JSON object
 */
export async function readBody(request: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBodyBytes) throw new OpencodeManagerError('BAD_REQUEST', `The body is larger than ${maxBodyBytes} bytes.`);
    chunks.push(chunk);
  }
  if (length === 0) return {};
  const value = parse(Buffer.concat(chunks).toString('utf8'));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new OpencodeManagerError('BAD_REQUEST', 'The body is not a JSON object.');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OpencodeManagerError('BAD_REQUEST', `The body is not JSON (${(error as Error).message}).`, { cause: error });
  }
}
