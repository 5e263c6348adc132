import type { Call } from '../users.ts';
import { losesRequests } from './causes.ts';
import { since, wasTroubled } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';
import { isQuick } from './promptness.ts';

/** So long a free slot may go unused, in milliseconds: a few requests may have to be waited for. */
const idleSlotMs = 35_000;
/** The same where requests are lost: a session is asked for four times, each with a deadline of its own. */
const lossySlotMs = 70_000;
/** The same where nothing is slow, and no provider refuses. */
const quickSlotMs = 2000;

/** A provider that refuses holds back its own tasks alone. */
export function judgeFairness({ world, users }: Evidence, report: Report): void {
  const { ledger, plan } = world;
  const calls = users?.calls ?? [];
  const refusing = new Set(ledger.turns.filter(({ retries, how }) => retries > 0 || how === 'failed').map(({ provider }) => provider));
  // Tasks of a `runAll` are known by their results alone.
  if (world.faults.has('disk-full') || calls.some(({ name }) => name.startsWith('runAll'))) return;
  const usualMs = losesRequests(world) ? lossySlotMs : idleSlotMs;
  const mostMs = refusing.size === 0 && isQuick(world) ? quickSlotMs : usualMs;
  const tasks = calls.filter(({ task }) => task !== undefined);
  for (const call of tasks) {
    const { task, plan: wanted, beganAtMs, endedAtMs = world.queue.nowMs } = call;
    if (!call.name.startsWith('run ') || refusing.has(wanted?.provider ?? 'alpha')) continue;
    const sentAtMs = ledger.sent.find((sent) => sent.task === task)?.atMs ?? endedAtMs;
    const isClosing = calls.some(({ name, beganAtMs: atMs }) => (name === 'drain' || name === 'stop') && atMs <= sentAtMs);
    if (isClosing || wasTroubled(world, beganAtMs, sentAtMs)) continue;
    const others = tasks.filter((other) => other !== call);
    if (longestFree(others, beganAtMs, sentAtMs, plan.pool.maxSessions) <= mostMs) continue;
    const waited = `from ${since(world, beganAtMs)} to ${since(world, sentAtMs)}`;
    report('providers-apart', `${task}: waited ${waited} beside free slots; its provider refused nothing.`);
  }
}

/** The longest while in which fewer other tasks were unfinished than there are slots: each counts as if it had one. */
function longestFree(others: readonly Call[], fromMs: number, toMs: number, slots: number): number {
  const times = [fromMs, toMs, ...others.flatMap(({ beganAtMs, endedAtMs = Infinity }) => [beganAtMs, endedAtMs])]
    .filter((atMs) => atMs >= fromMs && atMs <= toMs)
    .toSorted((a, b) => a - b);
  let longest = 0;
  for (const [index, atMs] of times.entries()) {
    const inFlight = others.filter(({ beganAtMs, endedAtMs = Infinity }) => beganAtMs <= atMs && endedAtMs > atMs).length;
    if (inFlight < slots) longest = Math.max(longest, (times[index + 1] ?? atMs) - atMs);
  }
  return longest;
}
