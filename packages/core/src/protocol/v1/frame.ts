import { planeOf, type ServerEvent } from '../events.ts';
import type { DecodedFrame, RecordReader, SealedEvent } from '../records.ts';
import { decodeData, decodePayload, typeOf } from './decode.ts';
import { DeltaHeads } from './delta-heads.ts';

/** Our data of a sealed event. @throws SyntaxError when its properties are no JSON */
export function openData({ wireType, properties }: Pick<SealedEvent, 'wireType' | 'properties'>): ServerEvent['data'] {
  return decodeData(wireType, parseProperties(properties));
}

function parseProperties(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    // A payload with more keys behind its properties was cut off too late.
    return (JSON.parse(`{"properties":${text}}`) as { properties: Record<string, unknown> }).properties;
  }
}

/** A text without quotes and escapes, as ids and most paths are. */
const plain = String.raw`([^"\\]*)`;

/** The beginning of every record as opencode 1.x writes it: up to the payload's id. */
const recordStart = new RegExp(`^\\{"directory":"${plain}","project":"[^"\\\\]*","payload":\\{"id":"`);

/** What follows the id: of an event that belongs to a session, up to the rest of its properties. */
const eventHead = new RegExp(`^","type":"${plain}","properties":\\{"sessionID":"${plain}"`);

const syncHead = /^"payload":\{"type":"sync","syncEvent":\{"id":"([^"]+)","type":"[^"]*","seq":(\d+),"aggregateID":"([^"]+)"/;

/** Characters after `"payload":` within which a `sync` head stands, and characters within which an event's head does. */
const headWindow = 1024;

/** The key of a delta's text. Quotes inside of a JSON text are escaped, so nothing else reads like this. */
const deltaKey = '"delta":"';

interface WireFrame {
  readonly directory?: string;
  readonly payload?: { readonly id?: string; readonly type?: string; readonly properties?: Record<string, unknown> };
}

/**
 * Reads the records of one connection of `GET /global/event`. Never throws.
 *
 * What opencode writes in one form is taken apart by its form, for a fraction of what parsing its JSON costs; whatever
 * differs from that form by a character is parsed. The deltas of a part repeat 300 characters for each four of text, so
 * a head that was read once is compared from then on, and all deltas of a part hold the same texts.
 */
export class FrameReader implements RecordReader {
  /** The beginning of the last record, and the directory that it names: nearly all records begin as the one before. */
  #start = { text: '\0', directory: '' };
  readonly #heads = new DeltaHeads();

  read(data: string): DecodedFrame {
    // Equality of a slice is compared by words, where startsWith() takes six times as long for its characters.
    if (data.slice(0, this.#start.text.length) !== this.#start.text && !this.#readStart(data)) return decodeSync(data) ?? decodeJson(data);
    const idStart = this.#start.text.length;
    const idEnd = data.indexOf('"', idStart);
    if (idEnd < 0 || data[idEnd - 1] === '\\') return decodeJson(data);
    return this.#readDelta(data, idStart, idEnd) ?? this.#readSealed(data, idStart, idEnd) ?? decodeJson(data);
  }

  #readStart(data: string): boolean {
    const match = recordStart.exec(data);
    if (match) this.#start = { text: match[0], directory: match[1]! };
    return match !== null;
  }

  #readDelta(data: string, idStart: number, idEnd: number): DecodedFrame | undefined {
    // From the end, because the text of a delta is short and what stands before it is not.
    const textStart = data.lastIndexOf(deltaKey) + deltaKey.length;
    if (textStart < idEnd || data.slice(-4) !== '"}}}') return undefined;
    const head = this.#heads.read(data, idEnd, textStart, this.#start.directory);
    const delta = head && unescape(data.slice(textStart, -4));
    if (delta === undefined) return undefined;
    const { directory, sessionId, messageId, partId, field } = head!;
    const id = data.slice(idStart, idEnd);
    const event = { type: 'part.delta', plane: 'stream', id, directory, sessionId, data: { messageId, partId, field, delta } } as const;
    return { kind: 'event', event };
  }

  #readSealed(data: string, idStart: number, idEnd: number): DecodedFrame | undefined {
    const match = eventHead.exec(data.slice(idEnd, idEnd + headWindow));
    // The two braces close the payload and the record; what they close was not looked at.
    if (!match || !data.endsWith('}}}')) return undefined;
    const [, wireType, sessionId] = match as unknown as [string, string, string];
    const type = typeOf(wireType);
    if (type === 'part.delta') return undefined;
    const properties = data.slice(idEnd + match[0].indexOf('{'), -2);
    const id = data.slice(idStart, idEnd);
    return { kind: 'event', event: { type, plane: planeOf(type), id, directory: this.#start.directory, sessionId, wireType, properties } };
  }
}

/** The text of a JSON string; undefined when it is not one after all. */
function unescape(text: string): string | undefined {
  if (!text.includes('\\') && !text.includes('"')) return text;
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return undefined;
  }
}

function decodeSync(data: string): DecodedFrame | undefined {
  // The key stands near the start; a search for the whole head would run through the megabytes of a large part.
  const payload = data.indexOf('"payload":');
  if (payload < 0 || !data.startsWith('{"type":"sync"', payload + 10)) return undefined;
  const head = syncHead.exec(data.slice(payload, payload + headWindow));
  return head ? { kind: 'sync', id: head[1]!, durableSequence: Number(head[2]), sessionId: head[3]! } : undefined;
}

function decodeJson(data: string): DecodedFrame {
  let frame: WireFrame;
  try {
    frame = JSON.parse(data) as WireFrame;
  } catch (error) {
    return { kind: 'malformed', reason: (error as Error).message };
  }
  const payload = frame?.payload;
  if (typeof payload?.type !== 'string') return { kind: 'malformed', reason: 'the record has no payload.type' };
  return { kind: 'event', event: decodePayload(payload.type, payload.id ?? '', payload.properties ?? {}, frame.directory) };
}
