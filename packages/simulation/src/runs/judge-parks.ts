import type { AttemptEnded } from '@opencode-manager/runs/hosts';
import type { LedgerRequest } from '../opencode/ledger.ts';
import type { RunEvidence, RunReporter } from './oracle.ts';

/** After a quota is free again its provider is given this time, in milliseconds. */
const marginMs = 45_000;

/** A task that waits for a slot begins within this time when there is one, in milliseconds. */
const promptlyMs = 2000;

type Park = AttemptEnded & { readonly durableAtMs: number };

/** A parked task goes on in its session, once a park and not before its quota is free; what it was asked first is not said again. */
export function judgeParks(evidence: RunEvidence, report: RunReporter): void {
  const { world } = evidence;
  const wrong = (text: string) => report('parked-goes-on', text);
  const parks = parksIn(evidence);
  // What corrects an answer is judged with the prompts.
  const sent = world.ledger.sent.filter(({ corrects }) => !corrects);
  const bySession = Map.groupBy(sent, ({ sessionId }) => sessionId);
  for (const [sessionId, [first, ...further]] of bySession) {
    if (first!.goesOn) wrong(`${first!.task}: ${sessionId} goes on, and nothing was asked there.`);
    const own = parks.filter(({ result }) => result.session_id === sessionId);
    for (const [index, one] of further.entries()) judgeFurther(one, own[index], wrong);
  }
  judgeNext(evidence, parks, wrong);
}

function judgeFurther({ task, messageId, goesOn, atMs }: LedgerRequest, park: Park | undefined, wrong: (text: string) => void): void {
  if (!goesOn) return wrong(`${task}: ${messageId} asks again for what was asked in this session.`);
  if (!park || park.durableAtMs > atMs) return wrong(`${task}: ${messageId} goes on, and the task was not parked.`);
  // Results have whole milliseconds.
  if (atMs + 1 < Date.parse(park.result.reset_at!) + marginMs) wrong(`${task}: ${messageId} goes on before its quota is free.`);
}

function parksIn({ disk }: RunEvidence): Park[] {
  return disk.durable.flatMap(({ event, durableAtMs }) =>
    event.type === 'attempt.ended' && event.outcome === 'quota_exhausted' && !event.final ? [{ ...event, durableAtMs }] : [],
  );
}

/** What comes next of a parked task is in the same session, unless that takes no turn any more. */
function judgeNext({ disk, plan }: RunEvidence, parks: readonly Park[], wrong: (text: string) => void): void {
  for (const { key, token, result } of parks) {
    const from = disk.durable.findIndex(({ event }) => event.type === 'attempt.ended' && event.token === token);
    const later = disk.durable.slice(from + 1).flatMap(({ event }) => ('key' in event && event.key === key ? [event] : []));
    const next = later.find(({ type }) => type === 'attempt.intended');
    const isGone = later.slice(0, next && later.indexOf(next)).some((event) => event.type === 'attempt.ended' && event.gone);
    if (isGone && plan.profile !== 'storm') wrong(`${key}: its session is gone.`);
    if (next?.type === 'attempt.intended' && !isGone && next.sessionId !== result.session_id)
      wrong(`${key}: it goes on in ${next.sessionId} in place of ${result.session_id}.`);
  }
}

/** Tasks of an account that refuses nothing are sent as soon as there is a slot, whatever another account refuses. */
export function judgeProviders({ world, plan, managers, driver }: RunEvidence, report: RunReporter): void {
  if (plan.profile !== 'calm' || plan.disk.full.length > 0 || driver.hang !== undefined) return;
  const { sent, turns } = world.ledger;
  for (const [index, { beganAtMs }] of managers.entries()) {
    const untilMs = managers[index + 1]?.beganAtMs ?? Infinity;
    const own = sent.filter(({ atMs }) => atMs >= beganAtMs && atMs < untilMs);
    // Between two of these times nothing begins or ends.
    const times = [...own.map(({ atMs }) => atMs), ...turns.map(({ endedAtMs = 0 }) => endedAtMs)].filter(
      (atMs) => atMs >= (own[0]?.atMs ?? Infinity),
    );
    for (const { key, after, provider } of plan.tasks) {
      const first = sent.find(({ task }) => task === key);
      if (provider !== 'beta' || after.length > 0 || !first || !own.includes(first)) continue;
      const free = times.find((atMs) => atMs < first.atMs - promptlyMs && runningWithin(turns, atMs, promptlyMs) < plan.concurrency);
      if (free !== undefined)
        report('providers-are-apart', `${key} asks another account, and waits ${Math.round(first.atMs - free)} ms for a slot.`);
    }
  }
}

/** Turns of which some part is within a stretch of time. */
function runningWithin(turns: RunEvidence['world']['ledger']['turns'], fromMs: number, forMs: number): number {
  return turns.filter(({ deliveredAtMs, endedAtMs = Infinity }) => deliveredAtMs < fromMs + forMs && endedAtMs > fromMs).length;
}
