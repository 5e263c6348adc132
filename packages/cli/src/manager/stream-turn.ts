import type { SessionPool, TaskResult } from '@opencode-manager/actors';
import type { TurnPiece } from '../manager-socket/index.ts';
import type { DeskSession } from './session-desk.ts';
import { pieceEvents, TurnPieces } from './turn-pieces.ts';

interface StreamedTurn {
  readonly text: string;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/** Runs a prompt and sends on what the model says, in order; all of it is sent when the result is there. */
export async function streamTurn(
  { events }: Pick<SessionPool, 'events'>,
  session: DeskSession,
  { text, ...options }: StreamedTurn,
  send: (piece: TurnPiece) => Promise<void>,
): Promise<TaskResult> {
  let sent = Promise.resolve();
  // A client that is gone has aborted the turn.
  const pieces = new TurnPieces(text, (piece) => {
    sent = sent.then(() => send(piece)).catch(() => undefined);
  });
  const stop = events.on({ sessionId: session.id, type: pieceEvents }, (event) => pieces.take(event));
  try {
    const result = await session.prompt(text, { ...options, beforeSend: async ({ messageId }) => pieces.begin(messageId) });
    pieces.end(result.output);
    await sent;
    return result;
  } finally {
    stop();
  }
}
