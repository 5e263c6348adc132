import type { ScriptedModel } from '../../src/index.ts';

/** A chat-completions call as any OpenAI client would make it. */
export interface ChatOptions {
  readonly system?: string;
  readonly tools?: readonly string[];
  readonly stream?: boolean;
  readonly model?: string;
  readonly sessionId?: string;
  readonly signal?: AbortSignal;
  /** Messages after the user's. */
  readonly after?: readonly Record<string, unknown>[];
}

export async function chat(model: ScriptedModel, user: string, options: ChatOptions = {}): Promise<Response> {
  const { system = 'You help.', tools = ['bash'], stream = false, after = [] } = options;
  return fetch(`${model.url}/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer secret-key',
      ...(options.sessionId !== undefined && { 'x-session-id': options.sessionId }),
    },
    body: JSON.stringify({
      model: options.model ?? 'model',
      stream,
      messages: [{ role: 'system', content: system }, { role: 'user', content: user }, ...after],
      tools: tools.map((name) => ({ type: 'function', function: { name } })),
    }),
    ...(options.signal && { signal: options.signal }),
  });
}

interface Completion {
  readonly choices: readonly {
    readonly message: {
      readonly content: string | null;
      readonly tool_calls?: readonly { readonly id: string; readonly function: { readonly name: string; readonly arguments: string } }[];
    };
    readonly finish_reason: string | null;
  }[];
  readonly usage: Record<string, unknown>;
}

export async function complete(model: ScriptedModel, user: string, options: ChatOptions = {}): Promise<Completion> {
  return (await (await chat(model, user, options)).json()) as Completion;
}

/** The text that the model says. */
export async function say(model: ScriptedModel, user: string, options: ChatOptions = {}): Promise<string | null | undefined> {
  return (await complete(model, user, options)).choices[0]?.message.content;
}

/** The messages that an agent adds after a tool has run. */
export function toolRound(name: string, result: string, id = 'call_1'): Record<string, unknown>[] {
  return [
    { role: 'assistant', content: null, tool_calls: [{ id, type: 'function', function: { name, arguments: '{}' } }] },
    { role: 'tool', tool_call_id: id, content: result },
  ];
}
