import type { ServerEventData, ServerEventType } from '../events.ts';
import type { AssistantMessage } from '../messages.ts';
import { backgroundWork, workToldBy } from './background.ts';
import { absolute, isEnd, shellTurn, userMessage } from './history.ts';
import { compactionPart, endParts, reasoningPart, stepPart, textPart, toolPart } from './parts.ts';
import type { AnswerMemory, CallMemory, InboxPayload, SessionMemory } from './session-memory.ts';
import { decodeAnswer, decodePermission, decodeQuestion, decodeSession } from './shapes.ts';
import { decodeRetry, decodeTurnError } from './turn-error.ts';
import type {
  WireAssistant,
  WireError,
  WireForm,
  WireModel,
  WirePermission,
  WireRetry,
  WireSession,
  WireShell,
  WireTokens,
  WireToolState,
} from './wire.ts';

/** One event of ours: its type and its data. */
export type Told = { readonly [Type in ServerEventType]: readonly [type: Type, data: ServerEventData[Type]] }[ServerEventType];

/** What stands in an event of opencode 2. */
export type WireData = Readonly<Record<string, unknown>>;

/** Where and when an event was said. */
interface Said {
  readonly sessionId: string;
  readonly eventId: string;
  readonly atMs: number;
}

type Translator = (data: WireData, memory: SessionMemory, said: Said) => readonly Told[];

const none: readonly Told[] = [];

/** From opencode's types of events that concern a session to ours. One that is not here is passed on as `other`. */
export const translators: Readonly<Record<string, Translator>> = {
  'session.created': created,
  'session.forked': (data, memory, said) => created({ ...data, parentID: undefined }, memory, said),
  'session.renamed': (data, memory, said) => updated(memory, said, { title: data['title'] as string }),
  'session.metadata.updated': (_data, memory, said) => updated(memory, said, {}),
  'session.permissions.updated': (_data, memory, said) => updated(memory, said, {}),
  'session.deleted': () => [['session.deleted', {}]],

  'session.execution.started': (_data, memory) => {
    memory.isBusy = true;
    memory.isFresh = true;
    return [['session.status', { status: { type: 'busy' } }]];
  },
  'session.execution.succeeded': (_data, memory) => ended(memory),
  'session.execution.failed': (data, memory) => [['session.error', { error: decodeTurnError(data['error'] ?? {}) }], ...ended(memory)],
  'session.execution.interrupted': interrupted,
  'session.retry.scheduled': retry,

  'session.inbox.enqueued': enqueued,
  'session.inbox.delivered': delivered,
  'session.step.started': stepStarted,
  'session.step.ended': (data, memory, said) => stepOver(data, memory, said),
  'session.step.failed': (data, memory, said) => stepOver(data, memory, said),

  'session.text.started': (data, _memory, said) => [
    ['part.updated', { part: textPart(place(data, said), ordinal(data), { text: '', ended: false, raw: data }) }],
  ],
  'session.text.ended': (data, _memory, said) => [
    ['part.updated', { part: textPart(place(data, said), ordinal(data), { text: textOf(data), ended: true, raw: data }) }],
  ],
  'session.reasoning.started': (data, _memory, said) => [
    ['part.updated', { part: reasoningPart(place(data, said), ordinal(data), { text: '', ended: false, raw: data }) }],
  ],
  'session.reasoning.ended': (data, _memory, said) => [
    ['part.updated', { part: reasoningPart(place(data, said), ordinal(data), { text: textOf(data), ended: true, raw: data }) }],
  ],
  'session.text.delta': (data, _memory, said) => delta(textPart(place(data, said), ordinal(data), empty), data),
  'session.reasoning.delta': (data, _memory, said) => delta(reasoningPart(place(data, said), ordinal(data), empty), data),

  'session.tool.input.started': (data, memory, said) =>
    call(data, memory, said, (known) => {
      known.name = text(data['name']) || known.name;
      known.time.created = said.atMs;
      known.state = { status: 'streaming' };
    }),
  'session.tool.called': (data, memory, said) =>
    call(data, memory, said, (known) => {
      known.time.ran = said.atMs;
      known.state = { status: 'running', input: data['input'] };
    }),
  'session.tool.progress': (data, memory, said) =>
    call(data, memory, said, (known) => {
      if (known.state.status !== 'running') return;
      known.state = { ...known.state, ...pickState(data) };
    }),
  'session.tool.success': (data, memory, said) =>
    call(data, memory, said, (known) => {
      known.time.completed = said.atMs;
      known.state = { ...known.state, ...pickState(data), status: 'completed' };
      const work = backgroundWork(known.state);
      if (work !== undefined) memory.openWork.add(work);
    }),
  'session.tool.failed': (data, memory, said) =>
    call(data, memory, said, (known) => {
      known.time.completed = said.atMs;
      known.state = { ...known.state, ...pickState(data), status: 'error' };
    }),

  'session.shell.started': shell,
  'session.shell.ended': shell,
  'session.compaction.ended': () => [['session.compacted', {}]],

  'permission.asked': (data) => [['permission.asked', { request: decodePermission(data as unknown as WirePermission) }]],
  'permission.replied': (data) => [['permission.replied', { requestId: String(data['requestID']), reply: data['reply'] as 'once' }]],
  'form.created': (data) => [['question.asked', { request: decodeQuestion(data['form'] as WireForm) }]],
  'form.replied': (data) => [['question.replied', { requestId: String(data['id']), rejected: false }]],
  'form.cancelled': (data) => [['question.replied', { requestId: String(data['id']), rejected: true }]],
};

