import { toldProof, type PooledSession, type SessionPool, type TaskResult } from '@opencode-manager/actors';
import {
  isManagerError,
  OpencodeManagerError,
  type CallOptions,
  type OpencodeServer,
  type Session,
  type TurnResult,
} from '@opencode-manager/core';
import { judgeFinish } from '@opencode-manager/core/protocol';
import { outputOf } from './turn-output.ts';

/** What clients of the socket do with a session. */
export type DeskSession = Pick<
  PooledSession,
  'id' | 'directory' | 'prompt' | 'executeCommand' | 'executeShell' | 'revertMessage' | 'unrevert' | 'messages' | 'abort' | 'delete'
>;

/** Hands sessions to the clients of one manager, each the same object every time, so that its queue holds for all. */
export interface SessionDesk {
  /** A new session under an actor of the pool. */
  create(title: string | undefined, directory: string | undefined): Promise<DeskSession>;
  /**
   * A session by its id.
   * @throws OpencodeManagerError `NOT_FOUND`; `SESSION_BUSY` while a task of the pool holds it
   */
  open(id: string): Promise<DeskSession>;
  /** Aborts the turn of a session, whoever started it. */
  abort(id: string): Promise<void>;
  /**
   * Deletes a session, after an abort of the turn that a client has there. False when there is no such session any more.
   * @throws OpencodeManagerError `SESSION_BUSY` while a task of the pool holds it
   */
  delete(id: string, options: CallOptions): Promise<boolean>;
}

export function createSessionDesk(pool: SessionPool): SessionDesk {
  const known = new Map<string, DeskSession>();
  // Sessions of the pool go on with the next server; the others are bound to theirs and are looked up again.
  const outside = new Map<string, OpencodeServer>();
  const forgetLost = (id: string) => {
    if (outside.has(id) && outside.get(id) !== pool.server) known.delete(id);
  };
  const locate = async (id: string) => {
    const actor = pool.snapshot().sessions.find(({ sessionId }) => sessionId === id);
    return pool.serverOf(id).getSession(id, actor ? { directory: actor.directory } : {});
  };
  const open = async (id: string) => {
    forgetLost(id);
    const held = known.get(id);
    if (held) return held;
    const idle = pool.getIdleSession({ id });
    if (idle) {
      known.set(id, idle);
      return idle;
    }
    refuseBusy(pool, id);
    const on = pool.server;
    const session = outsideThePool(pool, await locate(id));
    // Two clients that ask at once must get one queue.
    const first = known.get(id) ?? session;
    known.set(id, first);
    outside.set(id, on);
    return first;
  };
  return {
    open,
    async create(title, directory) {
      const session = await pool.createSession(title, directory === undefined ? {} : { directory });
      known.set(session.id, session);
      return session;
    },
    async abort(id) {
      forgetLost(id);
      await (known.get(id) ?? (await locate(id))).abort();
    },
    async delete(id, options) {
      try {
        await (await open(id)).delete(options);
      } catch (error) {
        if (isManagerError(error, 'NOT_FOUND')) return false;
        throw error;
      } finally {
        // One that could not be deleted is looked up again.
        known.delete(id);
        outside.delete(id);
      }
      return true;
    },
  };
}

/** opencode merges a prompt that reaches a busy session into the turn in flight. */
function refuseBusy(pool: SessionPool, id: string): void {
  const actor = pool.snapshot().sessions.find(({ sessionId, state }) => sessionId === id && state === 'active');
  if (actor)
    throw new OpencodeManagerError(
      'SESSION_BUSY',
      `Session ${id} works on the task ${actor.taskId ?? ''}. Wait for it, or abort it with: ocm abort ${id}`,
      { details: { sessionId: id } },
    );
}

/** A session that no actor of the pool holds (a finished task's, a sub-agent's, or one made in the TUI), in the pool's terms. */
function outsideThePool({ server }: SessionPool, session: Session): DeskSession {
  const { version, protocol } = server;
  const asResult = (turn: TurnResult) => ({ ...toTaskResult(session, turn), opencode: { version, protocol } });
  return {
    id: session.id,
    directory: session.directory,
    prompt: (text, { beforeSend: _pooled, ...options } = {}) => session.prompt(text, options).then(asResult),
    executeCommand: (name, args, options) => session.executeCommand(name, args, options).then(asResult),
    executeShell: (command, options) => session.executeShell(command, options).then(asResult),
    revertMessage: (messageId, options) => session.revertMessage(messageId, options),
    unrevert: (options) => session.unrevert(options),
    messages: (query, options) => session.messages(query, options),
    abort: (options) => session.abort(options),
    delete: (options) => session.delete(options),
  };
}

function toTaskResult({ id, directory }: Session, turn: TurnResult): TaskResult {
  const { usage } = turn;
  const output = outputOf(turn);
  const failure = failureOf(turn);
  const tools = turn.messages.flatMap(({ parts }) => parts).filter(({ type }) => type === 'tool').length;
  return {
    schema_version: 1,
    id: turn.messageId,
    // A shell line may print nothing; a model that says and does nothing has not succeeded.
    outcome: failure || (output === '' && tools === 0) ? 'failed' : 'succeeded',
    attempt: 1,
    session_id: id,
    message_id: turn.messageId,
    directory,
    model: modelOf(turn),
    output,
    finish: turn.finish ?? null,
    ...(turn.exitCode !== undefined && { exit_code: turn.exitCode }),
    ...(turn.note !== undefined && { notes: [turn.note] }),
    usage: {
      input_tokens: usage.input,
      output_tokens: usage.output,
      reasoning_tokens: usage.reasoning,
      cache_read_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite,
    },
    // opencode says 0 both for free and for a model whose price it does not know.
    cost_usd: turn.costUsd === 0 ? null : turn.costUsd,
    duration_ms: Math.round(turn.durationMs),
    queued_ms: 0,
    proof: toldProof(turn.proof),
    asks: [],
    gaps: 0,
    retries: 0,
    model_calls: callsOf(turn),
    tool_calls: tools,
    error: failure?.toJSON() ?? null,
    metadata: {},
  };
}

/** core's own session resolves for a shell line that fails; other failures reject. */
function failureOf({ exitCode }: TurnResult): OpencodeManagerError | undefined {
  if (exitCode === undefined) return undefined;
  const facts = { kind: 'shell', finish: undefined, hasText: false, hasToolResult: false, emptyAnswer: 'allow' } as const;
  const { code, note = '' } = judgeFinish({ ...facts, exitCode });
  return code && new OpencodeManagerError(code, note, { details: { exitCode } });
}

/** Calls that began to answer: one that failed before leaves nothing in a message. */
function callsOf({ messages }: TurnResult): number {
  return messages.flatMap(({ parts }) => parts).filter(({ type }) => type === 'step').length;
}

function modelOf({ messages }: TurnResult): string | null {
  const last = messages.at(-1)?.info;
  return last?.role === 'assistant' ? last.model : null;
}
