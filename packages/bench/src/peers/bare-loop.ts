import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { runAtOnce } from '../measure/concurrency.ts';
import { Agent } from 'undici';

/** What somebody writes who wants the least between himself and opencode. */
export interface BareLoop extends AsyncDisposable {
  /** Runs one prompt in a session of its own, in the server's directory when none is named. */
  prompt(where?: { readonly directory: string }): Promise<void>;
  /** Runs so many prompts, so many at once. */
  run(count: number, atOnce: number): Promise<void>;
}

/** Who follows the sessions of a loop: each event is parsed for it then. */
export interface SessionFollower {
  begin(sessionId: string): void;
  event(sessionId: string, type: string, properties: Readonly<Record<string, unknown>>): void;
  end(sessionId: string): void;
}

interface Server {
  readonly directory: string;
  credentials(): { readonly url: string; readonly authorization: string };
}

/** A loop on undici: create a session, send a prompt, wait for the session's idle. It proves nothing and recovers nothing. */
export async function bareLoop(
  server: Server,
  sessionBody: { readonly title?: string } = { title: 'bench' },
  follower?: SessionFollower,
): Promise<BareLoop> {
  const { url, authorization } = server.credentials();
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connections: 256 });
  const headers = { authorization, 'content-type': 'application/json' };
  const post = async (path: string, body: unknown, directory = server.directory) => {
    const query = { directory };
    const answer = await agent.request({ origin: url, path, query, method: 'POST', headers, body: JSON.stringify(body) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${path}: ${answer.statusCode}`);
    return text === '' ? undefined : (JSON.parse(text) as { id: string });
  };
  const idle = new Map<string, () => void>();
  await readRecords(agent, url, headers, (record) => {
    if (follower) tell(follower, record);
    if (record.includes('"type":"session.idle"')) resolveIdle(record, idle);
  });
  await untilSubscribed(idle, (id) => post(`/session/${id}/abort`, {}));
  const prompt = async (where?: { readonly directory: string }) => {
    const session = await post('/session', sessionBody, where?.directory);
    const done = new Promise<void>((resolve) => idle.set(session!.id, resolve));
    follower?.begin(session!.id);
    const body = { messageID: messageId(), parts: [{ type: 'text', text: 'say done' }] };
    await post(`/session/${session!.id}/prompt_async`, body, where?.directory);
    await done;
    idle.delete(session!.id);
    follower?.end(session!.id);
  };
  return { prompt, run: (count, atOnce) => runAtOnce(count, atOnce, () => prompt()), [Symbol.asyncDispose]: () => agent.destroy() };
}

/** Hands over each record of the stream. Resolves when the stream is open. */
async function readRecords(agent: Agent, url: string, headers: Record<string, string>, onRecord: (record: string) => void): Promise<void> {
  const { body } = await agent.request({ origin: url, path: '/global/event', method: 'GET', headers });
  const open = Promise.withResolvers<void>();
  void (async () => {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of body as AsyncIterable<Buffer>) {
      open.resolve();
      const records = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
      rest = records.pop()!;
      for (const record of records) onRecord(record);
    }
  })().catch(() => undefined);
  await open.promise;
}

/**
 * opencode greets a connection before it subscribes it; with fifty prompts at once that took a second, and the ends of the first turns were never
 * told. To abort a session that does not exist changes nothing, and is told as its idle.
 */
async function untilSubscribed(idle: Map<string, () => void>, abort: (id: string) => Promise<unknown>): Promise<void> {
  const id = `ses_bareloop${randomBytes(12).toString('hex')}`;
  const heard = Promise.withResolvers<true>();
  idle.set(id, () => heard.resolve(true));
  do await abort(id);
  while (!(await Promise.race([heard.promise, delay(50, false)])));
  idle.delete(id);
}

/** A stored event comes a second time as a `sync` record, which a loop has no use for. */
function tell(follower: SessionFollower, record: string): void {
  const { payload } = JSON.parse(record.slice('data: '.length)) as { payload: { type: string; properties?: Record<string, unknown> } };
  const sessionId = payload.properties?.['sessionID'];
  if (typeof sessionId === 'string') follower.event(sessionId, payload.type, payload.properties!);
}

function resolveIdle(record: string, idle: Map<string, () => void>): void {
  const { payload } = JSON.parse(record.slice('data: '.length)) as { payload: { properties: { sessionID: string } } };
  idle.get(payload.properties.sessionID)?.();
}

let newest = 0;

/** opencode wants ids that grow with time. */
function messageId(): string {
  newest = Math.max(newest + 1, (Date.now() * 4096) % 2 ** 48);
  return `msg_${newest.toString(16).padStart(12, '0')}${randomBytes(7).toString('hex')}`;
}
