import type { Call } from '../users.ts';
import { since, wasTroubled } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';

/** So long a free slot may go unused, in milliseconds: a few requests may have to be waited for. */
const idleSlotMs = 35_000;

/** A provider that refuses holds back its own tasks alone. */
export function judgeFairness({ world, users }: Evidence, report: Report): void {
  const { ledger, plan } = world;
  const refusing = new Set(ledger.turns.filter(({ retries, how }) => retries > 0 || how === 'failed').map(({ provider }) => provider));
  const calls = (users?.calls ?? []).filter(({ plan: task }) => task !== undefined);
  const isOpen = !users?.calls.some(({ name }) => name === 'drain' || name === 'stop' || name.startsWith('prompt') || name.startsWith('runAll'));
  if (refusing.size === 0 || !isOpen) return;
  for (const call of calls) {
    const { task, plan: wanted, beganAtMs, endedAtMs = world.queue.nowMs } = call;
    if (!wanted || refusing.has(wanted.provider ?? 'alpha')) continue;
    const sentAtMs = ledger.sent.find((sent) => sent.task === task)?.atMs ?? endedAtMs;
    if (wasTroubled(world, beganAtMs, sentAtMs)) continue;
    const freeMs = longestFree(calls, call, beganAtMs, sentAtMs, plan.pool.maxSessions, refusing);
    if (freeMs > idleSlotMs) report('providers-apart', `${task}: waited from ${since(world, beganAtMs)} to ${since(world, sentAtMs)} beside free slots; its provider refused nothing.`);
  }
}

/** The longest while in which fewer other tasks were unfinished than there are slots. */
function longestFree(calls: readonly Call[], own: Call, fromMs: number, toMs: number, slots: number, refusing: ReadonlySet<string>): number {
  const others = calls.filter((call) => call !== own && !isHeld(call, refusing));
  const times = [fromMs, toMs, ...others.flatMap(({ beganAtMs, endedAtMs = Infinity }) => [beganAtMs, endedAtMs])]
    .filter((atMs) => atMs >= fromMs && atMs <= toMs)
    .toSorted((a, b) => a - b);
  let longest = 0;
  for (const [index, atMs] of times.entries()) {
    const untilMs = times[index + 1] ?? atMs;
    const inFlight = others.filter(({ beganAtMs, endedAtMs = Infinity }) => beganAtMs <= atMs && endedAtMs > atMs).length;
    if (inFlight < slots) longest = Math.max(longest, untilMs - atMs);
  }
  return longest;
}

/** Never: each unfinished task counts as one that has its slot, so that what is found free was free. */
function isHeld(_call: Call, _refusing: ReadonlySet<string>): boolean {
  return false;
}
