import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Ids } from './ids.ts';
import { endOfFlood, Streams, type FloodOrder } from './streams.ts';
import { Turns, type TurnSettings } from './turns.ts';
import { sessionInfo } from './turn-script.ts';

export interface SyntheticSettings extends TurnSettings {
  /** What `GET /config` gives: the configuration that the server was started with. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly directory: string;
}

type Handler = (request: { readonly url: URL; readonly body: Record<string, unknown>; readonly id: string }) => unknown;

/**
 * A server that speaks as much of opencode's HTTP and event protocol as the manager needs, with instant turns or turns
 * at a given rate of events: what is measured on it is the manager alone.
 */
export function createSyntheticServer(settings: SyntheticSettings): Server {
  const ids = new Ids();
  const streams = new Streams(ids, settings.directory);
  const turns = new Turns(ids, streams, settings);
  const routes = routesOf(settings, ids, streams, turns);
  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://synthetic');
    if (url.pathname === '/global/event') return streams.add(response, 'global');
    if (url.pathname === '/event') return streams.add(response, 'directory');
    void answer(routes, request, url, response);
  });
}

async function answer(
  routes: Readonly<Record<string, Handler>>,
  request: IncomingMessage,
  url: URL,
  response: ServerResponse,
): Promise<void> {
  const [, id = ''] = /^\/session\/(ses_[^/]+)/.exec(url.pathname) ?? [];
  const handler = routes[`${request.method} ${id === '' ? url.pathname : url.pathname.replace(id, ':id')}`];
  const text = request.method === 'GET' ? '' : Buffer.concat(await request.toArray()).toString();
  if (!handler)
    return void response.writeHead(404, { 'content-type': 'application/json' }).end('{"name":"NotFoundError","data":{"message":"none"}}');
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  const value = await handler({ url, body, id });
  if (value === undefined) response.writeHead(204).end();
  else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function routesOf({ config, directory }: SyntheticSettings, ids: Ids, streams: Streams, turns: Turns): Record<string, Handler> {
  const providers = (config['enabled_providers'] as string[] | undefined) ?? ['synthetic'];
  const place = (url: URL) => url.searchParams.get('directory') ?? directory;
  const idle = (sessionId: string) => ({ sessionId, type: 'session.idle', properties: { sessionID: sessionId }, stored: false });
  return {
    'GET /global/health': () => ({ healthy: true, version: '1.18.33' }),
    'GET /config': () => config,
    'GET /config/providers': () => ({
      providers: providers.map((id) => ({ id, name: id, models: { instant: { id: 'instant', name: 'instant' } } })),
      default: {},
    }),
    'GET /agent': () => [{ name: 'build' }],
    'GET /command': () => [],
    'GET /permission': () => [],
    'GET /question': () => [],
    'GET /session/status': () => turns.status(),
    'POST /global/dispose': () => true,
    'POST /instance/dispose': () => true,
    'POST /sync/history': () => [],
    // It remembers no sessions, only their turns.
    'GET /session': () => [],
    'POST /session': ({ url }) => sessionInfo(ids.next('ses'), place(url)),
    'GET /session/:id': ({ url, id }) => sessionInfo(id, place(url)),
    'GET /session/:id/message': ({ id }) => turns.messages(id),
    'GET /session/:id/children': () => [],
    'POST /session/:id/prompt_async': ({ url, id, body }) => turns.start(id, place(url), String(body['messageID'])),
    'POST /session/:id/abort': ({ id }) => {
      streams.publish([idle(id)]);
      return true;
    },
    'POST /synthetic/flood': async ({ body }) => ({ deltaCharacters: await streams.flood(body as unknown as FloodOrder), end: endOfFlood }),
  };
}
