import type { Decision, SessionLimits, Turn, TurnBounds } from './session.types.ts';
import { mayGoOn } from './turn.ts';
import { failure } from './turn-verdict.ts';

/** How long a turn may be quiet before it is looked at, in milliseconds. */
export function longestQuietMs(turn: Turn | null, { stallTimeoutMs }: SessionLimits): number {
  return turn?.limits.stallMs ?? stallTimeoutMs;
}

/** The session's limits, with what the turn has of its own about waits for its provider. */
export function retryLimits(turn: Turn | null, limits: SessionLimits): SessionLimits {
  const waitMs = turn?.limits.retryWaitMs ?? null;
  return waitMs === null ? limits : { ...limits, maxRetryWaitMs: waitMs };
}

export const stalled = (quietMs: number): Decision => ({
  outcome: 'stalled',
  error: failure(
    'TURN_STALLED',
    `The turn showed no activity for ${quietMs} ms while the server called it busy; raise its limit for slow work (stallTimeoutMs of the pool, stallMs of the task).`,
    { limit: 'stall', value: quietMs },
  ),
});

export const timedOut = ({ timeoutMs }: Turn): Decision => ({
  outcome: 'timed_out',
  error: failure('TURN_TIMEOUT', `The turn was not over after ${timeoutMs} ms; raise the task's timeoutMs or make the task smaller.`, {
    limit: 'timeout',
    value: timeoutMs,
  }),
});

export const outOfWork = ({ limits: { workingMs } }: Turn): Decision => ({
  outcome: 'timed_out',
  error: failure(
    'TURN_TIMEOUT',
    `The turn was not over after ${workingMs} ms of work (waits for the provider and for answers are none); raise the task's workingMs or make the task smaller.`,
    { limit: 'working', value: workingMs },
  ),
});

/** The turn waits: for its provider, or for an answer. */
export function pauseWork(turn: Turn): Turn {
  return { ...turn, workedMs: workedMsOf(turn), workingSinceMs: null };
}

export function resumeWork(turn: Turn): Turn {
  return { ...turn, workingSinceMs: turn.workingSinceMs ?? turn.lastAtMs };
}

/** How long it may still work, in milliseconds. */
export function workLeftMs(turn: Turn): number {
  return Math.max(0, (turn.limits.workingMs ?? Infinity) - workedMsOf(turn));
}

function workedMsOf({ workedMs, workingSinceMs, lastAtMs }: Turn): number {
  return workedMs + (workingSinceMs === null ? 0 : Math.max(0, lastAtMs - workingSinceMs));
}

const budgets = ['steps', 'tokens', 'usd'] as const satisfies readonly (keyof TurnBounds)[];
type Budget = (typeof budgets)[number];

/**
 * Whether a turn has used up what it may, and would go on: of one that is over with its last step, nothing is left to stop. Looked at with each
 * step that ends, so that it takes at most the step under way more than it may.
 */
export function isOverBudget(turn: Turn): boolean {
  return spentBudget(turn) !== undefined;
}

export function overBudget(turn: Turn): Decision {
  const { name, limit } = spentBudget(turn)!;
  const spent = name === 'usd' ? Number(turn.spent.usd.toFixed(6)) : turn.spent[name];
  const message = `The turn was stopped: with its sub-agents it has used ${spent} ${name} of the ${limit} that it may. Raise the limit, or make the task smaller.`;
  return { outcome: 'over_budget', error: failure('BUDGET_SPENT', message, { limit: name, value: limit, spent }) };
}

function spentBudget(turn: Turn): { readonly name: Budget; readonly limit: number } | undefined {
  const isBetweenSteps = mayGoOn(turn) || turn.retry !== null;
  const goesOn = turn.final === null || isBetweenSteps;
  for (const name of budgets) {
    const limit = turn.limits[name];
    if (limit === null || !goesOn) continue;
    // The last step that it may take is under way until it ends.
    const isSpent = name === 'steps' && !isBetweenSteps ? turn.spent.steps > limit : turn.spent[name] >= limit;
    if (isSpent) return { name, limit };
  }
  return undefined;
}
