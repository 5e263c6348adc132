import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Script } from '../script/types.ts';
import { sendAnswer } from './answer.ts';
import { compileScript, type CompiledScript, type Selection } from './compile.ts';
import { readConversation, type ChatRequest, type Conversation } from './conversation.ts';
import { openExchange } from './exchange.ts';
import { defaultContextTokens } from './opencode-config.ts';
import { CallRecorder, type CallEnd, type RecordedCall } from './recorder.ts';
import { errorAnswer } from './wire.ts';

/** Request bodies above this are refused with 413, in bytes. */
const maxBodyBytes = 256 * 1024 * 1024;

const modelList = {
  object: 'list',
  data: ['model', 'small'].map((id) => ({ id, object: 'model', created: 0, owned_by: 'scripted' })),
};

const secretHeaders = new Set(['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'cookie']);

/** What changes with `reset()`, in one place. */
export class ModelState {
  script: Script;
  compiled: CompiledScript;
  recorder = new CallRecorder();
  readonly closing = new AbortController();

  constructor(script: Script) {
    this.script = script;
    this.compiled = compileScript(script);
  }

  reset(script: Script): void {
    this.compiled = compileScript(script);
    this.script = script;
    this.recorder = new CallRecorder();
  }
}

/** Answers one HTTP request to the scripted model. */
export async function handleRequest(state: ModelState, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?')[0];
  if (request.method === 'GET' && path === '/v1/models') return sendJson(response, 200, modelList);
  if (request.method !== 'POST' || path !== '/v1/chat/completions')
    return refuse(response, 404, `Unknown request URL: ${request.method} ${path}`);
  const body = await readBody(request).catch(() => undefined);
  if (body === undefined) return refuse(response, 413, `The request is larger than ${maxBodyBytes} bytes or was broken off`);
  const chat = parseChat(body);
  if (!chat) return refuse(response, 400, 'The body is not a chat-completions request: it needs model and messages');
  await answer(state, chat, request, response);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new RangeError('body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseChat(body: string): ChatRequest | undefined {
  try {
    const value = JSON.parse(body) as Partial<ChatRequest> | null;
    return typeof value?.model === 'string' && Array.isArray(value.messages) ? (value as ChatRequest) : undefined;
  } catch {
    return undefined;
  }
}

/** Selects, records, answers. The recorder is held by the call, so that a reset meanwhile leaves the new one alone. */
async function answer(state: ModelState, chat: ChatRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { recorder, script } = state;
  const conversation = readConversation(chat, request.headers);
  const selection = selectOrExplain(state.compiled, conversation);
  const call = recorder.begin(describeCall(conversation, selection, request));
  const gone = new AbortController();
  response.on('close', () => !response.writableFinished && gone.abort());
  const exchange = openExchange(response, AbortSignal.any([gone.signal, state.closing.signal]));
  const options = {
    conversation,
    reply: { ...(script.tokensPerSecond !== undefined && { tokensPerSecond: script.tokensPerSecond }), ...selection.reply },
    identity: { id: `chatcmpl-${call.number}`, model: chat.model, created: Math.floor(call.startedAtMs / 1000) },
    callNumber: call.number,
    contextTokens: script.model?.contextTokens ?? defaultContextTokens,
  };
  const outcome: CallEnd['outcome'] = await sendAnswer(exchange, options).catch((error: unknown) => {
    if (!exchange.signal.aborted) throw error;
    return state.closing.signal.aborted ? 'closed' : 'aborted';
  });
  recorder.end(call, { outcome, status: response.headersSent ? response.statusCode : undefined });
}

/** A function in the script that throws must be seen where the answer is read, not end the test process. */
function selectOrExplain(compiled: CompiledScript, conversation: Conversation): Selection {
  try {
    return compiled.select(conversation);
  } catch (error) {
    const message = `A function of the script threw: ${error instanceof Error ? error.message : String(error)}`;
    return { rule: null, reply: { error: { status: 400, message, type: 'script_error' } } };
  }
}

function describeCall(conversation: Conversation, { rule }: Selection, request: IncomingMessage): Omit<RecordedCall, 'number' | 'outcome'> {
  const { purpose, model, stream, messages, tools, user, system, step, sessionId, parentSessionId } = conversation;
  const headers = Object.entries(request.headers).flatMap(([name, value]) => (secretHeaders.has(name) ? [] : [[name, String(value)]]));
  return {
    purpose,
    startedAtMs: Date.now(),
    rule,
    model,
    stream,
    messages,
    tools,
    user,
    system,
    step,
    sessionId,
    parentSessionId,
    headers: Object.fromEntries(headers) as Record<string, string>,
  };
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const { headers, body } = errorAnswer({ status, message });
  response.writeHead(status, headers).end(body);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
