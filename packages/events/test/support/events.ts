import type { Part, SealedEvent, ServerEvent, ServerEventOf } from '@opencode-manager/core/protocol';

let counter = 0;

/** Ids as opencode makes them: their time grows with each call. */
export function eventId(): string {
  counter++;
  return `evt_${(0x203680000000 + counter).toString(16)}${'a'.repeat(14)}`;
}

export function delta(sessionId: string, partId: string, text: string, field = 'text'): ServerEventOf<'part.delta'> {
  return { type: 'part.delta', plane: 'stream', id: eventId(), sessionId, data: { messageId: 'msg_1', partId, field, delta: text } };
}

export function partUpdated(sessionId: string, partId: string, text: string, durableSequence?: number): ServerEventOf<'part.updated'> {
  const part: Part = { id: partId, sessionId, messageId: 'msg_1', type: 'text', text, ended: true, raw: {} };
  return {
    type: 'part.updated',
    plane: 'stream',
    id: eventId(),
    sessionId,
    ...(durableSequence !== undefined && { durableSequence }),
    data: { part },
  };
}

export function idle(sessionId: string): ServerEventOf<'session.idle'> {
  return { type: 'session.idle', plane: 'lifecycle', id: eventId(), sessionId, data: {} };
}

/** An event as it comes when its properties are not looked at. */
export function sealed(sessionId: string, text: string, durableSequence?: number): SealedEvent {
  return {
    type: 'part.updated',
    plane: 'stream',
    id: eventId(),
    directory: '/srv/0',
    sessionId,
    wireType: 'message.part.updated',
    properties: JSON.stringify({ sessionID: sessionId, part: { id: 'prt_1', type: 'text', text } }),
    ...(durableSequence !== undefined && { durableSequence }),
  };
}

/** What a consumer that appends deltas and takes over full parts has as the text of each part. */
export function assembleParts(events: Iterable<ServerEvent>): Map<string, string> {
  const texts = new Map<string, string>();
  for (const event of events) {
    if (event.type === 'part.delta') texts.set(event.data.partId, (texts.get(event.data.partId) ?? '') + event.data.delta);
    if (event.type === 'part.updated' && event.data.part.type === 'text') texts.set(event.data.part.id, event.data.part.text);
  }
  return texts;
}
