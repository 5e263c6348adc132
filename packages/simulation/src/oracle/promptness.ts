import type { LedgerTurn } from '../opencode/ledger.ts';
import type { Call } from '../users.ts';
import type { World } from '../world/world.ts';
import { losesRequests } from './causes.ts';
import { answersOf, childrenOf, since, turnOf, wasTroubled, type Told } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';

/** What a few requests on a good link take, in milliseconds. */
const promptMs = 900;
/** A gap of the event stream is closed by a read within this time after its end. */
const closedAfterMs = 6000;
/** An abort that is lost is sent again, until the turn has ended. */
const lostAbortMs = 10_000;
/** An abort is repeated after this time, with a read. */
const abortRetryMs = 1000;
/** An abort is one request. */
const abortMs = 300;

/** Where the link is quick and loses nothing, and nothing is wrong with servers and streams, what can be done at once is done at once. */
export function judgePromptness(evidence: Evidence, told: Told, report: Report): void {
  const { world, users } = evidence;
  const { task, result, endedAtMs: toldAtMs } = told;
  const turn = turnOf(evidence, told);
  const late = (text: string) => report('within-limits', `${task}: ${text}`);
  if (!turn) return;
  judgeLostAborts(world, turn, told, users?.calls ?? [], late);
  if (!isQuick(world)) return;
  const isCalm = (fromMs: number, toMs: number) => !wasTroubled(world, fromMs, toMs);
  for (const { id, openedAtMs, closedAtMs, staleAtMs = Infinity } of world.ledger.asks.filter(({ rootId }) => rootId === turn.sessionId)) {
    const answersAtMs = openedAtMs + answerMs(world) + promptMs;
    const openMs = Math.min(closedAtMs ?? Infinity, staleAtMs, toldAtMs);
    if (openedAtMs >= turn.deliveredAtMs && openMs > answersAtMs && isCalm(turn.deliveredAtMs, openMs)) late(`${id} was answered late.`);
  }
  const calls = users?.calls ?? [];
  const stop = calls.find(({ name }) => name === 'stop');
  const askedAtMs = calls.find(({ name }) => name === `run ${task}`)?.abortedAtMs ?? stop?.beganAtMs;
  judgeDecision(world, turn, told, late);
  judgePhases(evidence, turn, late);
  const runs = turn.begunAtMs !== undefined && askedAtMs !== undefined && (turn.endedAtMs ?? Infinity) > askedAtMs;
  if (runs && toldAtMs > askedAtMs) judgeAbort(world, turn, Math.max(askedAtMs, turn.begunAtMs!), late);
  const endedAtMs = Math.max(turn.endedAtMs ?? Infinity, ...childrenOf(world, turn, toldAtMs).map((one) => one.endedAtMs ?? 0));
  judgeGap(world, turn, told, late);
  const isTakenBack = turn.how === 'withdrawn' && turn.aborts.length > 0;
  const isPlain = turn.how === 'finished' || turn.how === 'aborted' || turn.how === 'failed' || isTakenBack;
  if (!isPlain || !turn.isTold || !isCalm(Math.max(turn.deliveredAtMs, endedAtMs - closedAfterMs), toldAtMs)) return;
  judgeRest(evidence, told, late);
  // What had ended before its abort shows with the next read.
  const fromMs = askedAtMs !== undefined && askedAtMs > endedAtMs ? askedAtMs + 1000 : endedAtMs;
  // What was aborted between two steps is told by the second read that shows no further one.
  const isBetween = turn.how === 'aborted' && isBetweenSteps(world, turn);
  // What was taken back by an abort from before its acceptance was known is read after the next one.
  const retriesMs = abortRetryMs * (isTakenBack ? 2 : isBetween ? 1 : 0);
  if (toldAtMs - fromMs > promptMs + retriesMs)
    late(`told as ${result.outcome} at ${since(world, toldAtMs)}; it had ended (${turn.how}) at ${since(world, endedAtMs)}.`);
}

function isBetweenSteps(world: World, turn: LedgerTurn): boolean {
  return answersOf(world, turn).at(-1)?.message.finish === 'tool-calls';
}

function judgeLostAborts(
  world: World,
  turn: LedgerTurn,
  { task, plan: wanted, endedAtMs }: Told,
  calls: readonly Call[],
  late: (text: string) => void,
): void {
  const { plan, ledger } = world;
  const askedAtMs = calls.find(({ name }) => name === `run ${task}`)?.abortedAtMs;
  const isDeaf = wanted === undefined || JSON.stringify(plan.scripts[wanted.script]).includes('ignoresAbort');
  if (askedAtMs === undefined || turn.begunAtMs === undefined || isDeaf || ledger.losses.length > 0) return;
  const fromMs = Math.max(askedAtMs, turn.begunAtMs);
  // What begins after its result was told is heard of by events alone.
  if (turn.begunAtMs > endedAtMs && wasTroubled(world, fromMs, fromMs + lostAbortMs)) return;
  if ((turn.endedAtMs ?? Infinity) > fromMs + lostAbortMs) late('it was to end, and worked on.');
}

