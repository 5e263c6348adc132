/** One event as opencode's wire has it; a stored one is followed by a record with its number in the session. */
export interface WireEvent {
  readonly sessionId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly stored: boolean;
}

/** What a turn of the synthetic server is about. */
export interface ScriptedTurn {
  readonly sessionId: string;
  readonly directory: string;
  /** The prompt's message, the answer's, and what the ids of the answer's parts begin with. */
  readonly messageId: string;
  readonly answerId: string;
  readonly partId: string;
  readonly deltas: number;
}

/** A model says about four characters at a time. */
const deltaText = ' word';

/** Events of a turn that are no deltas; with 68 deltas beside them 85 % are deltas. */
export const deltasOfRealisticTurn = 68;

/** What comes before the first delta, in opencode's order. */
export function openingOf(turn: ScriptedTurn): WireEvent[] {
  const { sessionId, messageId } = turn;
  return [
    stored(sessionId, 'message.updated', { info: userMessage(turn) }),
    stored(sessionId, 'message.part.updated', {
      part: { id: `${turn.partId}u`, sessionID: sessionId, messageID: messageId, type: 'text', text: 'Say what you would do.' },
    }),
    live(sessionId, 'session.status', { status: { type: 'busy' } }),
    stored(sessionId, 'message.updated', { info: answerOf(turn, false) }),
    stored(sessionId, 'message.part.updated', {
      part: { id: `${turn.partId}a`, sessionID: sessionId, messageID: turn.answerId, type: 'step-start' },
    }),
    stored(sessionId, 'message.part.updated', { part: textPart(turn, '') }),
  ];
}

export function deltaOf({ sessionId, answerId, partId }: ScriptedTurn, text = deltaText): WireEvent {
  return live(sessionId, 'message.part.delta', { messageID: answerId, partID: `${partId}b`, field: 'text', delta: text });
}

/** What comes after the last delta. */
export function closingOf(turn: ScriptedTurn): WireEvent[] {
  const { sessionId, directory } = turn;
  return [
    stored(sessionId, 'message.part.updated', { part: textPart(turn, deltaText.repeat(turn.deltas)) }),
    stored(sessionId, 'message.part.updated', {
      part: { id: `${turn.partId}c`, sessionID: sessionId, messageID: turn.answerId, type: 'step-finish', reason: 'stop', cost: 0, tokens },
    }),
    stored(sessionId, 'message.updated', { info: answerOf(turn, true) }),
    live(sessionId, 'session.status', { status: { type: 'idle' } }),
    live(sessionId, 'session.idle', {}),
    stored(sessionId, 'session.updated', { info: sessionInfo(sessionId, directory) }),
  ];
}

/** The history of a session after the turn. */
export function messagesOf(turn: ScriptedTurn, finished: boolean): unknown[] {
  const text = finished ? deltaText.repeat(turn.deltas) : '';
  return [
    { info: userMessage(turn), parts: [] },
    { info: answerOf(turn, finished), parts: [textPart(turn, text)] },
  ];
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

function answerOf({ answerId, messageId, sessionId, directory }: ScriptedTurn, finished: boolean): Record<string, unknown> {
  const created = Date.now();
  return {
    id: answerId,
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
    ...(finished && { finish: 'stop' }),
  };
}

function textPart({ partId, answerId, sessionId }: ScriptedTurn, text: string): Record<string, unknown> {
  const now = Date.now();
  return {
    id: `${partId}b`,
    sessionID: sessionId,
    messageID: answerId,
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
