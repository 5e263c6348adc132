import type { CallOptions, HttpClient } from '../http/index.ts';
import { shareLooks, workspaceInstructions } from '../isolation/index.ts';
import { requests, type MessageWithParts, type SessionInfo, type SnapshotFileDiff, type Todo } from '../protocol/index.ts';
import { turnRequest, wireModel } from './turn-request.ts';
import type { SessionOperations, TurnRequest } from './types.ts';

export interface OperationsContext {
  readonly client: HttpClient;
  /** Whether AGENTS.md files of the workspace are sent with prompts. */
  readonly sendInstructions: boolean;
}

const instructionsOf = shareLooks(workspaceInstructions);

/** Deadline of a summary, which asks a model. */
const summaryTimeoutMs = 300_000;

/** Bare operations of one session; see {@link SessionOperations}. A class: each session of a pool has one, and shares its methods. */
class Operations implements SessionOperations {
  readonly #context: OperationsContext;
  readonly id: string;
  readonly directory: string;

  constructor(context: OperationsContext, id: string, directory: string) {
    this.#context = context;
    this.id = id;
    this.directory = directory;
  }

  async submit(turn: TurnRequest, options: CallOptions = {}): Promise<void> {
    const { client, sendInstructions } = this.#context;
    const instructions = sendInstructions && turn.kind === 'prompt' ? instructionsOf(this.directory) : undefined;
    const untilTurnEnds: CallOptions = turn.kind === 'prompt' ? {} : { timeoutMs: Infinity };
    await client.call(turnRequest(this.id, this.directory, turn, instructions), { ...untilTurnEnds, ...options });
  }

  async abort(options?: CallOptions): Promise<void> {
    await this.#context.client.call(requests.abort(this.id, this.directory), options);
  }

  info(options?: CallOptions): Promise<SessionInfo> {
    return this.#context.client.call(requests.getSession(this.id, this.directory), options);
  }

  messages({ limit }: { readonly limit?: number } = {}, options?: CallOptions): Promise<MessageWithParts[]> {
    return this.#context.client.call(requests.messages(this.id, this.directory, limit), options);
  }

  children(options?: CallOptions): Promise<SessionInfo[]> {
    return this.#context.client.call(requests.children(this.id, this.directory), options);
  }

  todos(options?: CallOptions): Promise<Todo[]> {
    return this.#context.client.call(requests.todos(this.id, this.directory), options);
  }

  diff(messageId: string, options?: CallOptions): Promise<SnapshotFileDiff[]> {
    return this.#context.client.call(requests.diff(this.id, this.directory, messageId), options);
  }

  fork(messageId?: string, options?: CallOptions): Promise<SessionInfo> {
    return this.#context.client.call(requests.fork(this.id, this.directory, messageId), options);
  }

  revert(messageId: string, options?: CallOptions): Promise<SessionInfo> {
    return this.#context.client.call(requests.revert(this.id, this.directory, messageId), options);
  }

  unrevert(options?: CallOptions): Promise<SessionInfo> {
    return this.#context.client.call(requests.unrevert(this.id, this.directory), options);
  }

  rename(title: string, options?: CallOptions): Promise<SessionInfo> {
    return this.#context.client.call(requests.updateSession(this.id, this.directory, { title }), options);
  }

  async summarize(model: string, options?: CallOptions): Promise<void> {
    const request = requests.summarize(this.id, this.directory, wireModel(model));
    await this.#context.client.call(request, { timeoutMs: summaryTimeoutMs, ...options });
  }

  async delete(options?: CallOptions): Promise<void> {
    await this.#context.client.call(requests.deleteSession(this.id, this.directory), options);
  }
}

export function createOperations(context: OperationsContext, id: string, directory: string): SessionOperations {
  return new Operations(context, id, directory);
}
