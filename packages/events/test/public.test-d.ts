import type { OpencodeServer, SerializedError } from '@opencode-manager/core';
import { expectTypeOf, test } from 'vitest';
import {
  EventMonitor,
  type EventFilter,
  type EventMonitorOptions,
  type EventSource,
  type MonitorEvent,
  type MonitorState,
  type MonitorStats,
} from '../src/index.ts';

test('a server can be watched, with or without options', () => {
  expectTypeOf<OpencodeServer>().toExtend<EventSource>();
  expectTypeOf(EventMonitor.open).parameter(0).toEqualTypeOf<EventSource>();
  expectTypeOf(EventMonitor.open).parameter(1).toEqualTypeOf<EventMonitorOptions | undefined>();
  expectTypeOf(EventMonitor.open).returns.toEqualTypeOf<EventMonitor>();
  expectTypeOf<EventMonitor>().toExtend<AsyncDisposable>();
});

test('events are told apart by their type', () => {
  const text = (event: MonitorEvent): string => {
    switch (event.type) {
      case 'part.delta':
        return event.data.delta;
      case 'session.status':
        return event.data.status.type;
      case 'stream.gap':
        return event.reason;
      case 'stream.failed':
        expectTypeOf(event.error).toEqualTypeOf<SerializedError>();
        return event.error.code;
      default:
        expectTypeOf(event.sequence).toEqualTypeOf<number>();
        return event.plane;
    }
  };
  expectTypeOf(text).returns.toBeString();
});

test('methods take filters and give events', () => {
  expectTypeOf<EventMonitor['streamEvents']>().returns.toEqualTypeOf<AsyncIterableIterator<MonitorEvent>>();
  expectTypeOf<EventMonitor['sessionEvents']>().parameter(0).toBeString();
  expectTypeOf<EventMonitor['on']>().parameters.toEqualTypeOf<[EventFilter, (event: MonitorEvent) => void]>();
  expectTypeOf<EventMonitor['on']>().returns.toEqualTypeOf<() => void>();
  expectTypeOf<EventMonitor['state']>().toEqualTypeOf<MonitorState>();
  expectTypeOf<EventMonitor['stats']>().toEqualTypeOf<MonitorStats>();
  expectTypeOf<EventMonitor['close']>().returns.toEqualTypeOf<Promise<void>>();
});

test('a filter names types, wildcards and sessions', () => {
  const filters: EventFilter[] = [
    { type: 'session.idle' },
    { type: '*.asked' },
    { type: ['message.*'], plane: 'lifecycle' },
    { sessionId: ['a', 'b'], directory: '/srv/*' },
  ];
  expectTypeOf(filters).items.toEqualTypeOf<EventFilter>();
  // @ts-expect-error a plane is one of two
  expectTypeOf({ plane: 'else' }).toExtend<EventFilter>();
});
