import { get } from './bucket-set.ts';
import { unshift } from './chunk-queue.ts';
import { holdBack, isInfrastructureFault, isLasting } from './infrastructure-hold.ts';
import {
  backoffOf,
  endHolder,
  freeSlot,
  hold,
  recentRestarts,
  requeue,
  step,
  withoutSlot,
  type End,
  type EventOf,
} from './pool-schedule.ts';
import { changeGate, idIn, pauseProvider, resumeDue, type ProviderPause } from './provider-gate.ts';
import type { Holder, PoolContext, TaskStep } from './pool.types.ts';
import { failure } from './turn-verdict.ts';

/** How an attempt came to its end: with its turn, or before it. */
type AttemptEnd = EventOf<'turn.ended'> | EventOf<'attempt.failed'>;

/** What the pool does about the end of an attempt. */
type Consequence = 'over' | 'lost' | 'crashed' | 'fault';

/** After these another attempt may help: the cause lies in the server or the connection, not in the task. */
const passing: ReadonlySet<string> = new Set(['REQUEST_TIMEOUT', 'CONNECTION_LOST', 'SERVER_ERROR', 'SESSION_ACTOR_FAILED']);

const lossCodes: ReadonlySet<string> = new Set(['SERVER_EXITED', 'SERVER_UNRESPONSIVE']);

/** Reads what the end of an attempt means. What the server may still work on, and what a caller wants no more of, is over. */
function consequenceOf(context: PoolContext, holder: Holder, event: AttemptEnd): Consequence {
  const ended = event.type === 'turn.ended';
  if (holder.abortReason !== null || (ended && event.quarantined)) return 'over';
  const code = event.error?.code ?? '';
  if (lossCodes.has(code) && (!ended || event.outcome === 'interrupted')) return 'lost';
  if (context.server === 'gone') return 'over';
  if (isInfrastructureFault(event.error) && !(ended && event.sent)) return isLasting(context.infrastructure) ? 'over' : 'fault';
  const broke = ended ? event.outcome === 'interrupted' && code === 'SESSION_ACTOR_FAILED' : passing.has(code);
  return broke && holder.sessionId === undefined ? 'crashed' : 'over';
}

/** So often a session is read again that could not be read, where nothing is begun again. */
const mostReads = 3;

function mayReadAgain({ step: at, unread = 0 }: Holder): boolean {
  return at === 'judge' && unread < mostReads;
}

/** Whether the task is begun again at all. */
function repeats(context: PoolContext, { once }: Holder): boolean {
  return context.repeats && !once;
}

/** What becomes of a task whose attempt has ended: it is over, or goes on, at once or after a wait. */
export function endAttempt(context: PoolContext, event: AttemptEnd): PoolContext {
  const holder = get(context.holders, event.taskId);
  if (!holder) return context;
  const consequence = consequenceOf(context, holder, event);
  // Of what was lost, the end may still be read. A read is no attempt: it may come again.
  const mayRead = consequence === 'lost' ? event.type === 'turn.ended' : consequence === 'crashed' && mayReadAgain(holder);
  if (repeats(context, holder) || mayRead) return outcomes[consequence](context, holder, event);
  return endWithAttempt(context, holder, event, consequence);
}

const outcomes: Readonly<Record<Consequence, (context: PoolContext, holder: Holder, event: AttemptEnd) => PoolContext>> = {
  over: endWithAttempt,
  lost: goOnElsewhere,
  crashed: tryAgain,
  fault: putBack,
};

/** Ends a task with its attempt. One that another attempt may help is interrupted: who begins it again must not take it for a failure of its own. */
function endWithAttempt(context: PoolContext, holder: Holder, event: AttemptEnd, consequence: Consequence = 'over'): PoolContext {
  const mayHelp = consequence === 'crashed' || consequence === 'fault';
  const ended = endHolder(context, holder, mayHelp ? { outcome: 'interrupted', error: event.error } : endOf(context, holder, event));
  const isFault = isInfrastructureFault(event.error);
  const held = isFault ? { ...ended, infrastructure: holdBack(ended.infrastructure, event.atMs) } : ended;
  if (event.type !== 'turn.ended' || event.outcome !== 'quota_exhausted') return held;
  return pause(held, holder.provider ?? null, { atMs: event.atMs, untilMs: event.resetAtMs ?? 0, isRateLimit: true });
}

