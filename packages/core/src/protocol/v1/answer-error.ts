import type { ErrorCode } from '../../errors/codes.ts';
import type { AnswerError } from '../request.ts';

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

/** What the JSON of a bad answer says. */
export function readAnswerError(json: unknown): AnswerError {
  const body = (json ?? {}) as ErrorBody;
  const name = body.name ?? body._tag;
  const code = name === undefined ? undefined : codeOfName[name];
  const issues = body.data?.issues?.map(({ path, message }) => `${(path ?? []).join('.') || 'value'}: ${message ?? 'invalid'}`).join('; ');
  const said = issues ?? body.data?.message ?? body.message;
  const where = body.data?.path ?? body.field;
  return {
    ...(name !== undefined && { name }),
    ...(code && { code }),
    words: [name, where && `(${where})`, said?.trim()].filter(Boolean).join(' '),
    ...(body.data?.ref && { reference: body.data.ref }),
  };
}
