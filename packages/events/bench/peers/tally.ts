/** What a subscriber does with the events of a flood, the same for all: it sums up what came, session by session. */
export class Tally {
  readonly #characters = new Map<string, number>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #end: string;
  #firstAtMs: number | undefined;
  #endAtMs = 0;

  constructor(end: string) {
    this.#end = end;
  }

  /** Resolves when the flood's last event came. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Milliseconds between the first event and the last. */
  get durationMs(): number {
    return this.#endAtMs - (this.#firstAtMs ?? 0);
  }

  get deltaCharacters(): number {
    return this.#characters.values().reduce((sum, characters) => sum + characters, 0);
  }

  take(sessionId: string | undefined, delta: string | undefined): void {
    this.#firstAtMs ??= performance.now();
    if (sessionId === undefined) return;
    if (delta !== undefined) this.#characters.set(sessionId, (this.#characters.get(sessionId) ?? 0) + delta.length);
    else if (sessionId === this.#end) this.#finish();
  }

  #finish(): void {
    this.#endAtMs = performance.now();
    this.#ended.resolve();
  }
}
