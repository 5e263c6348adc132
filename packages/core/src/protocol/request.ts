/** One HTTP request to a server, whatever its protocol; `Response` is the type of the answer's JSON. */
export interface RequestSpec<Response = unknown> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** What a good answer carries: JSON, nothing (204), or an endless event stream. */
  readonly answer: 'json' | 'empty' | 'stream';
  /** Only a type: never set. */
  readonly response?: Response;
}
