import { OpencodeManagerError, toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import type { FinishedTurn } from '../machines/index.ts';

/** Whether a turn has no end of its own yet, because its server was lost. */
export function isServerLoss({ outcome, error }: Pick<FinishedTurn, 'outcome' | 'error'>): boolean {
  return outcome === 'interrupted' && (error?.code === 'SERVER_EXITED' || error?.code === 'SERVER_UNRESPONSIVE');
}

export function serialize(error: unknown): SerializedError {
  return toManagerError(error).toJSON();
}

export function actorFailed(sessionId: string, error: unknown): OpencodeManagerError {
  const reason = error instanceof Error ? error.message : String(error);
  return new OpencodeManagerError(
    'SESSION_ACTOR_FAILED',
    `The actor of session ${sessionId} failed (${reason}); the session is not used again.`,
    { details: { sessionId }, cause: error },
  );
}
