export { readEventRecords } from './event-records.ts';
export { longestTimerMs, startDeadline } from './deadline-timer.ts';
export { createHttpClient, defaultTimeoutMs, type CallOptions, type HttpClient, type ServerCredentials } from './client.ts';
