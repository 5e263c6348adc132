import type { IncomingHttpHeaders } from 'node:http';

import type { Purpose } from '../script/types.ts';

/** A message of a chat-completions request, as far as rules look at it. @public */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly tool_calls?: readonly { readonly id: string; readonly function: { readonly name: string; readonly arguments: string } }[];
  readonly tool_call_id?: string;
}

/** A chat-completions request as it came in. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream?: boolean;
  readonly tools?: readonly { readonly function?: { readonly name?: string } }[];
}

/** What a rule can look at: the facts of one request. @public */
export interface Conversation {
  readonly model: string;
  readonly stream: boolean;
  readonly messages: readonly ChatMessage[];
  /** Names of the tools on offer. */
  readonly tools: readonly string[];
  /** Text of the last message of the user's own; where opencode asks for a summary, of the one before that. */
  readonly user: string;
  /** The system prompt. */
  readonly system: string;
  /** Every text but the system prompt, oldest first, one a line. */
  readonly history: string;
  /** Text of the tool result that this call follows; absent when it answers a prompt. */
  readonly toolResult: string | undefined;
  /** Name of that tool. */
  readonly afterTool: string | undefined;
  /** Assistant messages since the last user message: 0 answers the prompt. */
  readonly step: number;
  /** User messages so far: 1 in the first turn. */
  readonly turn: number;
  readonly purpose: Purpose;
  /** opencode's session, which it names in a header; absent for other clients. */
  readonly sessionId: string | undefined;
  /** The session that this sub-agent session works for. */
  readonly parentSessionId: string | undefined;
}

/** How opencode 2 asks for a summary: the first one, a later one, and again when one had another form. */
const summaryRequest =
  /^(?:You MUST summarize the conversation above|Update the existing checkpoint in the conversation above|The previous response did not fill in the required summary template)/;

/** What opencode 2 puts before the prompt of a sub-agent. */
const subAgentPreface = /^You are a subagent spawned by another session\.\n/;

/** Reads the facts of a request once, so that no rule walks the messages again. */
export function readConversation(request: ChatRequest, headers: IncomingHttpHeaders): Conversation {
  const { messages } = request;
  const said = messages.filter((message) => !isOpencodesOwn(message));
  const summary = said.findIndex(asksForSummary);
  const lastUser = said.slice(0, summary < 0 ? undefined : summary).findLastIndex(({ role }) => role === 'user');
  const tools = (request.tools ?? []).flatMap((tool) => tool.function?.name ?? []);
  const system = textOfRole(messages, 'system');
  const last = said.at(-1);
  return {
    model: request.model,
    stream: request.stream === true,
    messages,
    tools,
    user: lastUser < 0 ? '' : textOf(said[lastUser]?.content).replace(subAgentPreface, ''),
    system,
    history: messages
      .filter(({ role }) => role !== 'system')
      .map(({ content }) => textOf(content))
      .join('\n'),
    toolResult: last?.role === 'tool' ? textOf(last.content) : undefined,
    afterTool: last?.role === 'tool' ? toolName(said, last.tool_call_id) : undefined,
    step: said.slice(lastUser + 1).filter(({ role }) => role === 'assistant').length,
    turn: said.filter(({ role }) => role === 'user').length,
    purpose: purposeOf(system, tools, said),
    sessionId: headers['x-session-id']?.toString(),
    parentSessionId: headers['x-parent-session-id']?.toString(),
  };
}

function textOfRole(messages: readonly ChatMessage[], role: string): string {
  return messages
    .filter((message) => message.role === role)
    .map(({ content }) => textOf(content))
    .join('\n');
}

/** The text of a message's content, which is a string or a list of parts. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.flatMap((part: { text?: unknown }) => (typeof part.text === 'string' ? part.text : [])).join('\n');
}

/** opencode 2 tells a model in the user's name that its tools have changed, and of instructions beside a file that it has read. */
function isOpencodesOwn({ role, content }: ChatMessage): boolean {
  return (
    role === 'user' && /^(?:<system-update>|Instructions from: |The previous response was interrupted\. Continue)/.test(textOf(content))
  );
}

/** It never stays in a conversation. */
function asksForSummary({ role, content }: ChatMessage): boolean {
  return role === 'user' && summaryRequest.test(textOf(content));
}

function toolName(messages: readonly ChatMessage[], callId: string | undefined): string | undefined {
  const calls = messages.flatMap(({ tool_calls }) => tool_calls ?? []);
  return calls.findLast(({ id }) => id === callId)?.function.name;
}

/**
 * opencode 1 asks for titles and summaries with agents of its own, without tools; users may give these other prompts. opencode 2 asks for a summary
 * behind the conversation, with the tools of its turns.
 */
function purposeOf(system: string, tools: readonly string[], messages: readonly ChatMessage[]): Purpose {
  if (messages.some(asksForSummary)) return 'summary';
  if (tools.length > 0) return 'turn';
  const opening = textOf(messages.find(({ role }) => role === 'user')?.content);
  if (/you are a title generator/i.test(system) || opening.startsWith('Generate a title for this conversation')) return 'title';
  if (/you are a context summarization agent/i.test(system) || opening.startsWith('Here is the conversation so far')) return 'summary';
  return 'turn';
}
