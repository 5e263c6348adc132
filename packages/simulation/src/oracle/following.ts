import type { LedgerTurn } from '../opencode/ledger.ts';
import { childrenOf, since, turnOf, wasTroubled, type Told } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';

/** Time in which a turn that nobody waits for is aborted after it was heard of, in milliseconds. */
const abortWithinMs = 35_000;

/** A prompt reaches the server at most once an attempt. */
export function judgeDelivery({ world }: Evidence, { task }: Told, report: Report): void {
  const bad = (text: string) => report('sent-once', `${task}: ${text}`);
  const sent = world.ledger.sent.filter((one) => one.task === task);
  const ids = new Set(sent.map(({ messageId }) => messageId));
  if (ids.size < sent.length) bad('a prompt was sent twice under one id.');
  for (const turn of world.ledger.turnsOf(task)) {
    if (turn.deliveries > 1) bad(`${turn.messageId} was delivered ${turn.deliveries} times.`);
    // Its answers could not be told from those before (A6: ids must sort ascending).
    if (turn.isOutOfOrder) bad(`${turn.messageId} sorts before a message that its session had.`);
  }
  for (const id of ids) {
    const earlier = world.ledger.turnOf(id);
    // Another attempt while one may still run would work twice in one directory.
    const later = earlier && sent.find((one) => one.messageId !== id && one.atMs > earlier.deliveredAtMs && isRunning(earlier, one.atMs));
    if (later) bad(`${later.messageId} was sent while ${id} was still at work.`);
  }
}

/** Whether a turn is at work, or may begin still. */
function isRunning({ endedAtMs, how }: LedgerTurn, atMs: number): boolean {
  return endedAtMs === undefined ? how !== 'never' : endedAtMs > atMs;
}

/** What runs on after its result was told is aborted, each time it is heard of. */
export function judgeFollowing(evidence: Evidence, told: Told, report: Report): void {
  const { world } = evidence;
  const { endedAtMs: toldAtMs, task } = told;
  const turn = turnOf(evidence, told);
  if (!turn) return;
  for (const one of [turn, ...childrenOf(world, turn, Infinity)]) {
    if (!isRunning(one, toldAtMs) || one.begunAtMs === undefined) continue;
    const fromMs = Math.max(one.begunAtMs, toldAtMs);
    const untilMs = fromMs + abortWithinMs;
    const endMs = one.endedAtMs ?? world.queue.nowMs;
    const isAborted = world.ledger.abortsSent.some(
      ({ sessionId, atMs }) => (sessionId === one.sessionId || sessionId === one.rootId) && atMs >= one.begunAtMs! && atMs <= untilMs,
    );
    const isShort = endMs <= fromMs + 5000 && one.how !== 'finished';
    if (isAborted || isShort || one.how === 'died' || wasTroubled(world, fromMs, untilMs)) continue;
    report(
      'nothing-unfollowed',
      `${task}: told as ${told.result.outcome} at ${since(world, toldAtMs)}; ${one.sessionId} was at work from ${since(world, one.begunAtMs)} to ${since(world, endMs)}, and nobody aborted it.`,
    );
  }
}
