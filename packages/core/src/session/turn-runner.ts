import { OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { MessageIds } from '../protocol/index.ts';
import type { Catalogue } from '../server/types.ts';
import { awaitTurn } from './await-turn.ts';
import { assertKnown } from './checks.ts';
import { createTurnQueue } from './turn-queue.ts';
import type { DirectorySnapshot, PromptPart, SessionOperations, TurnCallOptions, TurnRequest, TurnResult } from './types.ts';

/** What running turns needs of the server. */
export interface TurnContext {
  readonly messageIds: MessageIds;
  snapshot(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
  catalogue(directory: string, options?: CallOptions): Promise<Catalogue>;
}

/** A turn before it has an id. */
type TurnDraft =
  | { readonly kind: 'prompt'; readonly parts: readonly PromptPart[] }
  | { readonly kind: 'command'; readonly name: string; readonly arguments: string }
  | { readonly kind: 'shell'; readonly command: string };

/** Runs the turns of one session, one at a time. */
export interface TurnRunner {
  /** Turns that wait. */
  readonly waiting: number;
  /** Runs a turn to its proven end. */
  run(draft: TurnDraft, options: TurnCallOptions): Promise<TurnResult>;
  /** Queues a turn; resolves when the server has accepted it. */
  accept(draft: TurnDraft, options: TurnCallOptions): Promise<{ readonly messageId: string }>;
  /** Runs a job when no turn of ours is in flight. */
  whenQuiet<Result>(job: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result>;
}

export function createTurnRunner(context: TurnContext, operations: SessionOperations): TurnRunner {
  const queue = createTurnQueue();

  function run(draft: TurnDraft, options: TurnCallOptions, onAccepted: (messageId: string) => void = () => undefined): Promise<TurnResult> {
    return withTurnDeadline(options, (signal) =>
      queue.run(async () => {
        const turn = await turnOf(context, operations.directory, draft, { ...options, signal });
        const startedAtMs = Date.now();
        const { refused } = await start(operations, turn, signal);
        onAccepted(turn.messageId);
        const readSnapshot = (call?: CallOptions) => context.snapshot(operations.directory, call);
        return Promise.race([awaitTurn({ operations, readSnapshot, messageId: turn.messageId, startedAtMs, signal }), refused]);
      }, signal),
    );
  }

  return {
    get waiting() {
      return queue.waiting;
    },
    run: (draft, options) => run(draft, options),
    accept(draft, options) {
      const accepted = Promise.withResolvers<{ messageId: string }>();
      run(draft, options, (messageId) => accepted.resolve({ messageId })).catch(accepted.reject);
      return accepted.promise;
    },
    whenQuiet: (job, signal) => queue.run(job, signal),
  };
}

async function turnOf(context: TurnContext, directory: string, draft: TurnDraft, options: TurnCallOptions): Promise<TurnRequest> {
  const { model, agent, system, messageId = context.messageIds.next(), signal } = options;
  const command = draft.kind === 'command' ? draft.name : undefined;
  if (model !== undefined || agent !== undefined || command !== undefined) {
    assertKnown(await context.catalogue(directory, signal && { signal }), { command, ...options });
  }
  return {
    ...draft,
    messageId,
    ...(model !== undefined && { model }),
    ...(agent !== undefined && { agent }),
    ...(draft.kind === 'prompt' && system !== undefined && { system }),
  };
}

/**
 * Sends a turn and gives a promise that rejects when the server refuses it. A command or shell line answers only at its
 * end, so its answer is not waited for.
 */
async function start(operations: SessionOperations, turn: TurnRequest, signal: AbortSignal): Promise<{ readonly refused: Promise<never> }> {
  const refused = Promise.withResolvers<never>();
  refused.promise.catch(() => undefined);
  const sent = operations.submit(turn, { signal });
  if (turn.kind === 'prompt') await sent;
  else sent.catch(refused.reject);
  return { refused: refused.promise };
}

/** Gives a job the signal that ends it at its deadline or with the caller's signal, and names which of them it was. */
async function withTurnDeadline<Result>(
  { timeoutMs, signal: caller }: TurnCallOptions,
  job: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const deadline = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([deadline, caller].filter((one) => one !== undefined));
  try {
    return await job(signal);
  } catch (error) {
    if (deadline?.aborted) {
      throw new OpencodeManagerError('TURN_TIMEOUT', `The turn was not over within ${timeoutMs} ms; it goes on until it is aborted.`, {
        details: { timeoutMs },
        cause: error,
      });
    }
    if (!caller?.aborted) throw error;
    throw new OpencodeManagerError('REQUEST_ABORTED', 'The caller aborted the wait for a turn; the turn goes on until it is aborted.', {
      cause: error,
    });
  }
}