const empty = { text: '', ended: false, raw: undefined } as const;

const place = (data: WireData, { sessionId }: Said) => ({ sessionId, messageId: String(data['assistantMessageID']) });
const ordinal = (data: WireData) => Number(data['ordinal'] ?? 0);
const text = (value: unknown) => (typeof value === 'string' ? value : '');
const textOf = (data: WireData) => text(data['text']);

function delta({ id: partId, messageId }: { readonly id: string; readonly messageId: string }, data: WireData): readonly Told[] {
  return [['part.delta', { messageId, partId, field: 'text', delta: text(data['delta']) }]];
}

function pickState({ input, content, metadata, error }: WireData): Partial<WireToolState> {
  const state = { input, content, metadata, error };
  return Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined));
}

function created(data: WireData, memory: SessionMemory, { sessionId, atMs }: Said): readonly Told[] {
  const { title, parentID, location, agent } = data as Partial<WireSession>;
  memory.session = {
    id: sessionId,
    ...(title !== undefined && { title }),
    ...(parentID !== undefined && { parentID }),
    ...(agent !== undefined && { agent }),
    location: { directory: location?.directory ?? memory.directory ?? '' },
    time: { created: atMs, updated: atMs },
  };
  return [['session.created', { session: decodeSession(memory.session) }]];
}

/** An event tells what changed alone. Of a session whose creation was lost with a gap, that and its place are all that is known. */
function updated(memory: SessionMemory, { sessionId, atMs }: Said, change: Partial<WireSession>): readonly Told[] {
  const known = memory.session ?? { id: sessionId, location: { directory: memory.directory ?? '' }, time: { updated: atMs } };
  memory.session = { ...known, ...change, id: sessionId };
  return [['session.updated', { session: decodeSession(memory.session) }]];
}

/** With something in the background that has not told its end, an execution is not the last of its turn. */
export function ended(memory: SessionMemory): readonly Told[] {
  memory.isBusy = false;
  memory.answer = undefined;
  memory.brokenOff = undefined;
  return memory.openWork.size > 0 ? none : [['session.idle', {}]];
}

/** `shutdown` is the end of the server, or of a turn whose ask was rejected: neither is an abort. */
function interrupted(data: WireData, memory: SessionMemory): readonly Told[] {
  forgetWork(memory);
  const error = decodeTurnError({ type: 'aborted', message: 'The turn was interrupted.' });
  return [...(data['reason'] === 'user' ? ([['session.error', { error }]] as const) : none), ...ended(memory)];
}

