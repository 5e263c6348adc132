import { OpencodeManagerError } from '@opencode-manager/core';
import { WholeAnswer, type AnswerHead, type AnswerReader, type Exchange } from '@opencode-manager/core/http';
import { createParser } from 'eventsource-parser';
import { readErrorBody } from './answers.ts';

/** Items that may wait for their reader before no more is read from the socket. */
const mostWaiting = 16;

/** Longest record that is taken, in characters; one of the server's may have 28 MB. */
const maxRecordCharacters = 256 * 1024 * 1024;

/** Takes the events of a stream apart, and holds back the socket while nobody reads them. */
export class ItemReader implements AnswerReader {
  /** The whole answer of a request that was refused. */
  readonly refusal = new WholeAnswer();
  readonly #checkHead: (head: AnswerHead) => void;
  readonly #decoder = new TextDecoder();
  #waiting: unknown[] = [];
  #wake: () => void = () => {};
  #end: { readonly data: unknown } | undefined;
  #exchange: Exchange | undefined;
  readonly #parser = createParser({
    maxBufferSize: maxRecordCharacters,
    onEvent: ({ event, data }) => {
      if (event === 'end') this.#end = { data: JSON.parse(data) };
      else if (event === 'error') throw failureIn(data);
      else this.#waiting.push(JSON.parse(data));
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw error;
    },
  });

  /** @param checkHead Throws for an answer that is none of ours */
  constructor(checkHead: (head: AnswerHead) => void) {
    this.#checkHead = checkHead;
  }

  /** What the manager has ended the stream with; undefined when it has not. */
  get end(): { readonly data: unknown } | undefined {
    return this.#end;
  }

  onHead(head: AnswerHead): void {
    this.#checkHead(head);
    this.refusal.onHead(head);
  }

  onBytes(bytes: Buffer): void {
    if (this.refusal.head.statusCode >= 400) return this.refusal.onBytes(bytes);
    try {
      this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    } finally {
      if (this.#waiting.length > mostWaiting) this.#exchange?.pause();
      this.#wake();
    }
  }

  /** The items in their order, until the exchange is over; what ended it otherwise than in order is thrown. */
  async *items(exchange: Exchange): AsyncGenerator<unknown, void> {
    this.#exchange = exchange;
    let isOver = false;
    const over = exchange.over.finally(() => {
      isOver = true;
      this.#wake();
    });
    over.catch(() => undefined);
    for (;;) {
      // Asked before the look: what comes after it wakes.
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      const items = this.#waiting;
      this.#waiting = [];
      yield* items;
      exchange.resume();
      if (this.#waiting.length > 0) continue;
      if (isOver) break;
      await woken;
    }
    await over;
  }
}

function failureIn(data: string): OpencodeManagerError {
  const error = readErrorBody(data);
  return error
    ? OpencodeManagerError.from(error)
    : new OpencodeManagerError('RESPONSE_INVALID', 'The manager ended the stream with an error that is none of ours.');
}
