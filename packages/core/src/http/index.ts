export { createHttpClient, type CallOptions, type HttpClient, type ServerCredentials } from './client.ts';
export { warmUpHttp } from './warm-up.ts';
