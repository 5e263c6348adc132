export { EventMonitor } from './monitor/event-monitor.ts';
export type {
  EventFilter,
  EventMonitorOptions,
  EventSource,
  MonitorEvent,
  MonitorEventType,
  MonitorNotice,
  MonitorState,
  MonitorStats,
} from './monitor/types.ts';
