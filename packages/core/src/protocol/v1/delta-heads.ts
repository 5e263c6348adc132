/** What all deltas of one part have in common, and the text that says so in each record. */
export interface DeltaHead {
  readonly text: string;
  readonly directory: string;
  readonly sessionId: string;
  readonly messageId: string;
  readonly partId: string;
  readonly field: string;
}

/** A text without quotes and escapes, as ids are. */
const plain = String.raw`([^"\\]*)`;

/** What follows a delta's id, up to its text. */
const deltaHead = new RegExp(
  `^","type":"message\\.part\\.delta","properties":\\{"sessionID":"${plain}","messageID":"${plain}","partID":"${plain}","field":"${plain}","delta":"$`,
);

/** How far before a delta's text its part's id stands, the differing characters of it at least. */
const partIdWindow = { from: 56, to: 36 };

/** A generation ends with this number of heads when it is this old (milliseconds), and with the greatest number whatever its age. */
const generation = { heads: 1024, ms: 1000, mostHeads: 32_768 };

/**
 * The heads of the parts that are being written: one that was read once is compared from then on, which costs a tenth of
 * taking it apart. Two generations, the older of which is forgotten when the younger ends. Its age counts because
 * thousands of sessions may write at once: by number alone, each would be forgotten before its next delta.
 */
export class DeltaHeads {
  #younger = new Map<number, DeltaHead>();
  #older = new Map<number, DeltaHead>();
  #youngerSinceMs = performance.now();

  /** The head that stands in `data` from `start` to `end`; undefined when it is none. */
  read(data: string, start: number, end: number, directory: string): DeltaHead | undefined {
    const text = data.slice(start, end);
    const number = headNumber(data, end);
    const known = this.#younger.get(number) ?? this.#revive(number);
    // A project may work in several directories.
    if (known?.text === text && known.directory === directory) return known;
    const match = deltaHead.exec(text);
    if (!match) return undefined;
    const [whole, sessionId, messageId, partId, field] = own(match) as [string, string, string, string, string];
    const head = { text: whole, directory, sessionId, messageId, partId, field };
    this.#add(number, head);
    return head;
  }

  #revive(number: number): DeltaHead | undefined {
    const head = this.#older.get(number);
    if (head) this.#add(number, head);
    return head;
  }

  #add(number: number, head: DeltaHead): void {
    if (this.#younger.size >= generation.heads) this.#turnWhenOld();
    this.#younger.set(number, head);
  }

  #turnWhenOld(): void {
    const nowMs = performance.now();
    if (nowMs - this.#youngerSinceMs < generation.ms && this.#younger.size < generation.mostHeads) return;
    this.#youngerSinceMs = nowMs;
    this.#older = this.#younger;
    this.#younger = new Map();
  }
}

/** Tells the heads of the parts that are being written apart, mostly; a map of numbers is faster than one of long texts. */
function headNumber(data: string, end: number): number {
  let number = 0;
  for (let index = end - partIdWindow.from; index < end - partIdWindow.to; index++)
    number = (Math.imul(number, 31) + data.charCodeAt(index)) | 0;
  return number;
}

/** Copies of texts: a piece of a record would keep the whole read of the socket in memory for as long as it is held. */
function own(texts: readonly string[]): string[] {
  return JSON.parse(JSON.stringify(texts)) as string[];
}
