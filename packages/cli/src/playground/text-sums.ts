import type { Redactor } from '@opencode-manager/core';
import type { ServerEvent } from '@opencode-manager/core/protocol';
import type { Journal } from './journal.ts';
import type { PayloadOptions } from './payload.ts';

/** How often the hot data of a session is summed up in one record. */
const everyMs = 250;

/** Longest text of one record. */
const textLimit = 4000;

interface Sum {
  deltas: number;
  characters: number;
  parts: number;
}

/** Sums up what streams: a page gets four records a second and session, whatever the model's speed. */
export class TextSums implements Disposable {
  readonly #journal: Journal;
  readonly #content: boolean;
  readonly #redactor: Redactor;
  readonly #sums = new Map<string, Sum>();
  readonly #toldParts = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(journal: Journal, { content, redactor }: PayloadOptions) {
    this.#redactor = redactor;
    this.#journal = journal;
    this.#content = content;
  }

  take(actor: string, event: ServerEvent): void {
    const sum = this.#sums.get(actor) ?? { deltas: 0, characters: 0, parts: 0 };
    this.#sums.set(actor, sum);
    if (event.type === 'part.delta') {
      sum.deltas += 1;
      sum.characters += event.data.delta.length;
    } else if (event.type === 'part.updated') {
      sum.parts += 1;
      if (this.#content) this.#tellText(actor, event);
    }
    this.#timer ??= setTimeout(() => this.#flushAll(), everyMs).unref();
  }

  /** Before another event of the session, so that the order of the log is the order of things. */
  flush(actor: string): void {
    const sum = this.#sums.get(actor);
    if (!sum) return;
    this.#sums.delete(actor);
    const { deltas, characters, parts } = sum;
    this.#journal.append({
      actor,
      type: 'deltas',
      payload: { deltas, characters, parts },
      tags: ['delta'],
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #flushAll(): void {
    this.#timer = undefined;
    // Each is taken out while this goes on, which a map's iterator bears.
    for (const actor of this.#sums.keys()) this.flush(actor);
  }

  /** Whole texts, each once: a prompt when it is stored, an answer when it has ended. */
  #tellText(actor: string, { data: { part } }: Extract<ServerEvent, { type: 'part.updated' }>): void {
    if (part.type !== 'text' || part.text === '' || this.#toldParts.has(part.id)) return;
    if (!part.ended) return;
    this.#toldParts.add(part.id);
    this.#journal.append({
      actor,
      type: 'text',
      payload: { message: part.messageId, text: this.#redactor.text(part.text).slice(0, textLimit) },
    });
  }
}