/** A session whose turn ended well, or as it was to, is idle; else it says that the turn failed. */
function judgeRest({ users }: Evidence, { result, endedAtMs }: Told, late: (text: string) => void): void {
  const isRest = ({ path }: { path: string }) => path === 'idle' || path === 'error' || path.startsWith('dead');
  const told = users?.phases.findLast((one) => one.sessionId === result.session_id && one.atMs <= endedAtMs && isRest(one));
  const expected = result.outcome === 'succeeded' || result.outcome === 'aborted' ? 'idle' : 'error';
  if (told && !told.path.startsWith('dead') && told.path !== expected) late(`told as ${result.outcome}, and its session is ${told.path}.`);
}

/** A turn that is to end is aborted as soon as it is at work. */
function judgeAbort(world: World, turn: LedgerTurn, fromMs: number, late: (text: string) => void): void {
  const untilMs = fromMs + abortMs;
  if ((turn.endedAtMs ?? Infinity) <= untilMs || world.queue.nowMs <= untilMs || wasTroubled(world, turn.deliveredAtMs, untilMs)) return;
  // What somebody else wants of a turn that is being aborted comes with the next abort.
  if (turn.aborts.some((atMs) => atMs >= turn.begunAtMs! && atMs < fromMs)) return;
  if (!turn.aborts.some((atMs) => atMs >= fromMs - abortMs && atMs <= untilMs))
    late(`it was to end at ${since(world, fromMs)}, and was aborted late.`);
}

/** What ends a turn for being silent, asking or slow comes at its time. */
function judgeDecision(world: World, turn: LedgerTurn, { result, plan, endedAtMs }: Told, late: (text: string) => void): void {
  const [abortedAtMs = endedAtMs] = turn.aborts;
  // Others who work on the session are activity, and their aborts are among those of the turn.
  if (wasTroubled(world, turn.deliveredAtMs, abortedAtMs) || world.plan.faults.some(({ what }) => what.endsWith('Outside'))) return;
  const children = childrenOf(world, turn, endedAtMs);
  const asks = world.ledger.asks.filter(({ rootId, openedAtMs }) => rootId === turn.sessionId && openedAtMs >= turn.deliveredAtMs);
  const limits = {
    stalled: Math.max(turn.activeAtAbortMs ?? Infinity, ...children.map((one) => one.endedAtMs ?? 0)) + 300_000,
    needs_input: Math.min(...asks.map(({ openedAtMs }) => openedAtMs)) + 60_000,
    timed_out: turn.deliveredAtMs + (plan?.timeoutMs ?? world.plan.pool.taskTimeoutMs ?? Infinity),
  };
  const limitMs = Math.min(limits[result.outcome as keyof typeof limits] ?? Infinity, limits.timed_out);
  // What has not begun cannot be aborted: it is told when the session is given up.
  if ((turn.endedAtMs ?? Infinity) < limitMs || turn.begunAtMs === undefined || turn.begunAtMs > limitMs) return;
  if (result.outcome === 'stalled' && children.length === 0 && abortedAtMs < limits.stalled - 1000)
    late(`it was stalled at ${since(world, abortedAtMs)}, too early.`);
  if (abortedAtMs > limitMs + 5000)
    late(`it was to end as ${result.outcome} at ${since(world, limitMs)}, and was aborted at ${since(world, abortedAtMs)}.`);
}

/** What ended while no events came is told as soon as they come again: a read finds it. */
function judgeGap(world: World, turn: LedgerTurn, { endedAtMs: toldAtMs }: Told, late: (text: string) => void): void {
  const { endedAtMs = Infinity, how, isTold, messageId } = turn;
  const gap = world.ledger.darkness.find(({ fromMs, toMs = Infinity }) => fromMs <= endedAtMs && endedAtMs < toMs);
  if (!gap?.toMs || how !== 'finished' || !isTold || toldAtMs < gap.toMs || world.ledger.losses.length > 0) return;
  if (childrenOf(world, turn, toldAtMs).length > 0) return;
  const others = world.ledger.darkness.some(
    (dark) => dark !== gap && (dark.toMs ?? Infinity) > gap.fromMs - closedAfterMs && dark.fromMs <= toldAtMs,
  );
  // A turn that is being aborted is read with each abort.
  const isAborted = world.ledger.abortsSent.some(
    ({ sessionId, atMs }) => sessionId === turn.sessionId && atMs >= turn.deliveredAtMs && atMs < toldAtMs,
  );
  const withinMs = promptMs + (isAborted ? abortRetryMs * (isBetweenSteps(world, turn) ? 2 : 1) : 0);
  if (!others && toldAtMs - gap.toMs > withinMs) late(`${messageId} had ended in a gap that was over at ${since(world, gap.toMs)}.`);
}

