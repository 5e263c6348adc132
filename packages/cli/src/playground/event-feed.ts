import type { ServerResponse } from 'node:http';
import type { Journal } from './journal.ts';

/** Records that come within this time go out together. */
const batchMs = 40;

/** A comment now and then shows that the connection lives. */
const heartbeatMs = 15_000;

/** Records of one message: a long history goes out in pieces that a page can draw between. */
const messageLimit = 2000;

/** A reader that takes nothing while this much waits is cut off; it comes back and goes on where it was. */
const backlogBytes = 16 * 1024 * 1024;

interface Reader {
  readonly response: ServerResponse;
  /** Number of the newest record that was sent. */
  seen: number;
}

/**
 * The event stream of a live run. The id of each message is the number of its last record: a reader that reconnects
 * names it, and gets what follows, nothing twice and nothing left out.
 */
export class EventFeed {
  readonly #journal: Journal;
  readonly #readers = new Set<Reader>();
  readonly #stopListening: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;

  constructor(journal: Journal) {
    this.#journal = journal;
    this.#stopListening = journal.onAppend(() => this.#schedule());
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs).unref();
  }

  /** Starts behind a record; 0 is the beginning. */
  add(response: ServerResponse, seen: number): void {
    const reader: Reader = { response, seen };
    response.write('retry: 500\n\n');
    this.#readers.add(reader);
    response.on('close', () => this.#readers.delete(reader));
    // A write to a reader that has just gone must not end the run.
    response.on('error', () => this.#readers.delete(reader));
    this.#send(reader);
  }

  /** Tells every reader that the run is over. */
  end(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#timer);
    this.#stopListening();
    for (const reader of this.#readers) {
      this.#send(reader);
      reader.response.end('event: end\ndata: {}\n\n');
    }
    this.#readers.clear();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const reader of this.#readers) this.#send(reader);
    }, batchMs).unref();
  }

  #beat(): void {
    for (const { response } of this.#readers) response.write(': here\n\n');
  }

  #send(reader: Reader): void {
    const { response } = reader;
    if (response.writableLength > backlogBytes) return void response.destroy();
    const { complete, records } = this.#journal.after(reader.seen);
    if (!complete) response.write('event: reset\ndata: {}\n\n');
    for (let from = 0; from < records.length; from += messageLimit) {
      const part = records.slice(from, from + messageLimit);
      reader.seen = part.at(-1)!.seq;
      response.write(`id: ${reader.seen}\nevent: records\ndata: ${JSON.stringify(part)}\n\n`);
    }
  }
}
