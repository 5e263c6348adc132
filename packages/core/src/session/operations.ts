import type { CallOptions, HttpClient } from '../http/index.ts';
import { requests, withExitCodes } from '../protocol/index.ts';
import type { ExitCodes } from './exit-codes.ts';
import { turnRequest, wireModel } from './turn-request.ts';
import type { SessionOperations } from './types.ts';

export interface OperationsContext {
  readonly client: HttpClient;
  /** Refuses a workspace that is not trusted; puts its instructions where the server finds them. See `Workspaces`. */
  readonly beginTurn: (directory: string) => Promise<void>;
  readonly exitCodes: ExitCodes;
}

/** Deadline of a summary, which asks a model. */
const summaryTimeoutMs = 300_000;

/** Bare operations of one session; see {@link SessionOperations}. */
export function createOperations({ client, beginTurn, exitCodes }: OperationsContext, id: string, directory: string): SessionOperations {
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
    diff: (messageId, options) => client.call(requests.diff(id, directory, messageId), options),
    fork: (messageId, options) => client.call(requests.fork(id, directory, messageId), options),
    revert: (messageId, options) => client.call(requests.revert(id, directory, messageId), options),
    unrevert: (options) => client.call(requests.unrevert(id, directory), options),
    rename: (title, options) => client.call(requests.updateSession(id, directory, { title }), options),
    async summarize(model, options) {
      await beginTurn(directory);
      await client.call(requests.summarize(id, directory, wireModel(model)), { timeoutMs: summaryTimeoutMs, ...options });
    },
    async delete(options) {
      await client.call(requests.deleteSession(id, directory), options);
    },
  };
}
