import type { ErrorCode } from '../../errors/codes.ts';
import type { AnswerError } from '../request.ts';

interface ErrorBody {
  readonly _tag?: string;
  readonly message?: string;
  readonly field?: string;
}

const codeOfTag: Readonly<Record<string, ErrorCode>> = {
  InvalidRequestError: 'BAD_REQUEST',
  SessionBusyError: 'SESSION_BUSY',
  // The id of a message that another session has.
  ConflictError: 'BAD_REQUEST',
  // Somebody else was faster.
  FormAlreadySettledError: 'NOT_FOUND',
  FormNotFoundError: 'NOT_FOUND',
  UnknownError: 'SERVER_ERROR',
};

/** What the JSON of a bad answer says. */
export function readAnswerError(json: unknown): AnswerError {
  const { _tag: name, message, field } = (json ?? {}) as ErrorBody;
  const code = name === undefined ? undefined : codeOf(name, field);
  const words = [name, field && `(${field})`, message?.replaceAll(/\s+/g, ' ').trim()].filter(Boolean).join(' ');
  return { ...(name !== undefined && { name }), ...(code && { code }), words };
}

function codeOf(name: string, field: string | undefined): ErrorCode | undefined {
  // An image that it cannot decode, a file that is not there.
  if (name === 'InvalidRequestError' && field === 'files') return 'PROMPT_INVALID';
  return codeOfTag[name] ?? (name.endsWith('NotFoundError') ? 'NOT_FOUND' : undefined);
}
