import type { Part, TextPart, ToolPart } from '../messages.ts';
import type { WireContent, WireFile, WireToolState } from './wire.ts';

/** Which message of which session a part belongs to. */
export interface PartPlace {
  readonly sessionId: string;
  readonly messageId: string;
}

/**
 * opencode 2 gives parts no ids: texts are told by their place among those of their kind, tools by the id of their call. Ids of a message's parts
 * sort in the order of a try: its step before what it says.
 */
const partIds = {
  step: ({ messageId }: PartPlace, attempt: number) => `${messageId}:0:step:${attempt}`,
  text: ({ messageId }: PartPlace, ordinal: number) => `${messageId}:1:text:${ordinal}`,
  reasoning: ({ messageId }: PartPlace, ordinal: number) => `${messageId}:1:reasoning:${ordinal}`,
  tool: ({ messageId }: PartPlace, callId: string) => `${messageId}:2:tool:${callId}`,
  end: ({ messageId }: PartPlace) => `${messageId}:3:end`,
  patch: ({ messageId }: PartPlace) => `${messageId}:3:patch`,
  file: ({ messageId }: PartPlace, index: number) => `${messageId}:4:file:${index}`,
  compaction: ({ messageId }: PartPlace) => `${messageId}:5:compaction`,
};

export function textPart(
  place: PartPlace,
  ordinal: number,
  {
    text,
    ended,
    synthetic = false,
    raw,
  }: { readonly text: string; readonly ended: boolean; readonly synthetic?: boolean; readonly raw: unknown },
): TextPart {
  const part = { id: partIds.text(place, ordinal), ...place, type: 'text', text, ended, raw } as const;
  return synthetic ? { ...part, synthetic } : part;
}

export function reasoningPart(
  place: PartPlace,
  ordinal: number,
  { text, ended, raw }: { readonly text: string; readonly ended: boolean; readonly raw: unknown },
): Part {
  return { id: partIds.reasoning(place, ordinal), ...place, type: 'reasoning', text, ended, raw };
}

/** The provider is asked; `attempt` counts from 1 within a message. */
export function stepPart(place: PartPlace, attempt: number, snapshot: string | undefined, raw: unknown): Part {
  return { id: partIds.step(place, attempt), ...place, type: 'step', ...(snapshot !== undefined && { snapshot }), raw };
}

/** The end of a step, and what changed meanwhile. @param files absolute */
export function endParts(place: PartPlace, snapshot: string | undefined, files: readonly string[], raw: unknown): Part[] {
  const end: Part = { id: partIds.end(place), ...place, type: 'step_end', ...(snapshot !== undefined && { snapshot }), raw };
  return files.length === 0 ? [end] : [end, { id: partIds.patch(place), ...place, type: 'patch', files, raw }];
}

export function filePart(place: PartPlace, index: number, raw: WireFile): Part {
  const { data, mime, name, source } = raw;
  const url = source?.type === 'uri' ? source.uri : `data:${mime};base64,${data}`;
  return { id: partIds.file(place, index), ...place, type: 'file', mime, url, ...(name !== undefined && { filename: name }), raw };
}

export function compactionPart(place: PartPlace, raw: unknown): Part {
  return { id: partIds.compaction(place), ...place, type: 'compaction', raw };
}

/** A call as it stands. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly state: WireToolState;
  readonly time?: { readonly created?: number; readonly ran?: number; readonly completed?: number };
}

/** opencode's own tools end with an interrupt, or what they started can be ended; one of a plugin or of an MCP server may go on. */
const ownTools = new Set('edit glob grep question read shell skill subagent webfetch websearch write patch execute'.split(' '));

export function toolPart(place: PartPlace, call: ToolCall): ToolPart {
  const { id, name, state, time } = call;
  const { metadata } = state;
  const exit = metadata?.['exit'];
  const startedAtMs = time?.ran ?? time?.created;
  return {
    id: partIds.tool(place, id),
    ...place,
    type: 'tool',
    callId: id,
    tool: name,
    status: statusOf(state),
    input: state.input ?? {},
    output: outputOf(state),
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(time?.completed !== undefined && { endedAtMs: time.completed }),
    ...(mayGoOn(name, state) && { mayGoOn: true as const }),
    ...(typeof exit === 'number' && { exitCode: exit }),
    raw: call,
  };
}

function statusOf({ status }: WireToolState): ToolPart['status'] {
  if (status === 'error') return 'failed';
  return status === 'streaming' ? 'pending' : status;
}

function outputOf({ status, content, error }: WireToolState): string {
  if (status === 'error') return error?.message ?? '';
  return (content ?? []).map(({ text = '' }) => text).join('\n');
}

function mayGoOn(name: string, { status, error }: WireToolState): boolean {
  if (ownTools.has(name)) return false;
  return status === 'running' || (status === 'error' && error?.type === 'aborted');
}

/** The parts of an assistant message as it stands; texts of one that is not complete may grow. */
export function contentParts(place: PartPlace, content: readonly WireContent[], completed: boolean): Part[] {
  let texts = 0;
  let reasonings = 0;
  return content.map((one) => {
    if (one.type === 'text') return textPart(place, texts++, { text: one.text, ended: completed, raw: one });
    if (one.type === 'reasoning')
      return reasoningPart(place, reasonings++, { text: one.text, ended: completed || one.time?.completed !== undefined, raw: one });
    return toolPart(place, one);
  });
}
