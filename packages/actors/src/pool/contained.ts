/** Calls what a user wrote. What it throws is reported as a process warning, the first time, and goes no further. */
export class ContainedCall<Argument> {
  readonly #call: (argument: Argument) => unknown;
  readonly #what: string;
  #reported = false;

  constructor(what: string, call: (argument: Argument) => unknown) {
    this.#what = what;
    this.#call = call;
  }

  call(argument: Argument): void {
    try {
      const given = this.#call(argument);
      if (given instanceof Promise) given.catch((error: unknown) => this.#report(error));
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    if (this.#reported) return;
    this.#reported = true;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.emitWarning(`${this.#what} threw; it is called on, and later throws of it are not reported. ${text}`, {
      code: 'OPENCODE_MANAGER_LISTENER_THREW',
    });
  }
}
