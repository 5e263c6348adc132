import type { TaskResult } from '@opencode-manager/actors';
import type { OpencodeServer, Redactor } from '@opencode-manager/core';
import type { ServerEvent, ServerEventData, ServerEventType } from '@opencode-manager/core/protocol';
import type { Json, Question } from '@opencode-manager/playground/trace';

export interface PayloadOptions {
  /** Prompts and model text may be shown. */
  readonly content: boolean;
  /** What an ask is about may be shown, because somebody is to answer it. */
  readonly asks: boolean;
  readonly redactor: Redactor;
}

type Tellers = { readonly [Type in ServerEventType]?: (data: ServerEventData[Type], options: PayloadOptions) => Json };

/** Events of the stream that no machine hears, and that tell something all the same. */
const tellers: Tellers = {
  'session.created': ({ session }) => ({ subAgent: session.id, parent: session.parentId ?? null }),
  'todo.updated': ({ todos }, { content }) => (content ? { todos: todos.map((todo) => todo.content) } : { todos: todos.length }),
  'session.diff': ({ files }) => ({ files: files.length }),
};

/** The payload of an event that is told beside the machines' own; undefined for all others. */
export function noteOf(event: ServerEvent, options: PayloadOptions): Json | undefined {
  const tell = tellers[event.type] as ((data: unknown, options: PayloadOptions) => Json) | undefined;
  return tell?.(event.data, options);
}

/** A result without what the model said. */
export function resultOf(result: TaskResult): Json {
  const { id, outcome, attempt, duration_ms, queued_ms, proof, gaps, retries, model_calls, tool_calls, usage, error, asks } = result;
  const code = error?.code ?? null;
  const told = {
    task: id,
    outcome,
    attempt,
    duration_ms,
    queued_ms,
    proof,
    gaps,
    retries,
    model_calls,
    tool_calls,
    usage,
    asks: asks.length,
    error: code,
  };
  return JSON.parse(JSON.stringify(told)) as Json;
}

type AskedQuestions = Awaited<ReturnType<OpencodeServer['snapshot']>>['questions'][number]['questions'];

/** What the answer form of a question shows. */
export function questionsOf(asked: AskedQuestions): Question[] {
  return asked.map(({ header = '', question, choices = [], multiple }) => ({
    header,
    question,
    options: choices.map(({ label, description }) => ({ label, description })),
    multiple: multiple === true,
  }));
}
