import { isManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import { assertCapable, type Protocol, type ServerCalls, type SessionCalls } from '../protocol/index.ts';
import { unknownMessage } from './checks.ts';
import { summarize } from './summary.ts';
import type { SessionOperations } from './types.ts';

export interface OperationsContext {
  readonly protocol: Pick<Protocol, 'name' | 'versions' | 'capabilities' | 'ids'>;
  readonly calls: ServerCalls;
  /** Refuses a workspace that is not trusted; puts its instructions where the server finds them. See `Workspaces`. */
  readonly beginTurn: (directory: string) => Promise<void>;
}

/** Bare operations of one session; see {@link SessionOperations}. */
export function createOperations({ protocol, calls, beginTurn }: OperationsContext, id: string, directory: string): SessionOperations {
  const session = calls.session(id, directory);
  const assertMessage = (messageId: string, options: CallOptions | undefined) =>
    findMessage({ session, id, ids: protocol.ids }, messageId, options);
  return {
    id,
    directory,
    async submit(turn, options) {
      await beginTurn(directory);
      await session.submit(turn, options);
    },
    abort: (options) => session.abort(options),
    info: (options) => session.info(options),
    messages: ({ limit } = {}, options) => session.messages(limit, options),
    children: (options) => session.children(options),
    async todos(options) {
      assertCapable(protocol, 'todos', 'todos()');
      return session.todos(options);
    },
    async diff(messageId, options) {
      await assertMessage(messageId, options);
      return session.diff(messageId, options);
    },
    async fork(messageId, options) {
      if (messageId !== undefined) await assertMessage(messageId, options);
      return session.fork(messageId, options);
    },
    async revert(messageId, options) {
      await assertMessage(messageId, options);
      return session.revert(messageId, options);
    },
    unrevert: (options) => session.unrevert(options),
    rename: (title, options) => session.rename(title, options),
    async summarize(model, options) {
      await beginTurn(directory);
      await summarize({ calls, session, id, directory, removable: protocol.capabilities.removableMessages }, model, options);
    },
    delete: (options) => session.delete(options),
  };
}

/**
 * opencode takes a message that it does not know for none: it copies the whole session, reverts nothing and finds no difference.
 * @throws `MESSAGE_UNKNOWN`
 */
async function findMessage(
  { session, id, ids }: { readonly session: SessionCalls; readonly id: string; readonly ids: Protocol['ids'] },
  messageId: string,
  options: CallOptions | undefined,
): Promise<void> {
  // An id of another form is refused as malformed.
  if (typeof messageId !== 'string' || !ids.isMessage(messageId)) throw unknownMessage(id, messageId);
  try {
    await session.message(messageId, options);
  } catch (error) {
    if (!isManagerError(error, 'NOT_FOUND')) throw error;
    // The session itself may be gone.
    await session.info(options);
    throw unknownMessage(id, messageId);
  }
}
