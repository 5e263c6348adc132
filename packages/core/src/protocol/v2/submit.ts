import { isManagerError, OpencodeManagerError } from '../../errors/error.ts';
import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { PromptPart, TurnRequest, UntoldEnd } from '../calls.ts';
import { loadedConfiguration } from './configuration/loaded.ts';
import { mcpWaitMs, type McpWait } from './mcp-wait.ts';
import { requests, type InboxEntry, type PromptBody } from './requests.ts';
import type { ServerMemory } from './server-memory.ts';
import type { WireModel, WireSession } from './wire.ts';

/** Where a turn is sent. */
export interface SubmitPlace {
  readonly client: HttpClient;
  readonly memory: ServerMemory;
  /** The tail of what the server has printed. */
  readonly output: () => string;
  /** The newest end of a session's turn that the server could not store. */
  readonly untoldEnd: (sessionId: string) => UntoldEnd | undefined;
  /** The variable that tells whose session a tool's process belongs to. */
  readonly sessionVariable: string | undefined;
  /** Undefined where there are no MCP servers. */
  readonly mcpWait: McpWait | undefined;
  readonly onNote: (note: string) => void;
  readonly id: string;
  readonly directory: string;
}

/** Of the instructions of one turn, among those of the session. */
const instructionKey = 'opencode-manager';

/** Sends a turn: what is left of earlier ones is taken away first, and what opencode 2 keeps for the session is set as this turn wants it. */
export async function submitTurn(place: SubmitPlace, turn: TurnRequest, options?: CallOptions): Promise<void> {
  await markTools(place, options);
  if (turn.kind === 'shell') return submitShell(place, turn, options);
  const { client, memory, id, directory, mcpWait } = place;
  await mcpWait?.(directory, mcpWaitMs.turn, options?.signal);
  const isFresh = memory.fresh.delete(id);
  if (!isFresh) await clearInbox(client, id, options);
  await choose(place, turn, isFresh, options);
  if (turn.kind === 'command') {
    // A template may run shell lines before the command is answered.
    return client.call(requests.command(id, { name: turn.name, text: turn.arguments }), { timeoutMs: Infinity, ...options });
  }
  const prefix = await instruct(place, turn.system ?? '', isFresh, options);
  const body = promptBody(turn.messageId, turn.parts, prefix);
  if (body.files) await mustBeReadable(place, body, options);
  await sendPrompt(client, id, body, options);
}

/**
 * Lets opencode look at the files of a prompt before it begins: one that it cannot read it leaves out without a word, and a fast model would have
 * answered before an interrupt arrives. The prompt waits in the inbox; sent once more, it begins.
 * @throws `PROMPT_INVALID`
 */
async function mustBeReadable(place: SubmitPlace, body: PromptBody, options?: CallOptions): Promise<void> {
  const { client, id } = place;
  const { data: entry } = await sendPrompt(client, id, { ...body, resume: false }, options);
  const unreadable = (entry?.payload?.files ?? []).find(({ mime }) => mime === unknownContent);
  if (unreadable === undefined) return;
  await clearInbox(client, id, options);
  throw unreadableFile(unreadable.name);
}

/** A server keeps the environment of a session for as long as it lives; what else belongs into it, our plugin adds. */
async function markTools({ client, memory, id, sessionVariable }: SubmitPlace, options?: CallOptions): Promise<void> {
  if (sessionVariable === undefined || memory.marked.has(id)) return;
  await client.call(requests.environment(id, { [sessionVariable]: id }), options);
  memory.marked.add(id);
}

/** A prompt whose answer was lost is sent again: it has an id, and opencode takes it once. */
async function sendPrompt(
  client: HttpClient,
  id: string,
  body: PromptBody,
  options?: CallOptions,
): Promise<{ readonly data?: InboxEntry }> {
  try {
    return await client.call(requests.prompt(id, body), options);
  } catch (error) {
    if (!isManagerError(error, 'REQUEST_TIMEOUT')) throw error;
    return client.call(requests.prompt(id, body), options);
  }
}

/** opencode takes the type of a file from its content. Of one that is neither a text nor an image that it can read, it tells the model nothing. */
const unknownContent = 'application/octet-stream';

function unreadableFile(name = 'a file'): OpencodeManagerError {
  return new OpencodeManagerError(
    'PROMPT_INVALID',
    `files: opencode cannot read ${name}: it is neither a text nor a whole image. The model was not asked. Send it in another form, or let the agent read it from the directory.`,
    { details: { file: name } },
  );
}

