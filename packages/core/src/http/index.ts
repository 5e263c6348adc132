export { readEventRecords } from './event-records.ts';
export { createHttpClient, defaultTimeoutMs, type CallOptions, type HttpClient, type ServerCredentials } from './client.ts';
