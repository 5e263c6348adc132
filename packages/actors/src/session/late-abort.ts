/**
 * An abort controller whose signal is made when somebody asks for it: a signal holds 900 bytes for as long as a task runs, and
 * most tasks need it for the moment of one call.
 */
export class LateAbort {
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;

  get signal(): AbortSignal {
    if (this.#aborted) return AbortSignal.abort(this.#aborted.reason);
    return (this.#controller ??= new AbortController()).signal;
  }

  /** Aborts the signals that were asked for, and those to come. The first reason stands. */
  abort(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#controller?.abort(reason);
    this.#controller = undefined;
  }

  /** The calls that had the signal are over: an abort does not concern them any more. */
  release(): void {
    this.#controller = undefined;
  }
}