/** What an earlier turn has set to work does not hold back the end of another one. */
function forgetWork(memory: SessionMemory): void {
  memory.openWork.clear();
  memory.heldEnd = undefined;
}

/** One that was told as over is repeated in a message of its own. */
function retry(data: WireData, memory: SessionMemory): readonly Told[] {
  if (memory.answer?.failed) memory.brokenOff = memory.answer.id;
  return [['session.status', { status: { type: 'retry', ...decodeRetry(data as unknown as WireRetry) } }]];
}

function enqueued(data: WireData, memory: SessionMemory): readonly Told[] {
  const { type, payload } = (data['item'] ?? {}) as { readonly type?: string; readonly payload?: InboxPayload };
  memory.inbox.set(String(data['inboxID']), { type, ...payload });
  return none;
}

/** A prompt of the user begins something; a message of opencode's own tells the end of work in the background, among others. */
function delivered(data: WireData, memory: SessionMemory, { sessionId, atMs }: Said): readonly Told[] {
  const id = String(data['inboxID']);
  const item = memory.inbox.get(id);
  memory.inbox.delete(id);
  const { isFresh } = memory;
  memory.isFresh = false;
  if (item?.type === 'synthetic') return workEnded(item.metadata, memory);
  const message = userMessage({ id, time: { created: atMs } }, sessionId);
  if (item?.type === 'compaction') {
    return [
      ['message.updated', { message }],
      ['part.updated', { part: compactionPart({ sessionId, messageId: id }, data) }],
    ];
  }
  memory.parentId = id;
  memory.brokenOff = undefined;
  // A turn begins: of what an earlier one had in the background the end may have been missed.
  if (isFresh) forgetWork(memory);
  const part =
    item?.text === undefined ? undefined : textPart({ sessionId, messageId: id }, 0, { text: item.text, ended: true, raw: data });
  return [['message.updated', { message }], ...(part ? ([['part.updated', { part }]] as const) : none)];
}

function workEnded(metadata: Readonly<Record<string, unknown>> | undefined, memory: SessionMemory): readonly Told[] {
  const work = workToldBy(metadata);
  if (work === undefined || !memory.openWork.delete(work) || memory.openWork.size > 0 || !memory.heldEnd) return none;
  const { message, raw } = memory.heldEnd;
  memory.heldEnd = undefined;
  const { sessionId, parentId, continues } = message;
  return [['message.updated', { message: decodeAnswer(raw, { sessionId, parentId, isWhole: true, continues }) }]];
}

function answerOf(data: WireData, memory: SessionMemory, atMs: number): AnswerMemory {
  const id = String(data['assistantMessageID']);
  if (memory.answer?.id === id) return memory.answer;
  const fresh = {
    id,
    agent: undefined,
    model: undefined,
    createdAtMs: atMs,
    attempts: 0,
    calls: new Map(),
    failed: false,
    continues: memory.brokenOff,
  };
  memory.brokenOff = undefined;
  memory.answer = fresh;
  return fresh;
}

function stepStarted(data: WireData, memory: SessionMemory, said: Said): readonly Told[] {
  const answer = answerOf(data, memory, said.atMs);
  answer.agent = data['agent'] as string | undefined;
  answer.model = data['model'] as WireModel | undefined;
  answer.createdAtMs = Number(data['started'] ?? said.atMs);
  answer.attempts += 1;
  memory.isFresh = false;
  memory.heldEnd = undefined;
  return [
    // Asked again within the same message: it waits no longer.
    ...(answer.attempts > 1 ? ([['session.status', { status: { type: 'busy' } }]] as const) : none),
    ['message.updated', { message: messageOf(rawOf(answer, {}), memory, said) }],
    ['part.updated', { part: stepPart(place(data, said), answer.attempts, data['snapshot'] as string | undefined, data) }],
  ];
}

