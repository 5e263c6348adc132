import type { Ids } from './ids.ts';
import { mixOfSessions } from './mix.ts';
import { RecordWriter, type Route } from './records.ts';

/** Events of one block; a flood is a whole number of blocks. */
export const eventsInBlock = 10_000;

/** How much a session's numbers grow with each block: more than it can have stored events in one. */
const sequencesInBlock = 10_000;

/**
 * Records that were written once and are sent again and again. Ids and numbers are changed in place each time, because a
 * good client leaves out what it has seen: so the flood costs its server next to nothing, and the client all of it.
 */
export class FloodBlock {
  readonly bytes: Buffer;
  readonly deltaCharacters: number;
  readonly #ids: Ids;
  /** Offsets of the digits of an event's id: one, or two when its number follows. */
  readonly #idOffsets: readonly (readonly number[])[];
  readonly #sequenceOffsets: readonly { readonly offset: number; readonly first: number }[];

  constructor(sessions: number, route: Route, ids: Ids) {
    const { texts, deltaCharacters } = writeEvents(sessions, route, ids);
    const starts = startsOf(texts);
    this.bytes = Buffer.from(texts.join(''), 'latin1');
    this.deltaCharacters = deltaCharacters;
    this.#ids = ids;
    this.#idOffsets = texts.map((text, index) => offsetsOf(text, /"evt_/g, starts[index]!));
    this.#sequenceOffsets = texts.flatMap((text, index) =>
      [...text.matchAll(/"seq":(\d{7})/g)].map((match) => ({ offset: starts[index]! + match.index + 6, first: Number(match[1]) })),
    );
  }

  /** Makes every id and number new. Nothing of the last lap may still wait for the socket. */
  renew(lap: number): void {
    for (const offsets of this.#idOffsets) {
      const digits = this.#ids.nextDigits();
      for (const offset of offsets) this.bytes.write(digits, offset, 'latin1');
    }
    for (const { offset, first } of this.#sequenceOffsets) this.bytes.write(String(first + lap * sequencesInBlock), offset, 'latin1');
  }
}

function writeEvents(sessions: number, route: Route, ids: Ids): { texts: string[]; deltaCharacters: number } {
  const writer = new RecordWriter(ids, '/synthetic');
  const mix = mixOfSessions(sessions, ids, 42);
  const texts: string[] = [];
  let deltaCharacters = 0;
  for (let event = 0; event < eventsInBlock; event += 1) {
    const next = mix.next().value;
    if (typeof next.properties['delta'] === 'string') deltaCharacters += next.properties['delta'].length;
    texts.push(writer.write(next, route));
  }
  return { texts, deltaCharacters };
}

function startsOf(texts: readonly string[]): number[] {
  let offset = 0;
  return texts.map((text) => {
    const start = offset;
    offset += text.length;
    return start;
  });
}

function offsetsOf(text: string, pattern: RegExp, start: number): number[] {
  return [...text.matchAll(pattern)].map(({ index }) => start + index + 5);
}
