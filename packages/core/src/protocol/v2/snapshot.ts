import { isManagerError } from '../../errors/error.ts';
import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { DirectorySnapshot, SessionStatus } from '../sessions.ts';
import { readMessages } from './messages.ts';
import { requests } from './requests.ts';
import type { ServerMemory } from './server-memory.ts';
import { decodePermission, decodeQuestion } from './shapes.ts';
import { decodeRetry } from './turn-error.ts';

/** Three requests, each true at a time of its own: between two of them a turn may begin or a permission request may open. */
export async function readSnapshot(client: HttpClient, memory: ServerMemory, directory: string): Promise<DirectorySnapshot> {
  const startedAtMs = Date.now();
  const sentAtMs = { status: startedAtMs, permissions: startedAtMs, questions: startedAtMs };
  const [status, permissions, questions] = await Promise.all([
    readStatus(client, memory, directory),
    client.call(requests.permissions(directory)),
    client.call(requests.forms(directory)),
  ]);
  return {
    startedAtMs,
    sentAtMs,
    status,
    permissions: permissions.data.map((request) => decodePermission(request, directory)),
    questions: questions.data.map((form) => decodeQuestion(form, directory)),
  };
}

/** A turn that is this old is asked whether it waits for its provider, and again after as long, in milliseconds: most are over by then. */
const retryReadMs = 1000;

/**
 * Sessions of a directory that are not idle, or rest between two executions of a turn. opencode lists those of all directories, and tells by their newest message alone whether they wait for
 * the provider.
 */
export async function readStatus(
  client: HttpClient,
  memory: ServerMemory,
  directory: string,
  options?: CallOptions,
): Promise<Readonly<Record<string, SessionStatus>>> {
  const lines = memory.busyShellLines();
  const { data } = await client.call(requests.active(), options);
  const resting = await stillResting(client, memory, data, options);
  const active = [...new Set([...Object.keys(data), ...lines, ...resting])];
  memory.keepActive(active);
  const there = await Promise.all(active.map(async (id) => (await directoryOf(client, memory, id, options)) === directory));
  const ours = active.filter((_, index) => there[index]);
  const all = await Promise.all(ours.map(async (id) => [id, await statusOf(client, memory, id, options)] as const));
  return Object.fromEntries(all);
}

/** Those that were seen to rest, and still do: their messages alone tell. */
async function stillResting(
  client: HttpClient,
  memory: ServerMemory,
  active: Readonly<Record<string, unknown>>,
  options: CallOptions | undefined,
): Promise<readonly string[]> {
  const seen = [...memory.resting].filter((id) => active[id] === undefined);
  await Promise.all(
    seen.map((id) =>
      readMessages(client, memory, id, options).catch((error: unknown) => {
        if (!isManagerError(error, 'NOT_FOUND')) throw error;
        memory.forget(id);
      }),
    ),
  );
  return seen.filter((id) => memory.resting.has(id));
}

/** Undefined for a session that is gone. */
async function directoryOf(
  client: HttpClient,
  memory: ServerMemory,
  id: string,
  options: CallOptions | undefined,
): Promise<string | undefined> {
  const known = memory.directoryOf(id);
  if (known !== undefined) return known;
  try {
    const { data } = await client.call(requests.session(id), options);
    const directory = data.location?.directory;
    if (directory !== undefined) memory.keepDirectory(id, directory);
    return directory;
  } catch (error) {
    if (isManagerError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

const busy: SessionStatus = { type: 'busy' };

async function statusOf(client: HttpClient, memory: ServerMemory, id: string, options: CallOptions | undefined): Promise<SessionStatus> {
  const known = memory.activityOf(id);
  const nowMs = Date.now();
  if (!known || nowMs - known.readAtMs < retryReadMs) return known?.status ?? busy;
  known.readAtMs = nowMs;
  known.status = await newestRetry(client, id, options).catch(() => busy);
  return known.status;
}

async function newestRetry(client: HttpClient, id: string, options: CallOptions | undefined): Promise<SessionStatus> {
  const { data } = await client.call(requests.messages(id, { limit: 1 }), options);
  const [message] = data;
  if (message?.type !== 'assistant' || !message.retry) return busy;
  return { type: 'retry', ...decodeRetry(message.retry) };
}
