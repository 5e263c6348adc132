import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Script } from '../script/types.ts';
import { sendAnswer } from './answer.ts';
import { compileScript, type CompiledScript, type Selection } from './compile.ts';
import { readConversation, type ChatRequest, type Conversation } from './conversation.ts';
import { openExchange } from './exchange.ts';
import { defaultContextTokens, opencodeConfigFor, type ScriptedOpencodeConfig } from './opencode-config.ts';
import { CallRecorder, type CallEnd, type RecordedCall, type WaitForCallsOptions, type WaitOptions } from './recorder.ts';
import { errorAnswer } from './wire.ts';

export interface ScriptedModelOptions {
  /** Port on 127.0.0.1. Default: 0, a free one. */
  readonly port?: number;
}

/**
 * A running scripted model.
 *
 * @example
 * await using model = await startScriptedModel({ rules: [{ when: { user: 'ping' }, reply: 'pong' }] })
 * await using server = await launchServer({ opencodeConfig: model.opencodeConfig() })
 * @public
 */
export interface ScriptedModel extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/v1`, the base URL of an OpenAI-compatible provider. */
  readonly url: string;
  readonly port: number;
  /** Every call since the start or the last `reset()`, oldest first, titles and summaries included. */
  readonly calls: readonly RecordedCall[];
  /** The calls that answer turns. */
  readonly turnCalls: readonly RecordedCall[];
  /** Calls of turns that are being answered now. */
  readonly inFlight: number;
  /** The highest number of them at once. */
  readonly maxInFlight: number;
  /** An opencode configuration with this model as `scripted/model`, and no other provider. */
  opencodeConfig(): ScriptedOpencodeConfig;
  /**
   * Resolves with the calls as soon as that many have come in (answered or not).
   * @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`)
   */
  waitForCalls(count: number, options?: WaitForCallsOptions): Promise<readonly RecordedCall[]>;
  /** Resolves when no call of any purpose is in flight. @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`) */
  waitForIdle(options?: WaitOptions): Promise<void>;
  /**
   * Forgets the calls and counts anew, with another script when one is given. Calls in flight go on unrecorded.
   * @throws {@link ScriptError} (`SCRIPT_INVALID`); the old script stays then.
   */
  reset(script?: Script): void;
  /** Cuts calls in flight and frees the port. Idempotent. */
  stop(): Promise<void>;
}

/** Request bodies above this are refused with 413, in bytes. */
const maxBodyBytes = 256 * 1024 * 1024;

/**
 * Starts an OpenAI-compatible model server that answers by a script: no API key, no network, no chance. Equal
 * conversations get equal answers.
 *
 * @param script - Rules in code, or what `loadScript` read from a file.
 * @example
 * await using model = await startScriptedModel({
 *   rules: [
 *     { when: { user: 'list the files' }, reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'ls' } }] }, 'There they are.'] },
 *     { when: { user: /number (\d+)/ }, reply: { text: 'You said {{user.1}}.', tokensPerSecond: 40 } },
 *   ],
 * })
 * @throws {@link ScriptError} (`SCRIPT_INVALID`); the system's own error (`EADDRINUSE`) when the port is taken.
 * @public
 */
export async function startScriptedModel(script: Script = {}, { port = 0 }: ScriptedModelOptions = {}): Promise<ScriptedModel> {
  const state = new ModelState(script);
  const server = createServer((request, response) => void handle(state, request, response));
  // A kept connection that this side closes while the client sends on it would look like a fault nobody scripted.
  server.keepAliveTimeout = 0;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return modelHandle(state, address.port, async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    state.closing.abort();
    server.closeAllConnections();
    await closed;
  });
}

/** What changes with `reset()`, in one place. */
class ModelState {
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

function modelHandle(state: ModelState, port: number, stop: () => Promise<void>): ScriptedModel {
  const url = `http://127.0.0.1:${port}/v1`;
  return {
    url,
    port,
    get calls() {
      return state.recorder.calls;
    },
    get turnCalls() {
      return state.recorder.calls.filter(({ purpose }) => purpose === 'turn');
    },
    get inFlight() {
      return state.recorder.inFlight;
    },
    get maxInFlight() {
      return state.recorder.maxInFlight;
    },
    opencodeConfig: () => opencodeConfigFor(url, state.script),
    waitForCalls: (count, options) => state.recorder.waitForCalls(count, options),
    waitForIdle: (options) => state.recorder.waitForIdle(options),
    reset: (script = state.script) => state.reset(script),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function handle(state: ModelState, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?')[0];
  if (request.method === 'GET' && path === '/v1/models') return sendJson(response, 200, modelList);
  if (request.method !== 'POST' || path !== '/v1/chat/completions') return refuse(response, 404, `Unknown request URL: ${request.method} ${path}`);
  const body = await readBody(request).catch(() => undefined);
  if (body === undefined) return refuse(response, 413, `The request is larger than ${maxBodyBytes} bytes or was broken off`);
  const chat = parseChat(body);
  if (!chat) return refuse(response, 400, 'The body is not a chat-completions request: it needs model and messages');
  await answer(state, chat, request, response);
}

const modelList = {
  object: 'list',
  data: ['model', 'small'].map((id) => ({ id, object: 'model', created: 0, owned_by: 'scripted' })),
};

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

const secretHeaders = new Set(['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'cookie']);

function refuse(response: ServerResponse, status: number, message: string): void {
  const { headers, body } = errorAnswer({ status, message });
  response.writeHead(status, headers).end(body);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
