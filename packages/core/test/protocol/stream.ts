import type { OpencodeServer } from '@opencode-manager/core';
import {
  isSealed,
  protocolNamed,
  type SealedEvent,
  type ServerEvent,
  type ServerEventOf,
  type ServerEventType,
} from '@opencode-manager/core/protocol';
import { vi } from 'vitest';
import { readEventRecords } from '../../src/http/index.ts';

/** What a server said since its stream was opened, in the order in which it came. */
export interface FollowedStream extends AsyncDisposable {
  readonly events: readonly ServerEvent[];
  /** Numbers of stored events by the id of each, of those that have told theirs. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Waits for an event of a session. */
  until<Type extends ServerEventType>(
    type: Type,
    sessionId: string,
    matches?: (event: ServerEventOf<Type>) => boolean,
  ): Promise<ServerEventOf<Type>>;
}

/** Reads the stream as its protocol says, and nothing of its own. */
export async function followStream(server: OpencodeServer): Promise<FollowedStream> {
  const { stream } = protocolNamed(server.protocol);
  const reader = stream.createReader();
  const events: ServerEvent[] = [];
  const numbers = new Map<string, number>();
  const opened = ({ wireType, properties, ...head }: SealedEvent) =>
    ({ ...head, data: stream.open({ wireType, properties }) }) as ServerEvent;
  const connection = readEventRecords(server.credentials(), stream.request(), (data) => {
    const frame = reader.read(data);
    if (frame.kind === 'sync') numbers.set(frame.id, frame.durableSequence);
    if (frame.kind === 'malformed' || frame.kind === 'sync') return;
    for (const event of frame.kind === 'event' ? [frame.event] : frame.events) events.push(isSealed(event) ? opened(event) : event);
  });
  await vi.waitFor(() => events.length > 0 || Promise.reject(new Error('the stream has not greeted')), { timeout: 15_000 });
  return {
    events,
    numbers,
    until: (type, sessionId, matches = () => true) =>
      vi.waitFor(
        () => {
          const found = events.find((event) => event.type === type && event.sessionId === sessionId && matches(event as never));
          if (!found) throw new Error(`no ${type} of ${sessionId} among ${events.map((event) => event.type).join(', ')}`);
          return found as never;
        },
        { timeout: 15_000, interval: 20 },
      ),
    [Symbol.asyncDispose]: () => connection.stop(),
  };
}
