import type { LedgerTurn } from '../opencode/ledger.ts';
import { callsOf, childrenOf, since, turnOf, wasTroubled, type Told } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';

/** The pool's default limits, and what the way to a result may take besides, in milliseconds. */
const stallMs = 300_000;
const askMs = 60_000;
/** Reads that time out, and an abort that nothing confirms. */
const slackMs = 150_000;
/** A turn that has ended is told of within this, when nothing is wrong with the server. */
const toldWithinMs = 60_000;

/** An abort that nothing confirms is told after this. */
const abortMs = 30_000;
const wayMs = 10_000;

/** What was aborted is told soon, whatever the server does. */
export function judgeAborts({ users, world }: Evidence, report: Report): void {
  for (const { name, abortedAtMs, endedAtMs } of users?.calls ?? []) {
    if (abortedAtMs === undefined || endedAtMs === undefined) continue;
    const withinMs = abortMs + (wasTroubled(world, abortedAtMs, endedAtMs) ? slackMs : wayMs);
    if (endedAtMs - abortedAtMs <= withinMs) continue;
    report('within-limits', `${name} was aborted at ${since(world, abortedAtMs)} and settled at ${since(world, endedAtMs)}.`);
  }
}

/** A turn that hangs ends within its limits, whether the stream is there or not. */
export function judgeLimits(evidence: Evidence, told: Told, report: Report): void {
  const { world } = evidence;
  const { endedAtMs: toldAtMs, task } = told;
  const late = (text: string) => report('within-limits', `${task}: told as ${told.result.outcome} at ${since(world, toldAtMs)}; ${text}`);
  const turn = turnOf(evidence, told);
  if (!turn || turn.how === 'died') return;
  const { ledger } = world;
  const { oversizedAtMs = Infinity } = turn;
  if (toldAtMs - oversizedAtMs > abortMs + wayMs && !wasTroubled(world, turn.deliveredAtMs, toldAtMs))
    return late(`it had said too much since ${since(world, oversizedAtMs)}.`);
  const calls = callsOf(world, turn, toldAtMs);
  const mostCalls = stepsOf(told) + furtherSteps + childrenOf(world, turn, toldAtMs).length;
  if (calls > mostCalls && isCalm(world) && !wasTroubled(world, turn.deliveredAtMs, toldAtMs))
    return late(`it made ${calls} calls of the model, and might make ${stepsOf(told)}.`);
  const open = ledger.asks.find(
    ({ rootId, openedAtMs, closedAtMs = toldAtMs, staleAtMs = toldAtMs }) =>
      rootId === turn.sessionId &&
      openedAtMs >= turn.deliveredAtMs &&
      Math.min(closedAtMs, staleAtMs, toldAtMs) - openedAtMs > askMs + slackMs,
  );
  if (open) return late(`${open.id} was open since ${since(world, open.openedAtMs)}.`);
  const newest = Math.max(turn.activeAtMs, ...childrenOf(world, turn, toldAtMs).map(activeAt(toldAtMs)));
  const endMs = turn.endedAtMs ?? Infinity;
  const silentMs = Math.min(toldAtMs, endMs) - Math.max(newest, turn.retryUntilMs ?? 0);
  // What a gap without a replay has swallowed is new to the read that looks for activity.
  const looks = world.behaviour.replays || !wasTroubled(world, turn.deliveredAtMs, toldAtMs) ? 1 : 2;
  if (silentMs > looks * stallMs + slackMs) return late(`nothing had moved since ${since(world, newest)}.`);
  const ended = Math.max(endMs, ...childrenOf(world, turn, toldAtMs).map((child) => child.endedAtMs ?? 0));
  if (ended < toldAtMs && toldAtMs - ended > (wasTroubled(world, turn.deliveredAtMs, toldAtMs) ? stallMs + slackMs : toldWithinMs))
    late(`it had ended at ${since(world, ended)}.`);
}

/** Steps that begin while the end of one is told, and the abort is on its way. */
const furtherSteps = 3;

const stepsOf = ({ plan }: Told): number => plan?.steps ?? Infinity;

/** An abort that is lost or slow lets more steps be. */
function isCalm({ plan: { link } }: Evidence['world']): boolean {
  return link.slow + link.lostRequest + link.lostAnswer + link.brokenAnswer + link.refusal === 0;
}

const activeAt =
  (untilMs: number) =>
  ({ activeAtMs }: LedgerTurn): number =>
    Math.min(activeAtMs, untilMs);