function rawOf({ id, agent, model, createdAtMs, calls }: AnswerMemory, rest: Partial<WireAssistant>): WireAssistant {
  const declined = [...calls.values()].map(({ name, state }) => ({ type: 'tool', id: '', name, state }) as const);
  return {
    type: 'assistant',
    id,
    ...(agent !== undefined && { agent }),
    ...(model && { model }),
    content: declined,
    ...rest,
    time: { created: createdAtMs, ...rest.time },
  };
}

/** After a gap nobody knows what is answered: an id of its own sorts behind it. */
function messageOf(
  raw: WireAssistant,
  { parentId = raw.id, answer }: SessionMemory,
  { sessionId }: Said,
  isWhole = true,
): AssistantMessage {
  return decodeAnswer(raw, { sessionId, parentId, isWhole, continues: answer?.id === raw.id ? answer.continues : undefined });
}

function stepOver(data: WireData, memory: SessionMemory, said: Said): readonly Told[] {
  const answer = answerOf(data, memory, said.atMs);
  const { finish, error, cost, tokens, snapshot, files } = data as {
    readonly finish?: string;
    readonly error?: WireError;
    readonly cost?: number;
    readonly tokens?: WireTokens;
    readonly snapshot?: string;
    readonly files?: readonly string[];
  };
  const raw = rawOf(answer, {
    ...(finish !== undefined && { finish }),
    ...(error && { error }),
    ...(cost !== undefined && { cost }),
    ...(tokens && { tokens }),
    time: { completed: said.atMs },
  });
  const isWhole = memory.openWork.size === 0 || !isEnd(raw);
  const message = messageOf(raw, memory, said, isWhole);
  if (!isWhole) memory.heldEnd = { message, raw };
  answer.failed = error !== undefined;
  const changed = (files ?? []).map((file) => absolute(memory.directory ?? '', file));
  const parts = endParts(place(data, said), snapshot, changed, data).map((part) => ['part.updated', { part }] as const);
  return [...parts, ['message.updated', { message }]];
}

function call(data: WireData, memory: SessionMemory, said: Said, change: (known: CallMemory) => void): readonly Told[] {
  const answer = answerOf(data, memory, said.atMs);
  const id = String(data['id']);
  const known = answer.calls.get(id) ?? { name: '', state: { status: 'running' }, time: {} };
  answer.calls.set(id, known);
  change(known);
  // Its name was told before the stream was followed: a read tells it.
  if (known.name === '') return none;
  const { name, state, time } = known;
  return [['part.updated', { part: toolPart(place(data, said), { id, name, state, time: { ...time } }) }]];
}

/** A line's messages have the id of its request, and so has the event of its begin. It is no execution: the session is told busy and idle here. */
function shell(data: WireData, memory: SessionMemory, { sessionId, eventId }: Said): readonly Told[] {
  const { id: shellId, status, command, exit, time } = (data['shell'] ?? {}) as WireShell;
  const output = data['output'] as { readonly output?: string } | undefined;
  const id = memory.shellLines.get(shellId) ?? `msg${eventId.slice(eventId.indexOf('_'))}`;
  if (output === undefined) memory.shellLines.set(shellId, id);
  else memory.shellLines.delete(shellId);
  const raw = {
    type: 'shell',
    id,
    command,
    status: output === undefined ? 'running' : status,
    ...(exit !== undefined && { exit }),
    ...(output && { output }),
    time: { created: time?.started ?? 0, ...(time?.completed !== undefined && { completed: time.completed }) },
  } as const;
  const messages = shellTurn(raw, sessionId).flatMap(({ info, parts }): Told[] => {
    const told = parts.map((part): Told => ['part.updated', { part }]);
    return [['message.updated', { message: info }] as Told].concat(told);
  });
  if (memory.isBusy) return messages;
  return output === undefined ? [['session.status', { status: { type: 'busy' } }], ...messages] : [...messages, ['session.idle', {}]];
}
