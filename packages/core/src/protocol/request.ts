import type { ErrorCode } from '../errors/codes.ts';

/** One HTTP request to a server, whatever its protocol; `Response` is the type of the answer's JSON. */
export interface RequestSpec<Response = unknown> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** What a good answer carries: JSON, nothing (204), or an endless event stream. */
  readonly answer: 'json' | 'empty' | 'stream';
  /** Only a type: never set. */
  readonly response?: Response;
}

/** What the body of a bad answer says. */
export interface AnswerError {
  /** The server's own name of the error. */
  readonly name?: string;
  /** Absent where its status alone decides. */
  readonly code?: ErrorCode;
  /** For the message; empty when it says nothing. */
  readonly words: string;
  /** Of the server's log. */
  readonly reference?: string;
}

/** Reads the JSON of an answer with a status of 400 and above. */
export type AnswerErrorReader = (json: unknown) => AnswerError;
