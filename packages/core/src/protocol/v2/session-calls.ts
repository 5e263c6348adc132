import { isManagerError, OpencodeManagerError } from '../../errors/error.ts';
import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { SessionCalls } from '../calls.ts';
import type { MessageWithParts } from '../messages.ts';
import type { SessionInfo } from '../sessions.ts';
import { openWork } from './background.ts';
import { decodeHistory, newest, summaryOf } from './history.ts';
import { readMessages } from './messages.ts';
import { requests } from './requests.ts';
import { causeOfFailure } from './server-log.ts';
import { allSessions } from './session-list.ts';
import { decodeSession } from './shapes.ts';
import { clearInbox, defaultModel, submitTurn, wireModel, type SubmitPlace } from './submit.ts';
import { endsWith, entryOf } from './untold-end.ts';
import { unsupportedByV2 } from './unsupported.ts';

/** Wait between two looks at what an interrupt leaves, and how long that is looked at, in milliseconds. */
const settling = { pollMs: 50, longestMs: 2000 } as const;

/** Wait between two looks at a summary, in milliseconds. */
const summaryPollMs = 100;

/** What is asked about one session. */
export function sessionCalls(place: SubmitPlace): SessionCalls {
  const { client, memory, id, directory } = place;
  const info = async (options?: CallOptions) => decodeSession((await client.call(requests.session(id), options)).data);
  return {
    submit: (turn, options) => submitTurn(place, turn, options),
    abort: (options) => interrupt(place, options),
    info,
    messages: async (limit, options) => newest(await readHistory(place, options), limit),
    message: (messageId, options) => readMessage(place, messageId, options),
    deleteMessage: () => Promise.reject(unsupportedByV2('The removal of a message', 'removableMessages')),
    children: (options) => allSessions(client, { parentID: id }, options),
    todos: () => Promise.reject(unsupportedByV2('todos()', 'todos')),
    diff: async (messageId, options) => [...(await client.call(requests.diff(id, messageId), options)).data],
    async fork(messageId, options) {
      const { data } = await client.call(requests.fork(id, messageId), options);
      memory.keepDirectory(data.id, data.location?.directory ?? directory);
      return decodeSession(data);
    },
    async revert(messageId, options) {
      await client.call(requests.stageRevert(id, messageId), options);
      return info(options);
    },
    async unrevert(options) {
      await client.call(requests.clearRevert(id), options);
      return info(options);
    },
    async rename(title, options): Promise<SessionInfo> {
      await client.call(requests.updateSession(id, { title }), options);
      return info(options);
    },
    summarize: (model, options) => summarize(place, model, options),
    async delete(options) {
      await client.call(requests.deleteSession(id), options);
      memory.forget(id);
    },
  };
}

async function readHistory(place: SubmitPlace, options?: CallOptions): Promise<MessageWithParts[]> {
  const { client, memory, output, id, directory } = place;
  const { messages, untold } = await readEnded(place, options);
  const changed = messages.some((message) => message.type === 'assistant' && (message.snapshot?.files?.length ?? 0) > 0);
  const root = changed ? await rootOf(client, memory.roots, directory, options) : directory;
  const last = messages.at(-1);
  const cause = untold?.cause ?? (last?.type === 'idle' && last.outcome === 'failed' ? causeOfFailure(output(), id) : undefined);
  return decodeHistory(messages, { sessionId: id, root, cause });
}

/**
 * The messages of a session. Where opencode could not store the end of the newest turn, the entry that tells of it is added. It counts only when the session is not
 * busy, and the messages are read once more after that: the turn may have gone on, and its end been stored.
 */
async function readEnded({ client, memory, untoldEnd, id }: SubmitPlace, options?: CallOptions) {
  const messages = await readMessages(client, memory, id, options);
  const untold = untoldEnd(id);
  if (!untold || !endsWith(untold, messages)) return { messages };
  const { data } = await client.call(requests.active(), options);
  if (data[id] !== undefined) return { messages };
  const after = await readMessages(client, memory, id, options);
  return endsWith(untold, after) ? { messages: [...after, entryOf(untold, after)], untold } : { messages: after };
}

/** Files of steps are told relative to the worktree. */
async function rootOf(client: HttpClient, roots: Map<string, string>, directory: string, options?: CallOptions): Promise<string> {
  const known = roots.get(directory);
  if (known !== undefined) return known;
  const { project } = await client.call(requests.location(directory), options);
  const root = project === undefined || project.directory === '/' ? directory : project.directory;
  roots.set(directory, root);
  return root;
}

