import type { IncomingMessage } from 'node:http';

import type { RequestHead, RequestMatch } from './types.ts';

/** Query fields whose values are credentials: opencode takes its password in `auth_token`. */
const secretFields = /((?:^|&)[^=&]*(?:token|key|password|secret)[^=&]*=)[^&]*/gi;

export function headOf({ method = 'GET', url = '/', headers }: IncomingMessage): RequestHead {
  const { path, query } = splitUrl(url);
  return { method, path, query: new URLSearchParams(query), headers };
}

/** The query as it may stand in a record. */
export function recordedQuery(url: string): string {
  return splitUrl(url).query.replace(secretFields, '$1***');
}

function splitUrl(url: string): { path: string; query: string } {
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

/** Decides by method and path; `test` needs the whole head and is asked last. */
export function matchesRequest({ method, path, test }: RequestMatch, head: RequestHead): boolean {
  if (method !== undefined && method.toUpperCase() !== head.method) return false;
  if (path !== undefined && !matchesPath(path, head)) return false;
  return test === undefined || test(head);
}

function matchesPath(path: string | RegExp, head: RequestHead): boolean {
  if (typeof path === 'string') return path === head.path;
  const query = head.query.toString();
  return withoutPosition(path).test(query === '' ? head.path : `${head.path}?${query}`);
}

/** g and y keep a position between calls: one request would change what the next one matches. */
export function withoutPosition(expression: RegExp): RegExp {
  return new RegExp(expression.source, expression.flags.replace(/[gy]/g, ''));
}
