import { OpencodeManagerError, type ErrorCode } from '../errors/index.ts';
import type { AnswerErrorReader } from '../protocol/request.ts';

interface FailedResponse {
  readonly statusCode: number;
  readonly contentType: string;
  readonly text: string;
  /** Method and path, for the message. */
  readonly label: string;
}

/** Longest piece of a server's body that an error repeats. */
const excerptLength = 600;

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  404: 'NOT_FOUND',
  409: 'SESSION_BUSY',
};

/** Maps an answer with a status of 400 and above to a coded error that carries the server's own words, which `read` finds. */
export function errorOfResponse({ statusCode, contentType, text, label }: FailedResponse, read: AnswerErrorReader): OpencodeManagerError {
  const json = contentType.includes('json') ? parseBody(text) : undefined;
  const { name, code = codeOfStatus[statusCode], words, reference } = json === undefined ? { words: '' } : read(json);
  const said = (words || text.trim() || 'with an empty body').slice(0, excerptLength);
  return new OpencodeManagerError(code ?? (statusCode >= 500 ? 'SERVER_ERROR' : 'BAD_REQUEST'), `${label}: ${statusCode} ${said}`, {
    details: {
      statusCode,
      ...(name !== undefined && { name }),
      body: text.slice(0, excerptLength),
      ...(reference !== undefined && { reference }),
    },
  });
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
