import { OpencodeManagerError, type ErrorCode } from '../errors/index.ts';

interface FailedResponse {
  readonly statusCode: number;
  readonly contentType: string;
  readonly text: string;
  /** Method and path, for the message. */
  readonly label: string;
}

/** Longest piece of a server's body that an error repeats. */
const excerptLength = 600;

/** opencode's two shapes of an error body: `{name, data}` (older routes) and `{_tag, ...}` (newer ones). */
interface ErrorBody {
  readonly name?: string;
  readonly data?: {
    readonly message?: string;
    readonly path?: string;
    readonly issues?: readonly { path?: unknown[]; message?: string }[];
    readonly ref?: string;
  };
  readonly _tag?: string;
  readonly message?: string;
  readonly field?: string;
}

const codeOfName: Readonly<Record<string, ErrorCode>> = {
  BadRequest: 'BAD_REQUEST',
  InvalidRequestError: 'BAD_REQUEST',
  NotFoundError: 'NOT_FOUND',
  SessionNotFoundError: 'NOT_FOUND',
  PermissionNotFoundError: 'NOT_FOUND',
  QuestionNotFoundError: 'NOT_FOUND',
  SessionBusyError: 'SESSION_BUSY',
  ConfigJsonError: 'OPENCODE_CONFIG_INVALID',
  ConfigInvalidError: 'OPENCODE_CONFIG_INVALID',
  UnknownError: 'SERVER_ERROR',
};

const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  404: 'NOT_FOUND',
  409: 'SESSION_BUSY',
};

/** Maps an answer with a status of 400 and above to a coded error that carries the server's own words. */
export function errorOfResponse({ statusCode, contentType, text, label }: FailedResponse): OpencodeManagerError {
  const body = contentType.includes('json') ? parseBody(text) : undefined;
  const name = body?.name ?? body?._tag;
  const code =
    (name === undefined ? undefined : codeOfName[name]) ?? codeOfStatus[statusCode] ?? (statusCode >= 500 ? 'SERVER_ERROR' : 'BAD_REQUEST');
  return new OpencodeManagerError(code, `${label}: ${statusCode} ${describe(body, text)}`, {
    details: {
      statusCode,
      ...(name !== undefined && { name }),
      body: text.slice(0, excerptLength),
      ...(body?.data?.ref && { reference: body.data.ref }),
    },
  });
}

function parseBody(text: string): ErrorBody | undefined {
  try {
    return JSON.parse(text) as ErrorBody;
  } catch {
    return undefined;
  }
}

function describe(body: ErrorBody | undefined, text: string): string {
  const name = body?.name ?? body?._tag;
  const issues = body?.data?.issues?.map(({ path, message }) => `${(path ?? []).join('.') || 'value'}: ${message ?? 'invalid'}`).join('; ');
  const said = issues ?? body?.data?.message ?? body?.message;
  const where = body?.data?.path ?? body?.field;
  const words = [name, where && `(${where})`, said?.trim()].filter(Boolean).join(' ');
  return (words || text.trim() || 'with an empty body').slice(0, excerptLength);
}