function endOf(context: PoolContext, holder: Holder, event: AttemptEnd): End {
  const { error } = event;
  if (event.type === 'attempt.failed') {
    if (holder.abortReason !== null) return aborted(holder);
    // Without a server nothing goes well any more, whatever the request says.
    if (context.error || lossCodes.has(event.error.code)) return { outcome: 'server_lost', error: context.error ?? error };
    return { outcome: holder.sessionId !== undefined && passing.has(event.error.code) ? 'interrupted' : 'failed', error };
  }
  // What broke off with its server was to be aborted: that is how it ends.
  const broke = lossCodes.has(error?.code ?? '') && event.outcome === 'interrupted';
  if (broke && holder.abortReason !== null) return aborted(holder);
  // An answer without the files that belong to it is no success.
  if (event.outcome === 'succeeded' && event.notTaken) return { outcome: 'failed', error: event.notTaken };
  return { outcome: event.outcome, error };
}

/** A task that was to be aborted, and whose turn did not get to its own end. */
function aborted({ abortReason, step: at, attempts, interruptions }: Holder): End {
  const mayBeSent = at === 'judge' || at === 'resume' || attempts > 1 || interruptions > 0;
  const message = `${abortReason ?? 'The task was aborted.'} ${mayBeSent ? 'Its turn had been sent before.' : 'Nothing was sent.'}`;
  return { outcome: 'aborted', error: failure('TURN_ABORTED', message) };
}

/** A task whose session was lost: a fresh one after a wait, within the budget. */
function tryAgain(context: PoolContext, holder: Holder, event: AttemptEnd): PoolContext {
  const { maxRestarts, windowMs, backoffMs } = context.restartLimits;
  const recent = recentRestarts(context.restartTimes, windowMs, event.atMs);
  if (recent.length >= maxRestarts && repeats(context, holder)) return endHolder(context, holder, budgetSpent(context, event));
  if (recent.length >= maxRestarts) return endWithAttempt(context, holder, event, 'crashed');
  return {
    ...freeSlot(context, holder),
    restarts: context.restarts + 1,
    restartTimes: [...recent, event.atMs],
    retrying: [...context.retrying, { ...withoutSlot(holder), ...(holder.step === 'judge' && { unread: (holder.unread ?? 0) + 1 }) }],
    retryDelayMs: backoffOf(backoffMs, recent.length, event.jitter),
  };
}

function budgetSpent({ restartLimits: { maxRestarts, windowMs } }: PoolContext, { error }: AttemptEnd): End {
  const message = `The task's session was lost, and ${maxRestarts} restarts within ${windowMs} ms are spent: ${error?.message}`;
  return { outcome: 'failed', error: { ...failure('RESTART_BUDGET_SPENT', message), ...(error && { cause: error }) } };
}

/** Puts a task back whose wait is over. */
export function restart(context: PoolContext, taskId: string): PoolContext {
  const task = context.retrying.find((one) => one.taskId === taskId);
  if (!task) return context;
  return requeue(
    { ...context, retrying: context.retrying.filter((one) => one !== task), nextOrder: context.nextOrder + 1 },
    {
      ...task,
      order: context.nextOrder,
    },
  );
}

/** Puts a task back that was certainly not sent, before all others, and holds new turns back for a while. */
function putBack(context: PoolContext, holder: Holder, { atMs }: AttemptEnd): PoolContext {
  const task = { ...withoutSlot(holder), ...unbegun(holder) };
  return { ...requeue(freeSlot(context, holder), task, unshift), infrastructure: holdBack(context.infrastructure, atMs) };
}

