import type { AnsweredAsk } from '@opencode-manager/actors';
import type { MessageWithParts, ToolPart } from '@opencode-manager/core/protocol';

/**
 * One line of a transcript, in this project's own form, which stays what it is whatever opencode calls things: what was said, each call of a tool with its
 * input and output, each ask with its answer. Times are ISO 8601. `session` is the session it happened in: the attempt's own, or a sub-agent's.
 */
export type TranscriptLine = HeadLine | MessageLine | ToolLine | AskLine;

/** The first line. */
export interface HeadLine {
  readonly type: 'transcript';
  readonly schema_version: 1;
  readonly key: string;
  readonly attempt: number;
  readonly session: string;
  /** Our user message. */
  readonly message: string;
  readonly model: string | null;
}

/** What the user or the model said. */
export interface MessageLine {
  readonly type: 'message';
  readonly session: string;
  readonly role: 'user' | 'assistant';
  readonly at: string;
  readonly text: string;
  /** What the model thought, where it tells. */
  readonly reasoning?: string;
  /** Names of files that came with a prompt. */
  readonly files?: readonly string[];
  readonly model?: string;
  readonly finish?: string;
  readonly error?: string;
}

/** A call of a tool. `output` of one that failed says why. */
export interface ToolLine {
  readonly type: 'tool';
  readonly session: string;
  readonly at: string | null;
  readonly duration_ms: number | null;
  readonly tool: string;
  readonly status: 'completed' | 'failed' | 'unfinished';
  readonly input: unknown;
  readonly output: string;
  readonly exit_code?: number | null;
}

/** A permission request or a question, and what was answered. */
interface AskLine extends AnsweredAsk {
  readonly type: 'ask';
}

/** What one session of an attempt holds. */
export interface SessionHistory {
  readonly session: string;
  readonly messages: readonly MessageWithParts[];
}

/** The lines of an attempt: those of its own session from our message on, each sub-agent's behind them, then the asks. */
export function transcriptLines(
  head: Omit<HeadLine, 'type' | 'schema_version'>,
  histories: readonly SessionHistory[],
  asks: readonly AnsweredAsk[],
): TranscriptLine[] {
  const lines = histories.flatMap(({ session, messages }) => {
    const from = session === head.session ? messages.findIndex(({ info }) => info.id >= head.message) : 0;
    return from < 0 ? [] : messages.slice(from).flatMap((message) => linesOfMessage(session, message));
  });
  return [{ type: 'transcript', schema_version: 1, ...head }, ...lines, ...asks.map((ask): AskLine => ({ type: 'ask', ...ask }))];
}

function linesOfMessage(session: string, message: MessageWithParts): TranscriptLine[] {
  const said = saidBy(session, message);
  const tools = message.parts.flatMap((part) => (part.type === 'tool' ? [toolLine(session, part)] : []));
  // A model says what it is about to do before it does it.
  return said ? [said, ...tools] : tools;
}

/** Undefined for a message that only calls tools. */
function saidBy(session: string, { info, parts }: MessageWithParts): MessageLine | undefined {
  const text = parts.map((part) => (part.type === 'text' && !part.synthetic ? part.text : '')).join('');
  const reasoning = parts.map((part) => (part.type === 'reasoning' ? part.text : '')).join('');
  const files = parts.flatMap((part) => (part.type === 'file' ? [part.filename ?? part.url.slice(0, 200)] : []));
  const isAnswer = info.role === 'assistant';
  const error = isAnswer && info.error ? `${info.error.name}: ${info.error.message}` : undefined;
  if (text === '' && reasoning === '' && files.length === 0 && error === undefined) return undefined;
  return {
    type: 'message',
    session,
    role: info.role,
    at: new Date(info.createdAtMs).toISOString(),
    text,
    ...(reasoning !== '' && { reasoning }),
    ...(files.length > 0 && { files }),
    ...(isAnswer && { model: info.model }),
    ...(isAnswer && info.finish !== undefined && { finish: info.finish }),
    ...(error !== undefined && { error }),
  };
}

function toolLine(session: string, { tool, status, input, output, startedAtMs, endedAtMs, exitCode }: ToolPart): ToolLine {
  const isOver = status === 'completed' || status === 'failed';
  return {
    type: 'tool',
    session,
    at: startedAtMs === undefined ? null : new Date(startedAtMs).toISOString(),
    duration_ms: startedAtMs === undefined || endedAtMs === undefined ? null : Math.max(0, Math.round(endedAtMs - startedAtMs)),
    tool,
    status: isOver ? status : 'unfinished',
    input,
    output,
    ...(exitCode !== undefined && { exit_code: exitCode }),
  };
}
