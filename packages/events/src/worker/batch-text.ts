import type { ServerEventOf } from '@opencode-manager/core/protocol';
import type { BatchedEvent } from './coalesce.ts';

type Delta = ServerEventOf<'part.delta'>;

/** What all deltas of one part have in common. */
type DeltaSource = Pick<Delta, 'directory' | 'sessionId'> & Omit<Delta['data'], 'delta'>;

/** A delta within a batch: the number of its source, its id and its text. */
type DeltaRow = readonly [source: number, id: string, delta: string];

interface BatchText {
  readonly sources: readonly DeltaSource[];
  readonly events: (BatchedEvent | DeltaRow)[];
}

/**
 * A batch as one text. Most events are deltas, and most of a delta is what it shares with the others of its part: that is
 * written once a batch, so the main thread parses a fifth of the characters, and all these deltas hold the same strings.
 */
export function encodeBatch(events: readonly BatchedEvent[]): string {
  const sources: DeltaSource[] = [];
  const numbers = new Map<string, number>();
  const rows = events.map((event) => (event.type === 'part.delta' ? encodeDelta(event, sources, numbers) : event));
  return JSON.stringify({ sources, events: rows } satisfies BatchText);
}

/** The events of a batch; they are the caller's to change. */
export function decodeBatch(text: string): BatchedEvent[] {
  const { sources, events } = JSON.parse(text) as BatchText;
  for (let index = 0; index < events.length; index++) {
    const event = events[index]!;
    if (isRow(event)) events[index] = decodeDelta(sources[event[0]]!, event[1], event[2]);
  }
  return events as BatchedEvent[];
}

function encodeDelta({ id, directory, sessionId, data }: Delta, sources: DeltaSource[], numbers: Map<string, number>): DeltaRow {
  const { messageId, partId, field, delta } = data;
  const known = numbers.get(partId);
  // Ids of parts are unique, but nothing rests on it.
  if (known !== undefined && isSameSource(sources[known]!, sessionId, directory, data)) return [known, id, delta];
  const source = { ...(directory !== undefined && { directory }), ...(sessionId !== undefined && { sessionId }), messageId, partId, field };
  numbers.set(partId, sources.push(source) - 1);
  return [sources.length - 1, id, delta];
}

function isSameSource(source: DeltaSource, sessionId: string | undefined, directory: string | undefined, data: Delta['data']): boolean {
  return (
    source.field === data.field && source.sessionId === sessionId && source.messageId === data.messageId && source.directory === directory
  );
}

/** Objects of one shape: the router numbers them in place, and readers stay fast. */
function decodeDelta({ directory, sessionId, messageId, partId, field }: DeltaSource, id: string, delta: string): BatchedEvent {
  const data = { messageId, partId, field, delta };
  if (directory !== undefined && sessionId !== undefined)
    return { sequence: 0, type: 'part.delta', plane: 'stream', id, directory, sessionId, data };
  return {
    sequence: 0,
    type: 'part.delta',
    plane: 'stream',
    id,
    ...(directory !== undefined && { directory }),
    ...(sessionId !== undefined && { sessionId }),
    data,
  };
}

function isRow(event: BatchedEvent | DeltaRow): event is DeltaRow {
  return Array.isArray(event);
}
