/** Where an exchange waits while it is stalled. */
export class Gate {
  #closed: PromiseWithResolvers<void> | undefined;

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  close(): void {
    this.#closed ??= Promise.withResolvers();
  }

  open(): void {
    this.#closed?.resolve();
    this.#closed = undefined;
  }

  /** Resolves when the gate is open, however often it was closed again meanwhile. */
  async pass(): Promise<void> {
    while (this.#closed) await this.#closed.promise;
  }
}
