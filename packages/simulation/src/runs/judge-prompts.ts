import type { AttemptEnded, AttemptIntended } from '@opencode-manager/runs/hosts';
import { textOf } from '../opencode/storage.ts';
import type { LedgerTurn } from '../opencode/ledger.ts';
import type { DurableRow } from './disk.ts';
import type { RunEvidence, RunReporter } from './oracle.ts';
import { mostCorrections, unfitAnswer } from './plan.ts';

/** So many scripts at the begin of a plan are those whose turns end well. */
const goodScripts = 3;

interface RowOf<Event> extends DurableRow {
  readonly event: DurableRow['event'] & Event;
}

function rowsOf<Type extends DurableRow['event']['type']>({ disk }: RunEvidence, type: Type) {
  return disk.durable.filter(({ event }) => event.type === type) as RowOf<Extract<DurableRow['event'], { type: Type }>>[];
}

/** What the server was sent: each prompt once, after its row, and nothing of a task that has its end. */
export function judgePrompts(evidence: RunEvidence, report: RunReporter): void {
  const { world } = evidence;
  const rows = [...rowsOf(evidence, 'attempt.intended'), ...rowsOf(evidence, 'attempt.repairing')];
  const intents = new Map(rows.map((row) => [row.event.messageId, row]));
  const seen = new Set<string>();
  for (const { messageId, task, atMs } of world.ledger.sent) {
    if (seen.has(messageId)) report('prompted-once', `${task}: ${messageId} is sent twice.`);
    seen.add(messageId);
    const intent = intents.get(messageId);
    if (!intent || intent.durableAtMs > atMs) report('intent-first', `${task}: ${messageId} is sent, and its row is not durable.`);
    if (hasEnd(evidence, task, atMs)) report('ended-is-ended', `${task} has its end, and ${messageId} is sent.`);
  }
  for (const { messageId, task, deliveries } of world.ledger.turns)
    if (deliveries > 1) report('prompted-once', `${task}: the server got ${messageId} ${deliveries} times.`);
  for (const turn of world.ledger.turns) judgeFinished(evidence, turn, report);
}

/** Whether the end of a task is durable before a time. */
function hasEnd({ disk }: RunEvidence, task: string, atMs: number): boolean {
  let isEnded = false;
  for (const { event, durableAtMs } of disk.durable) {
    if (durableAtMs >= atMs) break;
    if (!('key' in event) || event.key !== task) continue;
    if (event.type === 'task.added') isEnded = false;
    else if ((event.type === 'attempt.ended' && event.final) || event.type === 'task.skipped') isEnded = true;
  }
  return isEnded;
}

/** A turn that has ended well is taken for the result of its task, whoever was there to see it; no model is asked again. */
function judgeFinished(evidence: RunEvidence, turn: LedgerTurn, report: RunReporter): void {
  const { world, scripts } = evidence;
  const { task, messageId, sessionId, how, aborts, endedAtMs = Infinity, finalAtMs } = turn;
  const sent = world.ledger.sent.findIndex((one) => one.messageId === messageId);
  if (task === '' || sent === -1 || scripts[sent]! >= goodScripts) return;
  // Its last message stands, whatever becomes of its process.
  const isFinished = how === 'finished' || (how === 'died' && finalAtMs !== undefined);
  if (!isFinished || aborts.length > 0) return;
  const later = world.ledger.sent.find((one, index) => index > sent && one.task === task && one.atMs > endedAtMs);
  if (!later) return;
  const ends = rowsOf(evidence, 'attempt.ended');
  const end = ends.find(({ event }) => event.result.message_id === messageId);
  // Nobody could read it any more: the run was aborted, or its server is gone for good.
  if (end && (end.event.abortedBy || end.event.outcome === 'server_lost')) return;
  const untilMs = end?.durableAtMs ?? later.atMs;
  // Who gives up a turn in the instant of its end may not know of it.
  const isGivenUp = world.ledger.abortsSent.some((one) => one.sessionId === sessionId && one.atMs < untilMs);
  const isDeleted = world.ledger.deletions.some((one) => one.sessionId === sessionId && one.atMs < untilMs);
  if (!isGivenUp && !isDeleted) report('ended-is-ended', `${task}: ${messageId} has ended well, and ${later.messageId} is sent.`);
}

/** A session is deleted when its end is durable, and not before: a later manager may have to read it. */
export function judgeDeletions(evidence: RunEvidence, report: RunReporter): void {
  const { world, plan } = evidence;
  if (plan.faults.some(({ what }) => what === 'deletesOutside')) return;
  const intents = new Map(rowsOf(evidence, 'attempt.intended').map(({ event }) => [event.sessionId, event]));
  const ends = new Map(rowsOf(evidence, 'attempt.ended').map((row) => [row.event.token, row]));
  for (const { sessionId, atMs } of world.ledger.deletions) {
    const intent: AttemptIntended | undefined = intents.get(sessionId);
    const end = intent && ends.get(intent.token);
    if (intent && !(end && end.durableAtMs <= atMs))
      report('told-is-durable', `${intent.key}: ${sessionId} is deleted, and the end of its attempt is not durable.`);
  }
}

/** After a wish its manager sends nothing more, or with a drain what was on its way. */
export function judgeWishes({ world, wishes, managers, plan }: RunEvidence, report: RunReporter): void {
  for (const { wish, atMs, manager } of wishes) {
    const untilMs = managers[manager]?.beganAtMs ?? Infinity;
    const sent = world.ledger.sent.filter((one) => one.atMs > atMs && one.atMs < untilMs).length;
    // What runs comes to its end, with its corrections.
    const most = wish === 'abort' ? 0 : plan.concurrency * (1 + mostCorrections);
    if (sent > most) report('wishes-are-heard', `Manager ${manager} sends ${sent} prompts after the wish: ${wish}.`);
  }
}

/** What succeeded truly ended well, and its result is what the server has; what failed was not lost with its server. */
export function judgeOutcomes(evidence: RunEvidence, report: RunReporter): void {
  const { world, plan } = evidence;
  for (const { event } of rowsOf(evidence, 'attempt.ended')) {
    const { key, outcome, result, error }: AttemptEnded = event;
    const turn = world.ledger.turnOf(result.message_id ?? '');
    if (
      outcome === 'failed' &&
      error?.code !== 'POISON_TASK' &&
      turn?.how === 'died' &&
      turn.finalAtMs === undefined &&
      !turn.oversizedAtMs
    )
      report('tries-are-apart', `${key} has failed (${error?.code ?? 'no code'}), and its turn died with its server.`);
    const isSent = world.ledger.sent.some(({ messageId }) => messageId === result.message_id);
    if (outcome === 'failed' && !isSent)
      report('tries-are-apart', `${key} has failed (${error?.code ?? 'no code'}), and nothing was sent.`);
    if (outcome !== 'succeeded') continue;
    if (plan.tasks.some((task) => task.key === key && task.hasSchema) && result.output.includes(unfitAnswer))
      report('success-is-true', `${key}: succeeded with an answer that does not fit.`);
    const bad = (text: string) => report('success-is-true', `${key}: ${text}`);
    if (!turn) bad('succeeded, and the server never had its prompt.');
    else if (turn.task !== key) bad(`succeeded with a turn of ${turn.task}.`);
    else if (turn.how !== 'finished' && turn.finalAtMs === undefined) bad(`succeeded, and its turn has ${turn.how ?? 'no end'}.`);
    else if (!world.storage.sessions.get(turn.sessionId)!.messages.some((message) => textOf(message) === result.output))
      bad(`told ${JSON.stringify(result.output)}, which the server does not have.`);
  }
}
