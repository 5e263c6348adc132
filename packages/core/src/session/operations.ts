import { isManagerError } from '../errors/index.ts';
import type { CallOptions, HttpClient } from '../http/index.ts';
import { requests, withExitCodes } from '../protocol/index.ts';
import { unknownMessage } from './checks.ts';
import type { ExitCodes } from './exit-codes.ts';
import { summarize } from './summary.ts';
import { turnRequest, wireModel } from './turn-request.ts';
import type { SessionOperations } from './types.ts';

export interface OperationsContext {
  readonly client: HttpClient;
  /** Refuses a workspace that is not trusted; puts its instructions where the server finds them. See `Workspaces`. */
  readonly beginTurn: (directory: string) => Promise<void>;
  readonly exitCodes: ExitCodes;
}

/** Bare operations of one session; see {@link SessionOperations}. */
export function createOperations({ client, beginTurn, exitCodes }: OperationsContext, id: string, directory: string): SessionOperations {
  const assertMessage = (messageId: string, options: CallOptions | undefined) => findMessage(client, { id, directory, messageId }, options);
  return {
    id,
    directory,
    async submit(turn, options = {}) {
      await beginTurn(directory);
      const untilTurnEnds: CallOptions = turn.kind === 'prompt' ? {} : { timeoutMs: Infinity };
      await client.call(turnRequest(id, directory, turn, exitCodes), { ...untilTurnEnds, ...options });
    },
    async abort(options) {
      await client.call(requests.abort(id, directory), options);
    },
    info: (options) => client.call(requests.getSession(id, directory), options),
    messages: async (query = {}, options) =>
      withExitCodes(await client.call(requests.messages(id, directory, query.limit), options), (messageId) => exitCodes.read(messageId)),
    children: (options) => client.call(requests.children(id, directory), options),
    todos: (options) => client.call(requests.todos(id, directory), options),
    async diff(messageId, options) {
      await assertMessage(messageId, options);
      return client.call(requests.diff(id, directory, messageId), options);
    },
    async fork(messageId, options) {
      if (messageId !== undefined) await assertMessage(messageId, options);
      return client.call(requests.fork(id, directory, messageId), options);
    },
    async revert(messageId, options) {
      await assertMessage(messageId, options);
      return client.call(requests.revert(id, directory, messageId), options);
    },
    unrevert: (options) => client.call(requests.unrevert(id, directory), options),
    rename: (title, options) => client.call(requests.updateSession(id, directory, { title }), options),
    async summarize(model, options) {
      await beginTurn(directory);
      await summarize({ client, id, directory }, wireModel(model), options);
    },
    async delete(options) {
      await client.call(requests.deleteSession(id, directory), options);
    },
  };
}

/**
 * opencode takes a message that it does not know for none: it copies the whole session, reverts nothing and finds no difference.
 * @throws `MESSAGE_UNKNOWN`
 */
async function findMessage(
  client: HttpClient,
  { id, directory, messageId }: { readonly id: string; readonly directory: string; readonly messageId: string },
  options: CallOptions | undefined,
): Promise<void> {
  // An id of another form is refused as malformed.
  if (typeof messageId !== 'string' || !messageId.startsWith('msg')) throw unknownMessage(id, messageId);
  try {
    await client.call(requests.message(id, directory, messageId), options);
  } catch (error) {
    if (!isManagerError(error, 'NOT_FOUND')) throw error;
    // The session itself may be gone.
    await client.call(requests.getSession(id, directory), options);
    throw unknownMessage(id, messageId);
  }
}
