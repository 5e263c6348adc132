import type { Process } from '../opencode/process.ts';
import type { Users } from '../users.ts';
import type { World } from '../world/world.ts';
import { since } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';

/** From the last answer of a server that runs on to another one that works: three probes, and a start that may fail twice. */
const wedgedMs = 60_000;
/** Another event stream of the same server is opened at once; no more of them than this within the window. */
const reopenedMs = 1000;
const mostReopened = 3;
const windowMs = 60_000;
/** A server whose events nobody can follow is ended within this: the longest wait before a restart, and some. */
const lostMs = 5000;
/** The next generation comes up within this. */
const replacedMs = 15_000;
/** That a server has ended is told at once. */
const toldMs = 100;

/** A server that is of no use is replaced, and users hear of it. */
export function judgeServers({ world, users }: Evidence, report: Report): void {
  if (!users) return;
  judgeWedges(world, users, report);
  judgeStreams(world, users, report);
  judgeQuarantines(world, users, report);
  judgeRetired(world, users, report);
}

/** Whether the pool was at work until then, and the world went on after it. */
function isAtWork({ queue }: World, { calls }: Users, untilMs: number): boolean {
  return queue.nowMs > untilMs && !calls.some(({ name, beganAtMs }) => name === 'stop' && beganAtMs <= untilMs);
}

/** Servers that were lost, or did not start: three of them are replaced. */
function isBudgetSpent({ ledger, faults }: World): boolean {
  return ledger.losses.length + (faults.get('start-fails') ?? 0) > mostReopened;
}

const isUp = ({ startedAtMs, wedgedAtMs = Infinity, endedAtMs = Infinity }: Process, atMs: number): boolean =>
  startedAtMs <= atMs && Math.min(wedgedAtMs, endedAtMs) > atMs;

/** A server that runs and answers nothing is replaced. */
function judgeWedges(world: World, users: Users, report: Report): void {
  for (const { name, wedgedAtMs } of world.processes) {
    if (wedgedAtMs === undefined) continue;
    const untilMs = wedgedAtMs + wedgedMs;
    if (!isAtWork(world, users, untilMs) || isBudgetSpent(world) || hasFailedStream(world)) continue;
    const isReplaced = world.processes.some((one) => (one.startedAtMs > wedgedAtMs && one.startedAtMs <= untilMs) || isUp(one, untilMs));
    if (!isReplaced) report('nothing-unfollowed', `${name} answered nothing from ${since(world, wedgedAtMs)}, and was not replaced.`);
  }
}

function hasFailedStream({ streams }: World): boolean {
  return streams.some(({ failedAtMs }) => failedAtMs !== undefined);
}

/** A failed event stream is opened anew, three times within a minute; then its server counts as lost. */
function judgeStreams(world: World, users: Users, report: Report): void {
  for (const { process, failedAtMs } of world.streams) {
    const { name, endedAtMs = Infinity, wedgedAtMs = Infinity } = process;
    if (failedAtMs === undefined || Math.min(endedAtMs, wedgedAtMs) <= failedAtMs + reopenedMs) continue;
    const [, ...reopened] = world.streams.filter((one) => one.process === process).map(({ openedAtMs }) => openedAtMs);
    const isOpened = reopened.some((atMs) => atMs >= failedAtMs && atMs <= failedAtMs + reopenedMs);
    const isSpent = reopened.filter((atMs) => atMs < failedAtMs && failedAtMs - atMs < windowMs).length >= mostReopened;
    const failed = `the event stream of ${name} failed at ${since(world, failedAtMs)}`;
    if (isSpent && isOpened) report('within-limits', `${failed}, and was opened once more than it may be.`);
    if (isSpent && endedAtMs > failedAtMs + lostMs && isAtWork(world, users, failedAtMs + lostMs) && !isBudgetSpent(world))
      report('nothing-unfollowed', `${failed} once too often, and it was not replaced.`);
    if (!isSpent && !isOpened && isAtWork(world, users, failedAtMs + reopenedMs))
      report('nothing-unfollowed', `${failed}, and no other was opened.`);
  }
}

/** A server that may go on with a turn whose session is given up is replaced. */
function judgeQuarantines(world: World, users: Users, report: Report): void {
  const { ledger, processes, faults } = world;
  for (const { sessionId, path, atMs } of users.phases) {
    const untilMs = atMs + replacedMs;
    if (path !== 'dead.quarantined' || faults.has('start-fails') || !isAtWork(world, users, untilMs)) continue;
    const there = processes.filter(({ startedAtMs, endedAtMs = Infinity }) => startedAtMs <= atMs && endedAtMs > atMs);
    const isLost = ledger.losses.some((lostAtMs) => lostAtMs > atMs - replacedMs && lostAtMs <= untilMs);
    const isDark = ledger.darkness.some(({ fromMs, toMs = Infinity }) => fromMs <= untilMs && toMs >= atMs);
    // While one retires, the next comes after it.
    if (there.length !== 1 || isLost || isDark) continue;
    const isReplaced = processes.some(({ startedAtMs }) => startedAtMs > atMs && startedAtMs <= untilMs);
    if (!isReplaced)
      report('nothing-unfollowed', `${sessionId} was given up at ${since(world, atMs)}, and ${there[0]!.name} was not replaced.`);
  }
}

/** Of a server that another one replaced while it ran, its end is told. */
function judgeRetired(world: World, users: Users, report: Report): void {
  const { news } = users;
  let present = world.processes[0];
  for (const one of news) {
    if (one.type !== 'server.rotated' && one.type !== 'server.restarted') continue;
    const before = present;
    present = world.processes.find(({ number }) => 1000 + number === one.server.pid);
    const { name, endedAtMs } = before ?? {};
    if (one.type !== 'server.rotated' || endedAtMs === undefined || !isAtWork(world, users, endedAtMs + toldMs)) continue;
    const isTold = news.some((other) => other.type === 'server.retired' && other.generation === one.generation - 1);
    if (!isTold) report('results-are-true', `${name} was replaced and ended at ${since(world, endedAtMs)}, and nobody was told.`);
  }
}