async function submitShell(
  { client, memory, id }: SubmitPlace,
  { messageId, command }: Extract<TurnRequest, { kind: 'shell' }>,
  options?: CallOptions,
): Promise<void> {
  memory.fresh.delete(id);
  memory.beginShellLine(id);
  try {
    await client.call(requests.shell(id, { id: messageId, command }), { timeoutMs: Infinity, ...options });
  } finally {
    memory.endShellLine(id);
  }
}

/** Prompts that waited when a turn was interrupted would run behind the next one. What opencode itself has to say (of a shell line) stays. */
export async function clearInbox(client: HttpClient, id: string, options?: CallOptions): Promise<void> {
  const { data } = await client.call(requests.inbox(id), options);
  for (const entry of data) {
    if (entry.type === 'synthetic') continue;
    await client.call(requests.removeFromInbox(id, entry.id), options).catch((error: unknown) => {
      // It was delivered meanwhile.
      if (!isManagerError(error, 'NOT_FOUND')) throw error;
    });
  }
}

/** The agent of a session stays until another is chosen; without one a turn is the default agent's. */
async function choose(place: SubmitPlace, { model, agent }: TurnRequest, isFresh: boolean, options?: CallOptions): Promise<void> {
  const { client, id, directory } = place;
  const now: Pick<WireSession, 'agent' | 'model'> = isFresh ? {} : (await client.call(requests.session(id), options)).data;
  const wantedAgent = agent ?? (now.agent === undefined ? undefined : await defaultAgent(client, directory, options));
  if (wantedAgent !== undefined && wantedAgent !== now.agent) await client.call(requests.switchAgent(id, wantedAgent), options);
  const wanted = model === undefined ? undefined : wireModel(model);
  if (wanted && (wanted.id !== now.model?.id || wanted.providerID !== now.model.providerID))
    await client.call(requests.switchModel(id, wanted), options);
}

/** The model of a turn for which nobody chooses another. */
export async function defaultModel(client: HttpClient, directory: string, options?: CallOptions): Promise<WireModel | undefined> {
  const documents = await client.call(requests.config(directory), options);
  const model = loadedConfiguration(documents)['model'];
  return typeof model === 'string' ? wireModel(model) : undefined;
}

async function defaultAgent(client: HttpClient, directory: string, options?: CallOptions): Promise<string> {
  const documents = await client.call(requests.config(directory), options);
  return (loadedConfiguration(documents)['default_agent'] as string | undefined) ?? 'build';
}

/**
 * Puts the turn's own instructions into the session's; those of an earlier turn go.
 * @returns what has to stand before the prompt, where opencode has no such route (any more)
 */
async function instruct(
  { client, memory, onNote, id }: SubmitPlace,
  system: string,
  isFresh: boolean,
  options?: CallOptions,
): Promise<string> {
  const mayHave = !isFresh && !memory.instructed.has(id);
  try {
    if (system !== '') {
      await client.call(requests.putInstruction(id, instructionKey, system), options);
      memory.instructed.delete(id);
    } else if (mayHave) {
      await client.call(requests.removeInstruction(id, instructionKey), options);
      memory.instructed.add(id);
    }
    return '';
  } catch (error) {
    if (!isManagerError(error, 'NOT_FOUND') && !isManagerError(error, 'RESPONSE_INVALID')) throw error;
    if (system === '') return '';
    onNote('This version of opencode takes no system text for a prompt: it stands before the text of the prompt.');
    return `${system}\n\n`;
  }
}

function promptBody(id: string, parts: readonly PromptPart[], prefix: string): PromptBody {
  const texts = parts.flatMap((part) => (part.type === 'text' && !part.ignored ? [part.text] : []));
  const files = parts.flatMap((part) =>
    part.type === 'file' ? [{ uri: part.url, ...(part.filename !== undefined && { name: part.filename }) }] : [],
  );
  const agents = parts.flatMap((part) => (part.type === 'agent' ? [{ name: part.name }] : []));
  return {
    id,
    text: prefix + texts.join('\n\n'),
    ...(files.length > 0 && { files }),
    ...(agents.length > 0 && { agents }),
  };
}

/** `provider/model` as the wire wants it; the model's own name may hold slashes. @throws `MODEL_UNKNOWN` */
export function wireModel(model: string): WireModel {
  const slash = typeof model === 'string' ? model.indexOf('/') : -1;
  if (slash > 0 && slash < model.length - 1) return { providerID: model.slice(0, slash), id: model.slice(slash + 1) };
  throw new OpencodeManagerError('MODEL_UNKNOWN', `model: ${model} is not of the form provider/model. Nothing was sent.`, {
    details: { model },
  });
}
