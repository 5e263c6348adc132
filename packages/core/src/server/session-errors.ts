import type { HttpClient, ServerCredentials } from '../http/index.ts';
import type { ProtocolStream, TurnError } from '../protocol/index.ts';
import type { ErrorWatch } from '../session/types.ts';
import { openOwnStream } from './own-stream.ts';

/**
 * Listens for what opencode says of a session. Why a prompt does not begin (a file that cannot be read), it says on its stream alone, and
 * keeps nothing. What is heard was said after this resolved.
 */
export async function watchSession(
  {
    credentials,
    client,
    protocol,
  }: { readonly credentials: ServerCredentials; readonly client: HttpClient; readonly protocol: ProtocolStream },
  { id, directory }: { readonly id: string; readonly directory: string },
  signal: AbortSignal,
): Promise<ErrorWatch> {
  let isListening = false;
  let failure: ReturnType<ErrorWatch['failure']>;
  const hear = (error: TurnError, sessionId: string | undefined) => {
    if (isListening && sessionId === id) failure ??= error;
  };
  const stream = await openOwnStream(credentials, protocol, hear, signal);
  const stop = () => void stream.stop().catch(() => undefined);
  try {
    await stream.fence(client, directory);
  } catch (error) {
    stop();
    throw error;
  }
  isListening = true;
  return { failure: () => failure, stop };
}