/** What is told of a session says what it waits for. */
function judgePhases({ world, users }: Evidence, turn: LedgerTurn, late: (text: string) => void): void {
  // An idle of the turn before says that a session is idle, whatever it does.
  if (world.faults.has('idle-late-again')) return;
  const asks = world.ledger.asks.filter(({ sessionId, openedAtMs }) => sessionId === turn.sessionId && openedAtMs >= turn.deliveredAtMs);
  const waits = [
    ...turn.waits.map((wait) => ({ ...wait, path: 'active.backingOff' })),
    ...asks.map(({ openedAtMs: fromMs, closedAtMs = Infinity, staleAtMs = Infinity }) => ({
      fromMs,
      toMs: Math.min(closedAtMs, staleAtMs),
      path: 'active.awaitingInput',
    })),
  ];
  const looks = waits.flatMap((wait) => [wait.fromMs + abortMs, wait.toMs - 1].map((atMs) => ({ atMs, wait })));
  for (const { atMs, wait } of looks) {
    const { fromMs, toMs, path } = wait;
    const isOver = atMs < fromMs + abortMs || toMs <= atMs || (turn.aborts[0] ?? Infinity) <= atMs || (turn.endedAtMs ?? Infinity) <= atMs;
    if (isOver || wasTroubled(world, Math.max(turn.deliveredAtMs, atMs - closedAfterMs), atMs)) continue;
    const told = users?.phases.findLast((one) => one.sessionId === turn.sessionId && one.atMs <= atMs)?.path;
    if (told !== path && told !== 'active.aborting')
      late(`its session was told to be ${told} at ${since(world, atMs)}, and it was ${path}.`);
  }
}

export function isQuick(world: World): boolean {
  const { link, faults } = world.plan;
  return !losesRequests(world) && link.slow === 0 && link.delayMs[1] <= 10 && !faults.some(({ what }) => what === 'slow' || what === 'lag');
}

/** Until the policy of a pool has answered, in milliseconds; never, where it leaves an ask open. */
function answerMs({ plan: { pool } }: World): number {
  if (pool.permissions === 'escalate') return Infinity;
  return typeof pool.permissions === 'number' ? pool.permissions : 0;
}

/** `stop()` ends what runs, and is over within its bound. */
const stopMs = 11_000;
const restMs = 15_000;

/** A session that is deleted gives its turn so long. */
const deleteMs = 6000;

/** Nothing begins after a stop; what runs is told within the bound of who ends it. */
function judgeClosing({ world, users }: Evidence, report: Report): void {
  const calls = users?.calls ?? [];
  for (const { name, beganAtMs } of calls) {
    const [what, lease = ''] = name.split(' ');
    if (what !== 'stop' && what !== 'delete') continue;
    const withinMs = (what === 'stop' ? stopMs : deleteMs) + 2000;
    // A lease is deleted once its session is there.
    const madeAtMs = calls.find((call) => call.name === `lease ${lease}`)?.endedAtMs ?? 0;
    const fromMs = what === 'delete' ? Math.max(beganAtMs, madeAtMs) : beganAtMs;
    const late = calls.find(
      (call) =>
        call.task !== undefined &&
        call.task.startsWith(lease) &&
        call.beganAtMs < beganAtMs &&
        (call.endedAtMs ?? Infinity) > fromMs + withinMs,
    );
    if (late)
      report(
        'within-limits',
        `${late.task}: told at ${since(world, late.endedAtMs ?? Infinity)}; ${what} began at ${since(world, beganAtMs)}.`,
      );
    const sent = world.ledger.sent.find(({ atMs }) => atMs > beganAtMs + 1);
    if (what === 'stop' && sent)
      report('all-given-back', `${sent.task}: was sent at ${since(world, sent.atMs)}, after stop() at ${since(world, beganAtMs)}.`);
  }
}

export function judgeStops({ world, users }: Evidence, report: Report): void {
  judgeClosing({ world, users } as Evidence, report);
  for (const { name, beganAtMs, endedAtMs } of users?.calls ?? []) {
    if (name !== 'stop' || endedAtMs === undefined || endedAtMs - beganAtMs <= stopMs + restMs) continue;
    report('within-limits', `stop began at ${since(world, beganAtMs)} and settled at ${since(world, endedAtMs)}.`);
  }
}

/** A server that goes on with a turn whose result was told is replaced, and ends when no other turn is on it; with it ends the turn. */
const replacedWithinMs = 15_000;

export function judgeReplacement(evidence: Evidence, told: Told, report: Report): void {
  const { world, users } = evidence;
  const turn = turnOf(evidence, told);
  const untilMs = told.endedAtMs + replacedWithinMs;
  if (!turn?.begunAtMs || turn.begunAtMs > told.endedAtMs || (turn.endedAtMs ?? Infinity) <= untilMs) return;
  if (losesRequests(world) || world.faults.has('start-fails') || wasTroubled(world, told.beganAtMs, untilMs)) return;
  const isOther = ({ name, task, beganAtMs, endedAtMs = Infinity }: Call) =>
    task === told.task
      ? false
      : (task !== undefined || name === 'stop') && beganAtMs < untilMs && (name === 'stop' || endedAtMs > told.endedAtMs);
  if (world.queue.nowMs <= untilMs || users?.calls.some(isOther) || world.plan.actions.some((action) => action.do === 'runAll')) return;
  report('nothing-unfollowed', `${told.task}: told at ${since(world, told.endedAtMs)}, and its server went on with it.`);
}
