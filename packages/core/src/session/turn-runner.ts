import { assertKnownNames, OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { PermissionPolicy } from '../policy/index.ts';
import { parsePermissionPolicy } from '../policy/schema.ts';
import type { MessageIds, PromptPart, TurnRequest } from '../protocol/index.ts';
import type { CatalogueOptions } from '../server/catalogue.ts';
import type { Catalogue } from '../server/types.ts';
import { explainFullDisk } from '../isolation/index.ts';
import { awaitTurn, type Submission, type WatchContext } from './await-turn.ts';
import { assertEmptyAnswer, assertKnown } from './checks.ts';
import { deadlineSignal, withinDeadline } from './deadline.ts';
import { pause } from './pause.ts';
import { createTurnQueue, type TurnQueue } from './turn-queue.ts';
import type { ErrorWatch, SessionOperations, TurnCallOptions, TurnResult } from './types.ts';

/** What running turns needs of the server. */
export interface TurnContext extends WatchContext {
  readonly stateDir: string;
  readonly messageIds: MessageIds;
  catalogue(directory: string, options?: CatalogueOptions): Promise<Catalogue>;
  /** Waits until a turn in the directory is offered the tools of MCP servers. */
  ready(directory: string, signal?: AbortSignal): Promise<void>;
  /** Hears what opencode says of a session from now on. */
  watchSession(session: { readonly id: string; readonly directory: string }, signal: AbortSignal): Promise<ErrorWatch>;
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
  /** Runs a job when no turn of ours is in flight, with what is left of the caller's deadline. */
  whenQuiet<Result>(what: string, job: (options: CallOptions) => Promise<Result>, options: CallOptions | undefined): Promise<Result>;
  /** The session is being aborted: what the turn in flight leaves is to be called so. */
  noteAbort(): void;
}

/** All of {@link TurnCallOptions}. */
const optionNames = Object.keys({
  model: true,
  agent: true,
  system: true,
  messageId: true,
  permissions: true,
  emptyAnswer: true,
  timeoutMs: true,
  signal: true,
} satisfies Record<keyof TurnCallOptions, true>);

/** Wait between two looks at a session whose last turn was given up while it ran, in milliseconds. */
const idlePollMs = 100;

export function createTurnRunner(context: TurnContext, operations: SessionOperations, permissions: PermissionPolicy = 'deny'): TurnRunner {
  const queue = createTurnQueue();
  let inFlight: { aborted: boolean } | undefined;
  let maybeBusy = false;

  async function runTurn(draft: TurnDraft, options: TurnCallOptions, deadline: Deadline, onAccepted: (messageId: string) => void) {
    const { signal } = deadline;
    // A turn that nobody waits for any more may still run, and opencode would merge this one into it.
    if (maybeBusy) await untilIdle(context, operations, signal);
    const turn = await turnOf(context, operations.directory, draft, { ...options, signal });
    const errors = mayNotBegin(turn) ? await context.watchSession(operations, signal) : undefined;
    const flight = { aborted: false };
    inFlight = flight;
    maybeBusy = true;
    deadline.sent = true;
    try {
      const startedAtMs = Date.now();
      const submission = await start(operations, turn, signal);
      onAccepted(turn.messageId);
      const result = await awaitTurn(context, {
        operations,
        submission,
        startedAtMs,
        signal,
        messageId: turn.messageId,
        kind: turn.kind,
        emptyAnswer: options.emptyAnswer ?? 'refuse',
        permissions: options.permissions ?? permissions,
        abortRequested: () => flight.aborted,
        errors,
      }).catch(async (error: unknown) => {
        throw await explainFullDisk(error, context.stateDir);
      });
      maybeBusy = false;
      return result;
    } finally {
      inFlight = undefined;
      errors?.stop();
    }
  }

  function run(draft: TurnDraft, options: TurnCallOptions, onAccepted: (messageId: string) => void = () => undefined): Promise<TurnResult> {
    assertKnownNames(`a ${draft.kind}`, options, optionNames);
    if (options.permissions !== undefined) parsePermissionPolicy(options.permissions, 'permissions');
    assertEmptyAnswer(options.emptyAnswer);
    return withTurnDeadline(options, (deadline) => queue.run(() => runTurn(draft, options, deadline, onAccepted), deadline.signal));
  }

  return {
    get waiting() {
      return queue.waiting;
    },
    run: async (draft, options) => run(draft, options),
    async accept(draft, options) {
      const accepted = Promise.withResolvers<{ messageId: string }>();
      run(draft, options, (messageId) => accepted.resolve({ messageId })).catch(accepted.reject);
      return accepted.promise;
    },
    whenQuiet: (what, job, options) => whenQuiet(queue, what, job, options),
    noteAbort() {
      if (inFlight) inFlight.aborted = true;
    },
  };
}

/** opencode reads the files of a prompt before it keeps anything of it. */
function mayNotBegin(turn: TurnRequest): boolean {
  return turn.kind === 'prompt' && turn.parts.some(({ type }) => type !== 'text');
}

async function untilIdle(context: TurnContext, { id, directory }: SessionOperations, signal: AbortSignal): Promise<void> {
  while ((await context.snapshot(directory, { signal })).status[id] !== undefined) await pause(idlePollMs, signal);
}

/** The time in the queue counts: a caller who waits 100 ms at most waits no longer because a turn is in flight. */
function whenQuiet<Result>(
  queue: TurnQueue,
  what: string,
  job: (options: CallOptions) => Promise<Result>,
  options: CallOptions | undefined,
): Promise<Result> {
  return withinDeadline(what, options, (call, progress) => {
    progress.sent = false;
    const begin = () => {
      progress.sent = true;
      return job(call);
    };
    return queue.run(begin, call.signal);
  });
}

async function turnOf(context: TurnContext, directory: string, draft: TurnDraft, options: TurnCallOptions): Promise<TurnRequest> {
  const { model, agent, system, messageId = context.messageIds.next(), signal } = options;
  const command = draft.kind === 'command' ? draft.name : undefined;
  if (draft.kind !== 'shell') await context.ready(directory, signal);
  if (model !== undefined || agent !== undefined || command !== undefined) {
    const catalogue = await context.catalogue(directory, { withoutCommands: command === undefined, ...(signal && { signal }) });
    assertKnown(catalogue, { command, ...options });
  }
  return {
    ...draft,
    messageId,
    ...(model !== undefined && { model }),
    ...(agent !== undefined && { agent }),
    ...(draft.kind === 'prompt' && system !== undefined && { system }),
  };
}

/** Sends a turn. A command or shell line answers only at its end, so its answer is not waited for here. */
async function start(operations: SessionOperations, turn: TurnRequest, signal: AbortSignal): Promise<Submission> {
  const submission: Submission = { answered: false };
  const sent = operations.submit(turn, { signal }).then(
    () => void (submission.answered = true),
    (error: unknown) => {
      submission.error = error;
    },
  );
  if (turn.kind === 'prompt') {
    await sent;
    if (submission.error !== undefined) throw submission.error;
  }
  return submission;
}

interface Deadline {
  /** Ends the turn's wait at its deadline, or when the caller wants so. */
  readonly signal: AbortSignal;
  /** The turn has left the queue and went to the server. */
  sent: boolean;
}

/** Gives a job the signal that ends it at its deadline or with the caller's signal, and names which of them it was. */
async function withTurnDeadline<Result>(
  { timeoutMs, signal: caller }: TurnCallOptions,
  job: (deadline: Deadline) => Promise<Result>,
): Promise<Result> {
  const timeout = deadlineSignal(timeoutMs);
  const signal = AbortSignal.any([timeout, caller].filter((one) => one !== undefined));
  const deadline: Deadline = { signal, sent: false };
  try {
    return await job(deadline);
  } catch (error) {
    const { sent } = deadline;
    const rest = sent ? 'the turn goes on until it is aborted' : 'it had not begun, and nothing was sent';
    if (timeout?.aborted && !(caller?.aborted && signal.reason === caller.reason)) {
      throw new OpencodeManagerError('TURN_TIMEOUT', `The turn was not over within ${timeoutMs} ms; ${rest}.`, {
        details: { timeoutMs, sent },
        cause: error,
      });
    }
    if (!caller?.aborted) throw error;
    throw new OpencodeManagerError('REQUEST_ABORTED', `The caller aborted the wait for a turn; ${rest}.`, {
      details: { sent },
      cause: error,
    });
  }
}
