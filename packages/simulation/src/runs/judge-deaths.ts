import type { AttemptEnded, AttemptIntended } from '@opencode-manager/runs/hosts';
import type { RunEvidence, RunReporter } from './oracle.ts';

/** Deaths of the server that make a task a suspect, and restarts within a window of milliseconds; as a run has them. */
const suspectDeaths = 3;
const mostRestarts = 3;
const windowMs = 60_000;

/** From a death to the instant at which a run must know of it, in milliseconds. */
const noticeMs = 1000;

/** After these ends nobody knows whether a task is at fault. */
const undecided: ReadonlySet<string> = new Set(['server_lost', 'interrupted', 'aborted']);

/** Tasks that the server died of run alone, and a server that dies again and again ends the run. */
export function judgeDeaths(evidence: RunEvidence, report: RunReporter): void {
  const suspects = judgeSuspects(evidence, report);
  // Deaths with suspects alone do not count.
  if (suspects.size === 0) judgeRestarts(evidence, report);
}

/** Reads the rows for tasks that were in flight at three deaths of the server; gives them. */
function judgeSuspects({ disk, world }: RunEvidence, report: RunReporter): ReadonlySet<string> {
  const deaths = new Map<string, number>();
  const suspects = new Set<string>();
  const isSuspect = (key: string) => (deaths.get(key) ?? 0) >= suspectDeaths;
  const open = new Map<string, AttemptIntended>();
  const begin = (event: AttemptIntended) => {
    const beside = [...open.values()].filter(({ key }) => isSuspect(key) || isSuspect(event.key));
    if (beside.length > 0) report('suspects-run-alone', `${event.key} is sent beside ${beside.map(({ key }) => key).join(', ')}.`);
    open.set(event.token, event);
  };
  const end = ({ key, token, outcome, result }: AttemptEnded) => {
    const isOwn = open.delete(token);
    const turn = world.ledger.turnOf(result.message_id ?? '');
    if (!undecided.has(outcome)) deaths.set(key, 0);
    // One of 2.x that had not begun was never there.
    else if (isOwn && turn?.how === 'died' && turn.isStored) deaths.set(key, (deaths.get(key) ?? 0) + 1);
    if (isSuspect(key)) suspects.add(key);
  };
  for (const { event } of disk.durable) {
    if (event.type === 'run.opened') open.clear();
    else if (event.type === 'attempt.intended') begin(event);
    else if (event.type === 'attempt.ended') end(event);
  }
  return suspects;
}

function judgeRestarts({ disk, world, managers }: RunEvidence, report: RunReporter): void {
  const { sent, deaths } = world.ledger;
  for (const { run, number, killedAtMs } of managers) {
    const opened = run && disk.durable[run.startSequence];
    if (opened?.event.type !== 'run.opened') continue;
    const untilMs = killedAtMs ?? managers[number]?.beganAtMs ?? Infinity;
    const own = deaths.filter((atMs) => atMs > opened.durableAtMs && atMs < untilMs);
    // Of a server that nothing was sent to the run does not know that it was there.
    const known = own.filter((atMs, index) => sent.some((one) => one.atMs < atMs && one.atMs > (own[index - 1] ?? opened.durableAtMs)));
    const last = known.find((atMs, index) => index >= mostRestarts && atMs - known[index - mostRestarts]! < windowMs - noticeMs);
    const late = last !== undefined && sent.find(({ atMs }) => atMs > last + noticeMs && atMs < untilMs);
    if (late) report('restarts-are-limited', `Manager ${number} sends ${late.messageId} after ${mostRestarts + 1} deaths of its server.`);
  }
}
