import { vi } from 'vitest';
import type { EventFilter, EventMonitor, MonitorEvent } from '../../src/index.ts';

/** Longest wait of a test for a fact that should come within milliseconds; generous, for a loaded machine. */
export const patience = { timeout: 15_000, interval: 5 };

/** Collects what a listener gets, from now on. */
export function watch(monitor: EventMonitor, filter: EventFilter = {}): MonitorEvent[] {
  const events: MonitorEvent[] = [];
  monitor.on(filter, (event) => events.push(event));
  return events;
}

/** Waits until a condition holds; fails with its name. */
export function until(name: string, condition: () => boolean, withinMs = patience.timeout): Promise<void> {
  return vi.waitFor(
    () => {
      if (!condition()) throw new Error(`not within ${withinMs} ms: ${name}`);
    },
    { ...patience, timeout: withinMs },
  );
}

export function ofType<Type extends MonitorEvent['type']>(
  events: readonly MonitorEvent[],
  type: Type,
): Extract<MonitorEvent, { type: Type }>[] {
  return events.filter((event): event is Extract<MonitorEvent, { type: Type }> => event.type === type);
}