/** A server was lost under an attempt: what is left to do is done on the next one. */
function goOnElsewhere(context: PoolContext, holder: Holder, event: AttemptEnd): PoolContext {
  if (context.server === 'gone') return endHolder(context, holder, { outcome: 'server_lost', error: context.error ?? event.error });
  const sent = event.type === 'turn.ended';
  const next = sent ? 'judge' : holder.step;
  const known: Holder = { ...holder, ...(sent ? { error: event.error } : unbegun(holder)) };
  // A server that was replaced before: the next one is there already. Else its loss is about to be told.
  const isReplaced = context.server === 'here' && (event.generation ?? context.generation) < context.generation;
  return isReplaced ? step(context, known, next) : hold(context, known, next);
}

/** An attempt that was not sent does not count. */
function unbegun({ step: at, attempts }: Holder): Pick<Holder, 'attempts'> {
  return { attempts: at === 'judge' || at === 'resume' ? attempts : attempts - 1 };
}

/** What is left to do of a task whose turn was judged. */
export function judge(context: PoolContext, { taskId, fate }: EventOf<'turn.judged'>): PoolContext {
  const holder = get(context.holders, taskId);
  if (!holder) return context;
  if (holder.abortReason !== null) return endHolder(context, holder, aborted(holder));
  if (context.server === 'gone') return endHolder(context, holder, { outcome: 'server_lost', error: context.error });
  if (fate === 'never_started' && !repeats(context, holder))
    return endHolder(context, holder, { outcome: 'interrupted', error: neverStarted });
  if (fate === 'interrupted' && !mayRepeat(context, holder))
    return endHolder(context, holder, { outcome: 'interrupted', error: holder.error ?? brokeOff });
  const next = ({ finished: 'resume', never_started: 'repeat', interrupted: 'retry' } as const satisfies Record<string, TaskStep>)[fate];
  const judged = { ...holder, interruptions: holder.interruptions + (fate === 'interrupted' ? 1 : 0) };
  return context.server === 'here' ? step(context, judged, next) : hold(context, judged, next);
}

const neverStarted = failure('TURN_INTERRUPTED', 'The server never had the prompt: no model was asked.', { sent: false });
const brokeOff = failure('TURN_INTERRUPTED', 'The turn broke off with its server, or with the manager of that.');

/** A leased session belongs to somebody who has its history in mind; and what takes its server with it each time must end some day. */
function mayRepeat(context: PoolContext, holder: Holder): boolean {
  const { retriesInterrupted, restartLimits } = context;
  const { sessionId, interruptions } = holder;
  return repeats(context, holder) && retriesInterrupted && sessionId === undefined && interruptions < restartLimits.maxRestarts;
}

/** Holds new turns of a provider back while it wants a pause. */
export function pause(context: PoolContext, provider: string | null, asked: ProviderPause): PoolContext {
  const { providers, maxSessions, longestPauseMs } = context;
  const told = { ...asked, untilMs: Math.min(asked.untilMs, asked.atMs + longestPauseMs) };
  // One that is named for the first time may be the only one, which stands for those that are not known.
  const known = provider === null ? providers : changeGate(providers, provider, maxSessions, (gate) => gate);
  return { ...context, providers: changeGate(known, idIn(known, provider), maxSessions, (gate) => pauseProvider(gate, told)) };
}

/** Ends the pauses whose time has come. */
export function endPauses(context: PoolContext, atMs: number): PoolContext {
  const { heldUntilMs } = context.infrastructure;
  const isOver = heldUntilMs !== null && heldUntilMs <= atMs;
  return {
    ...context,
    providers: resumeDue(context.providers, atMs),
    infrastructure: isOver ? { ...context.infrastructure, heldUntilMs: null } : context.infrastructure,
  };
}

/** When the first pause ends; null when nothing is held back. */
export function nextPauseEnd({ providers, infrastructure }: PoolContext): number | null {
  const ends = [...providers, infrastructure].map(({ heldUntilMs }) => heldUntilMs).filter((end) => end !== null);
  return ends.length > 0 ? Math.min(...ends) : null;
}
