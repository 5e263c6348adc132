const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/**
 * Finds the ends of events in a stream of bytes, wherever its pieces are cut. Each byte is looked at once, so an event of
 * many megabytes costs no more than many small ones. Lines end with LF or CRLF; the lone CR that the standard also allows is not
 * taken for an end.
 */
export class EventSplitter {
  #parts: Buffer[] = [];
  #lineIsEmpty = true;
  #hasText = false;

  /** Gives each event that this piece completes, its blank line included, and keeps the rest. */
  *split(piece: Buffer): Generator<Buffer> {
    let start = 0;
    for (const end of this.ends(piece)) {
      const event = Buffer.concat([...this.#parts, piece.subarray(start, end)]);
      this.#parts = [];
      start = end;
      yield event;
    }
    if (start < piece.length) this.#parts.push(piece.subarray(start));
  }

  /** What came after the last event. */
  rest(): Buffer {
    return Buffer.concat(this.#parts.splice(0));
  }

  /** The offsets in this piece at which events end. */
  *ends(piece: Buffer): Generator<number> {
    for (let index = 0; index < piece.length; index += 1) {
      const byte = piece[index];
      if (byte === lineFeed) {
        const isEnd = this.#lineIsEmpty && this.#hasText;
        this.#lineIsEmpty = true;
        if (isEnd) this.#hasText = false;
        if (isEnd) yield index + 1;
      } else if (byte !== carriageReturn) {
        this.#lineIsEmpty = false;
        this.#hasText = true;
      }
    }
  }
}
