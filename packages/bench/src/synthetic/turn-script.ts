import type { Ids } from './ids.ts';

/** One event as opencode's wire has it; a stored one is followed by a record with its number in the session. */
export interface WireEvent {
  readonly sessionId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly stored: boolean;
}

/** One answer of a turn: its message's id, and what the ids of its parts begin with. */
interface ScriptedAnswer {
  readonly id: string;
  readonly partId: string;
}

/** How much the model says in a turn. */
export interface TurnSize {
  readonly answersPerTurn: number;
  readonly deltasPerAnswer: number;
}

/** What a turn of the synthetic server is about. */
export interface ScriptedTurn {
  readonly sessionId: string;
  readonly directory: string;
  readonly messageId: string;
  /** One after the other, as of an agent that uses tools: all but the last end to call some. */
  readonly answers: readonly ScriptedAnswer[];
  readonly deltasPerAnswer: number;
}

/** A model says about four characters at a time. */
const deltaText = ' word';

/** A turn of 80 events, 85 % of them deltas. */
export const realisticTurn: TurnSize = { answersPerTurn: 1, deltasPerAnswer: 68 };

/** Events of a turn that are no deltas: of the turn itself, and of each of its answers. */
const otherEvents = { turn: 6, answer: 6 };

/** How many events a turn has. */
export function eventsOfTurn({ answersPerTurn, deltasPerAnswer }: TurnSize): number {
  return otherEvents.turn + answersPerTurn * (otherEvents.answer + deltasPerAnswer);
}

/** A turn with ids of its own. */
export function newTurn(
  ids: Ids,
  place: Pick<ScriptedTurn, 'sessionId' | 'directory' | 'messageId'>,
  { answersPerTurn, deltasPerAnswer }: TurnSize,
): ScriptedTurn {
  const answers = Array.from({ length: answersPerTurn }, () => ({ id: ids.next('msg'), partId: ids.next('prt') }));
  return { ...place, answers, deltasPerAnswer };
}

/** The events of a turn in opencode's order. `text` gives the text of each delta. */
export function* turnEvents(turn: ScriptedTurn, text: () => string = () => deltaText): Generator<WireEvent> {
  const { sessionId, messageId, directory } = turn;
  yield stored(sessionId, 'message.updated', { info: userMessage(turn) });
  yield stored(sessionId, 'message.part.updated', {
    part: { id: `${turn.answers[0]!.partId}u`, sessionID: sessionId, messageID: messageId, type: 'text', text: 'Say what you would do.' },
  });
  yield live(sessionId, 'session.status', { status: { type: 'busy' } });
  for (const answer of turn.answers) yield* answerEvents(turn, answer, text);
  yield live(sessionId, 'session.status', { status: { type: 'idle' } });
  yield live(sessionId, 'session.idle', {});
  yield stored(sessionId, 'session.updated', { info: sessionInfo(sessionId, directory) });
}

function* answerEvents(turn: ScriptedTurn, answer: ScriptedAnswer, text: () => string): Generator<WireEvent> {
  const { sessionId } = turn;
  const { id, partId } = answer;
  const part = (letter: string, more: Readonly<Record<string, unknown>>) =>
    stored(sessionId, 'message.part.updated', { part: { id: `${partId}${letter}`, sessionID: sessionId, messageID: id, ...more } });
  yield stored(sessionId, 'message.updated', { info: answerOf(turn, answer, false) });
  yield part('a', { type: 'step-start' });
  yield stored(sessionId, 'message.part.updated', { part: textPart(turn, answer, '') });
  for (let delta = 0; delta < turn.deltasPerAnswer; delta += 1)
    yield live(sessionId, 'message.part.delta', { messageID: id, partID: `${partId}b`, field: 'text', delta: text() });
  yield stored(sessionId, 'message.part.updated', { part: textPart(turn, answer, deltaText.repeat(turn.deltasPerAnswer)) });
  yield part('c', { type: 'step-finish', reason: finishOf(turn, answer), cost: 0, tokens });
  yield stored(sessionId, 'message.updated', { info: answerOf(turn, answer, true) });
}

/** The history of a session after the turn. */
export function messagesOf(turn: ScriptedTurn, finished: boolean): unknown[] {
  const text = finished ? deltaText.repeat(turn.deltasPerAnswer) : '';
  const answers = turn.answers.map((answer) => ({ info: answerOf(turn, answer, finished), parts: [textPart(turn, answer, text)] }));
  return [{ info: userMessage(turn), parts: [] }, ...answers];
}

export function sessionInfo(id: string, directory: string): Record<string, unknown> {
  const now = Date.now();
  return { id, slug: id, projectID: 'synthetic', directory, title: 'Synthetic', version: '1.18.33', time: { created: now, updated: now } };
}

const tokens = { input: 812, output: 68, reasoning: 0, cache: { read: 0, write: 0 } };

function userMessage({ messageId, sessionId }: ScriptedTurn): Record<string, unknown> {
  const model = { providerID: 'synthetic', modelID: 'instant' };
  return { id: messageId, sessionID: sessionId, role: 'user', time: { created: Date.now() }, agent: 'build', model };
}

function finishOf(turn: ScriptedTurn, answer: ScriptedAnswer): string {
  return answer === turn.answers.at(-1) ? 'stop' : 'tool-calls';
}

function answerOf(turn: ScriptedTurn, answer: ScriptedAnswer, finished: boolean): Record<string, unknown> {
  const { messageId, sessionId, directory } = turn;
  const created = Date.now();
  return {
    id: answer.id,
    sessionID: sessionId,
    role: 'assistant',
    parentID: messageId,
    mode: 'build',
    agent: 'build',
    path: { cwd: directory, root: directory },
    cost: 0,
    tokens,
    modelID: 'instant',
    providerID: 'synthetic',
    time: finished ? { created, completed: created } : { created },
    ...(finished && { finish: finishOf(turn, answer) }),
  };
}

function textPart({ sessionId }: ScriptedTurn, { id, partId }: ScriptedAnswer, text: string): Record<string, unknown> {
  const now = Date.now();
  return {
    id: `${partId}b`,
    sessionID: sessionId,
    messageID: id,
    type: 'text',
    text,
    time: { start: now, ...(text !== '' && { end: now }) },
  };
}

function stored(sessionId: string, type: string, properties: Record<string, unknown>): WireEvent {
  return { sessionId, type, properties: { sessionID: sessionId, ...properties }, stored: true };
}

function live(sessionId: string, type: string, properties: Record<string, unknown>): WireEvent {
  return { sessionId, type, properties: { sessionID: sessionId, ...properties }, stored: false };
}
