import type { ErrorCode } from './codes.ts';

/** Facts that travel with an error; plain JSON, never a secret. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** What an {@link OpencodeManagerError} is on the wire, in a journal or on the other side of a thread. */
export interface SerializedError {
  readonly name: 'OpencodeManagerError';
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: ErrorDetails;
  readonly output?: string;
  readonly cause?: SerializedError | { readonly name: string; readonly message: string };
}

export interface ErrorOptions {
  readonly details?: ErrorDetails;
  /** The tail of the server's output, for errors of its process. */
  readonly output?: string;
  readonly cause?: unknown;
}

/**
 * The one error class of the project. `code` is stable and listed in `docs/errors.md`; the message names what was
 * wrong, what was received and what to do next.
 *
 * @example
 * try { await launchServer({ binary: '/nowhere/opencode' }) }
 * catch (error) { if (isManagerError(error, 'BINARY_NOT_FOUND')) console.error(error.message) }
 * @public
 */
export class OpencodeManagerError extends Error {
  override readonly name = 'OpencodeManagerError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  /** The tail of the server's output (both pipes), when the error is about its process. */
  readonly output: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.output = options.output;
  }

  /** Plain JSON from which {@link OpencodeManagerError.from} restores the error, code and causes included. */
  toJSON(): SerializedError {
    return {
      name: this.name,
      code: this.code,
      message: this.message,
      ...(Object.keys(this.details).length > 0 && { details: this.details }),
      ...(this.output !== undefined && { output: this.output }),
      ...(this.cause !== undefined && { cause: serializeCause(this.cause) }),
    };
  }

  /** Restores an error that crossed a thread, a socket or a file. */
  static from(serialized: SerializedError): OpencodeManagerError {
    return new OpencodeManagerError(serialized.code, serialized.message, {
      ...(serialized.details && { details: serialized.details }),
      ...(serialized.output !== undefined && { output: serialized.output }),
      ...(serialized.cause && { cause: restoreCause(serialized.cause) }),
    });
  }
}

function serializeCause(cause: unknown): NonNullable<SerializedError['cause']> {
  if (cause instanceof OpencodeManagerError) return cause.toJSON();
  return { name: cause instanceof Error ? wordsOf(() => cause.name) : 'Error', message: describeThrown(cause) };
}

/** Anything can be thrown, and the reason of an abort is its caller's: reading it must not throw in turn. */
export function describeThrown(thrown: unknown): string {
  return wordsOf(() => (thrown instanceof Error ? thrown.message : thrown));
}

function wordsOf(read: () => unknown): string {
  try {
    return String(read());
  } catch {
    return 'something that cannot be read';
  }
}

function restoreCause(cause: NonNullable<SerializedError['cause']>): Error {
  if ('code' in cause) return OpencodeManagerError.from(cause);
  return Object.assign(new Error(cause.message), { name: cause.name });
}

/** True when `error` is one of ours (and, when given, carries that code). */
export function isManagerError(error: unknown, code?: ErrorCode): error is OpencodeManagerError {
  return error instanceof OpencodeManagerError && (code === undefined || error.code === code);
}
