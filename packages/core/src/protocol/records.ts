import type { EventPlane, ServerEvent, ServerEventType } from './events.ts';

/**
 * An event of which only the head was read; its properties are still the text that the server wrote. Most events of a
 * stream interest nobody in particular, so whoever wants one opens it (`ProtocolStream.open`).
 */
export interface SealedEvent {
  readonly type: Exclude<ServerEventType, 'part.delta'>;
  readonly plane: EventPlane;
  readonly id: string;
  readonly directory: string;
  readonly sessionId: string;
  readonly durableSequence?: number;
  /** opencode's own name of the type. */
  readonly wireType: string;
  /** JSON as far as its first characters tell; the rest was not looked at. */
  readonly properties: string;
}

/** An event as it comes from the stream: whole, or with its properties still sealed. */
export type ArrivedEvent = ServerEvent | SealedEvent;

/** True for an event that is to be opened before it is of use. */
export function isSealed(event: ArrivedEvent): event is SealedEvent {
  return 'wireType' in event;
}

/** What one record of the event stream says. */
export type DecodedFrame =
  | { readonly kind: 'event'; readonly event: ArrivedEvent }
  /** One record may say several things, in this order. */
  | { readonly kind: 'events'; readonly events: readonly ArrivedEvent[] }
  /** The number of a stored event in its session's history, told in a record of its own behind the event. */
  | { readonly kind: 'sync'; readonly id: string; readonly sessionId: string; readonly durableSequence: number }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Reads the records of one connection, one after the other. Never throws. */
export interface RecordReader {
  read(data: string): DecodedFrame;
}