/** One message, as it stands among the others. @throws `NOT_FOUND` */
async function readMessage(place: SubmitPlace, messageId: string, options?: CallOptions): Promise<MessageWithParts> {
  const { client, id } = place;
  // Ids that are made here are not opencode's.
  await client.call(requests.message(id, messageId.split(':', 1)[0]!), options);
  const found = (await readHistory(place, options)).find((message) => message.info.id === messageId);
  if (found) return found;
  const { data } = await client.call(requests.message(id, messageId), options);
  const [alone] = decodeHistory([data], { sessionId: id, root: place.directory });
  if (alone) return alone;
  throw new OpencodeManagerError(
    'NOT_FOUND',
    `message ${messageId} of session ${id} is an entry of opencode's own (${data.type}), of no turn.`,
    {
      details: { sessionId: id, messageId },
    },
  );
}

/**
 * Ends what a session does: what it runs in the background, its execution, and what waits in its inbox. An interrupt leaves the first and the last, which would
 * begin another execution. A shell that a tool waits for ends after the interrupt: its end would be that tool's result, and the model would go on.
 */
async function interrupt(place: SubmitPlace, options?: CallOptions): Promise<void> {
  const { client, memory, id, directory } = place;
  const messages = await readMessages(client, memory, id, options);
  const { data } = await client.call(requests.shells(directory), options);
  const shells = data.flatMap((shell) => (shell.status === 'running' && shell.metadata?.sessionID === id ? [shell.id] : []));
  const open = openWork(messages);
  await endShells(
    place,
    shells.filter((shell) => open.has(shell)),
    options,
  );
  await client.call(requests.interrupt(id), options);
  await endShells(
    place,
    shells.filter((shell) => !open.has(shell)),
    options,
  );
  const children = await interruptChildren(place, options);
  await clearInbox(client, id, options);
  memory.resting.delete(id);
  if (shells.length + children > 0) await interruptWhatFollows(client, id, options);
}

async function endShells({ client, directory }: SubmitPlace, shells: readonly string[], options?: CallOptions): Promise<void> {
  for (const shell of shells) await client.call(requests.endShell(shell, directory), options).catch(unlessGone);
}

/** Sub-agents that work still. Gives their number. */
async function interruptChildren(place: SubmitPlace, options?: CallOptions): Promise<number> {
  const { client, id } = place;
  const { data: active } = await client.call(requests.active(), options);
  if (Object.keys(active).every((one) => one === id)) return 0;
  const children = (await allSessions(client, { parentID: id }, options)).filter((child) => active[child.id] !== undefined);
  for (const child of children) await interrupt({ ...place, id: child.id, directory: child.directory }, options).catch(unlessGone);
  return children.length;
}

/** The end of work in the background is told to the session, and begins an execution. */
async function interruptWhatFollows(client: HttpClient, id: string, options?: CallOptions): Promise<void> {
  const untilMs = Date.now() + settling.longestMs;
  for (let quiet = 0; quiet < 3 && Date.now() < untilMs; quiet += 1) {
    const { interrupted } = await client.call(requests.interrupt(id), options);
    await clearInbox(client, id, options);
    if (interrupted === true) quiet = 0;
    await new Promise((resolve) => setTimeout(resolve, settling.pollMs));
  }
}

function unlessGone(error: unknown): void {
  if (!isManagerError(error, 'NOT_FOUND')) throw error;
}

/** A summary is made by the session's own model: that is chosen for as long as it takes. */
async function summarize(
  { client, id, directory }: SubmitPlace,
  model: string,
  options: CallOptions = {},
): Promise<MessageWithParts | undefined> {
  const wanted = wireModel(model);
  const { data: session } = await client.call(requests.session(id), options);
  const before = session.model ?? (await defaultModel(client, directory, options));
  const isOther = wanted.id !== before?.id || wanted.providerID !== before.providerID;
  if (isOther) await client.call(requests.switchModel(id, wanted), options);
  try {
    const { data: entry } = await client.call(requests.compact(id), options);
    const { timeoutMs = Infinity } = options;
    for (const untilMs = Date.now() + timeoutMs; Date.now() < untilMs;) {
      const { data: active } = await client.call(requests.active(), options);
      const { data: message } = await client.call(requests.message(id, entry.id), options).catch(absent);
      if (active[id] === undefined && message?.type === 'compaction' && message.status !== 'running') return summaryOf(message, id);
      await new Promise((resolve) => setTimeout(resolve, summaryPollMs));
    }
    return undefined;
  } finally {
    if (isOther && before) await client.call(requests.switchModel(id, before)).catch(() => undefined);
  }
}

/** It is kept when it begins. */
function absent(error: unknown): { readonly data: undefined } {
  if (!isManagerError(error, 'NOT_FOUND')) throw error;
  return { data: undefined };
}
