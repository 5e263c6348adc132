import type { MonitorEvent } from '../monitor/types.ts';

/** About how many characters an event holds: its text. A part is told whole each time that it changes, so tools' outputs weigh most. */
export function weightOf(event: MonitorEvent): number {
  if (event.type === 'part.delta') return event.data.delta.length;
  if (event.type !== 'part.updated') return 0;
  const { part } = event.data;
  if (part.type === 'text' || part.type === 'reasoning') return part.text.length;
  // The record behind it holds what was printed a second time.
  return part.type === 'tool' ? 2 * part.output.length : 0;
}

/** Leaves out what a later event of the same part says again, and more. */
export function withoutSuperseded(events: readonly MonitorEvent[]): MonitorEvent[] {
  const told = new Set<string>();
  const kept: MonitorEvent[] = [];
  for (const event of events.toReversed()) {
    if (event.type !== 'part.updated') kept.push(event);
    else if (!told.has(event.data.part.id)) {
      told.add(event.data.part.id);
      kept.push(event);
    }
  }
  return kept.toReversed();
}
