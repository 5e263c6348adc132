import { EventMonitor, type MonitorEvent } from '@opencode-manager/events';
import { sessionFact, sessionFactTypes, type ServerEvent } from '@opencode-manager/core/protocol';
import type { OpenStreamPort, StreamNotice, StreamPort } from './stream.ts';

/** What concerns more than one session. */
const noticeTypes = ['stream.gap', 'stream.live', 'stream.failed', 'session.created', 'server.disposed'] as const;

type Noticed = Extract<MonitorEvent, { readonly type: (typeof noticeTypes)[number] }>;

/** An event monitor, as hosts see it. */
export function streamPort(monitor: EventMonitor): StreamPort {
  return {
    handle: monitor,
    get state() {
      return monitor.state;
    },
    get gaps() {
      return monitor.gaps;
    },
    get lastRecordAtMs() {
      return monitor.stats.lastRecordAtMs;
    },
    ready: (options) => monitor.ready(options),
    follow: ({ id, directory }, listener) =>
      monitor.on({ sessionId: id, type: sessionFactTypes }, (event) => {
        const fact = sessionFact(event as ServerEvent, directory);
        if (fact) listener(fact);
      }),
    watch: (listener) => monitor.on({ type: noticeTypes }, (event) => listener(noticeOf(event as Noticed))),
    close: () => monitor.close(),
  };
}

/** Opens the event monitor of a server. */
export const openStreamPort: OpenStreamPort = ({ handle }) => streamPort(EventMonitor.open(handle));

const notices: { readonly [Type in Noticed['type']]: (event: Extract<Noticed, { type: Type }>) => StreamNotice } = {
  'stream.gap': ({ type, generation, reason }) => ({ type, generation, reason }),
  'stream.live': ({ type, generation, incomplete }) => ({ type, generation, ...(incomplete && { incomplete }) }),
  'stream.failed': ({ type, error }) => ({ type, error }),
  'session.created': ({ type, data: { session } }) => ({ type, sessionId: session.id, parentId: session.parentId ?? null }),
  'server.disposed': ({ directory }) => ({ type: 'directory.disposed', directory: directory ?? null }),
};

function noticeOf(event: Noticed): StreamNotice {
  const translate = notices[event.type] as (event: Noticed) => StreamNotice;
  return translate(event);
}
