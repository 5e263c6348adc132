import { answersTurn, type Part } from '@opencode-manager/core/protocol';
import type { MonitorEvent, MonitorEventType } from '@opencode-manager/events';
import type { TurnPiece } from '../manager-socket/index.ts';

/** The events that {@link TurnPieces.take} needs. */
export const pieceEvents = ['message.updated', 'part.updated', 'part.delta', 'stream.gap'] as const satisfies readonly MonitorEventType[];

/** A longer word is passed on in pieces, in characters. */
const longestWord = 16_384;

interface OpenPart {
  readonly type: TurnPiece['type'];
  readonly messageId: string;
  /** Characters that came. */
  came: number;
  /** The last word that came, which may go on. */
  held: string;
  /** Deltas were lost: its end has the whole text. */
  isTorn: boolean;
}

/**
 * What one turn says, from the events of its session, without what sub-agents and earlier turns say. Pieces end with a word: a secret is
 * recognised as a whole or not at all. So one with spaces in it is not.
 */
export class TurnPieces {
  readonly #prompt: string;
  readonly #onPiece: (piece: TurnPiece) => void;
  readonly #answers = new Set<string>();
  readonly #parts = new Map<string, OpenPart>();
  /** Messages that go on with one that broke off. */
  readonly #goesOn = new Map<string, string>();
  #turn: string | undefined;
  /** The text of the newest message that said some. */
  #said = { messageId: '', partId: '', text: '' };

  constructor(prompt: string, onPiece: (piece: TurnPiece) => void) {
    this.#prompt = prompt;
    this.#onPiece = onPiece;
  }

  /** The turn goes out under this message id. Where nobody tells, the message that says what the prompt says begins it. */
  begin(messageId: string): void {
    this.#turn ??= messageId;
  }

  take(event: MonitorEvent): void {
    if (event.type === 'stream.gap') for (const part of this.#parts.values()) part.isTorn = true;
    else if (event.type === 'part.delta') this.#delta(event.data);
    else if (event.type === 'part.updated') this.#part(event.data.part);
    else if (event.type === 'message.updated') {
      const { message } = event.data;
      if (message.role !== 'assistant' || message.summary || this.#turn === undefined) return;
      if (answersTurn(message, this.#turn)) this.#answers.add(message.id);
      if (message.continues !== undefined) this.#goesOn.set(message.id, message.continues);
    }
  }

  /** The turn is over, with this answer. What of it did not come as pieces is told now: its end may have been read before it streamed. */
  end(output: string): void {
    for (const [partId, part] of this.#parts) this.#say(partId, part, part.held.length);
    const { messageId, partId, text: said } = this.#said;
    if (said.trimEnd().endsWith(output.trimEnd())) return;
    const isBegun = output.startsWith(said);
    this.#onPiece({
      type: 'text',
      message_id: messageId,
      part_id: isBegun ? partId : '',
      text: isBegun ? output.slice(said.length) : output,
    });
  }

  #delta({ messageId, partId, field, delta }: { messageId: string; partId: string; field: string; delta: string }): void {
    const part = this.#parts.get(partId);
    if (!part || part.messageId !== messageId || field !== 'text' || part.isTorn) return;
    this.#add(partId, part, delta);
  }

  #part(told: Part): void {
    if (told.type !== 'text' && told.type !== 'reasoning') return;
    const { id, messageId, type, text, ended } = told;
    if (this.#turn === undefined && type === 'text' && text === this.#prompt) this.begin(messageId);
    if (!this.#answers.has(messageId) || (type === 'text' && told.synthetic)) return;
    const part = this.#parts.get(id) ?? { type, messageId, came: 0, held: '', isTorn: false };
    this.#parts.set(id, part);
    // What came as deltas stands in it again; opencode cuts white space off the end.
    this.#add(id, part, text.slice(part.came), ended);
    part.isTorn &&= !ended;
  }

  #add(partId: string, part: OpenPart, text: string, isEnd = false): void {
    // A model says one thing after the other: the other parts have said all, though opencode 2 tells the end of a thought later.
    if (text !== '') for (const [otherId, other] of this.#parts) if (other !== part) this.#say(otherId, other, other.held.length);
    part.came += text.length;
    part.held += text;
    const isWhole = isEnd || part.held.length > longestWord;
    this.#say(partId, part, isWhole ? part.held.length : endOfWords(part.held));
  }

  #isSaidIn(messageId: string): boolean {
    const { messageId: newest } = this.#said;
    return newest === messageId || newest === this.#goesOn.get(messageId);
  }

  #say(partId: string, part: OpenPart, length: number): void {
    if (length === 0) return;
    const { type, messageId, held } = part;
    part.held = held.slice(length);
    const text = held.slice(0, length);
    if (type === 'text') this.#said = { messageId, partId, text: this.#isSaidIn(messageId) ? this.#said.text + text : text };
    this.#onPiece({ type, message_id: messageId, part_id: partId, text });
  }
}

/** Where the last word begins. Scripts without spaces have no words; a line end and a character of two halves are not cut. */
function endOfWords(text: string): number {
  const end = text.search(/[!-~]*[\r\uD800-\uDBFF]?$/);
  return end < 0 ? 0 : end;
}
