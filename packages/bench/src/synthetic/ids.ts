/** Ids in opencode's shape: a prefix, twelve hexadecimal digits that grow with time, fourteen more characters. */
export class Ids {
  #newest = (Date.now() * 4096) % 2 ** 48;

  next(prefix: 'evt' | 'msg' | 'prt' | 'ses'): string {
    return `${prefix}_${this.#tick()}SyntheticServ1`;
  }

  /** The twelve digits alone, for a record that is changed in place. */
  nextDigits(): string {
    return this.#tick();
  }

  #tick(): string {
    // Never behind the clock: a message must sort after the one that it answers.
    this.#newest = Math.max(this.#newest + 1, (Date.now() * 4096) % 2 ** 48);
    return this.#newest.toString(16).padStart(12, '0');
  }
}
