import type { AnsweredAsk } from '@opencode-manager/actors';
import type { LedgerAsk, LedgerTurn } from '../opencode/ledger.ts';
import { mostAnswerBytes } from '../plan/defaults.ts';
import type { World } from '../world/world.ts';
import { answersOf, childrenOf, since, turnOf, wasTroubled, type Told } from './evidence.ts';
import { isQuick } from './promptness.ts';
import type { Evidence, Report } from './judge.ts';

/** Each statement of a result is true. */
export function judgeClaims(evidence: Evidence, told: Told, report: Report): void {
  const claim = (text: string) => report('results-are-true', `${told.task}: ${text}`);
  judgeNothingSent(evidence, told, claim);
  judgeAttempts(evidence, told, claim);
  judgeReason(evidence, told, claim);
  judgeAsks(evidence, told, claim);
  const turn = turnOf(evidence, told);
  if (!turn) return;
  judgeProof(evidence, told, turn, claim);
  judgeSums(evidence, told, turn, claim);
  judgeCalls(evidence, told, turn, claim);
  judgeSize(evidence, told, turn, claim);
}

type Claim = (text: string) => void;

function judgeNothingSent({ world }: Evidence, { task, result }: Told, claim: Claim): void {
  if (!result.error?.message.includes('Nothing was sent')) return;
  if (world.ledger.sent.some((sent) => sent.task === task)) claim('it says "Nothing was sent", and its prompt was sent.');
}

function judgeAttempts({ world }: Evidence, { result, task }: Told, claim: Claim): void {
  const earlier = result.attempts ?? [];
  for (const { message_id, outcome, session_id } of earlier) {
    const turn = world.ledger.turnOf(message_id);
    if (outcome === 'never_started' && turn?.isStored) claim(`attempt ${message_id} is said to have never started, and the server had it.`);
    if (outcome === 'interrupted' && !turn) claim(`attempt ${message_id} is said to be interrupted, and the server never had it.`);
    if (turn && (turn.task !== task || turn.sessionId !== session_id)) claim(`attempt ${message_id} is another task's.`);
  }
  const sent = new Set(world.ledger.sent.filter((one) => one.task === task).map(({ messageId }) => messageId));
  if (sent.size > result.attempt) claim(`it says ${result.attempt} attempts, and ${sent.size} prompts were sent.`);
  if (result.message_id !== null && !sent.has(result.message_id)) claim(`its message ${result.message_id} was never sent.`);
}

/** What the server never had fails with what its request was told. */
function judgeReason({ world }: Evidence, { task, result: { outcome, error }, endedAtMs }: Told, claim: Claim): void {
  const sent = world.ledger.sent.findLast((one) => one.task === task);
  if (outcome !== 'failed' || !sent?.failure || sent.failure.atMs >= endedAtMs || world.ledger.turnOf(sent.messageId)) return;
  if (error?.code !== sent.failure.code) claim(`it failed with ${error?.code}; its request was told ${sent.failure.code}.`);
}

/** Each signal of an end was so at its time, and was seen after the turn had begun: what was so before says nothing about it. */
function judgeProof({ world }: Evidence, { result, endedAtMs }: Told, turn: LedgerTurn, claim: Claim): void {
  const { proof } = result;
  if (!proof) return;
  const { begunAtMs = Infinity, idleAtMs = Infinity } = turn;
  for (const [name, { at_ms: atMs }] of Object.entries(proof)) {
    if (atMs < begunAtMs) claim(`${name} was seen at ${since(world, atMs)}, before the turn began.`);
    if (atMs > endedAtMs + 1) claim(`${name} was seen at ${since(world, atMs)}, after the result was told.`);
  }
  if (proof.session_idle.at_ms < idleAtMs)
    claim(`session_idle was seen at ${since(world, proof.session_idle.at_ms)}, and the session was busy.`);
  const busyChild = childrenOf(world, turn, proof.children_quiet.at_ms).find(
    ({ sessionId, begunAtMs: fromMs, endedAtMs: toMs = Infinity }) =>
      fromMs !== undefined &&
      fromMs <= proof.children_quiet.at_ms &&
      toMs > proof.children_quiet.at_ms &&
      !isUnknown(world, sessionId, turn.deliveredAtMs, endedAtMs),
  );
  if (busyChild) claim(`children_quiet was seen while ${busyChild.sessionId} was busy.`);
  const open = asksOf(world.ledger.asks, turn).find(
    ({ openedAtMs, closedAtMs = Infinity, staleAtMs = Infinity }) =>
      openedAtMs <= proof.no_pending_ask.at_ms && Math.min(closedAtMs, staleAtMs) > proof.no_pending_ask.at_ms,
  );
  if (open) claim(`no_pending_ask was seen while ${open.id} was open.`);
}

/** No event told of it, and once it is deleted no read does. */
function isUnknown(world: World, sessionId: string, fromMs: number, toMs: number): boolean {
  return world.storage.sessions.get(sessionId)?.deleted === true && wasTroubled(world, fromMs, toMs);
}

function asksOf(asks: readonly LedgerAsk[], turn: LedgerTurn): LedgerAsk[] {
  return asks.filter(({ rootId, openedAtMs }) => rootId === turn.sessionId && openedAtMs >= turn.deliveredAtMs);
}

/** What is said of each ask: it was asked, and answered so. */
function judgeAsks({ world }: Evidence, { result, endedAtMs }: Told, claim: Claim): void {
  const left = world.ledger.asks.filter(({ rootId, openedAtMs }) => rootId === result.session_id && openedAtMs <= endedAtMs);
  for (const told of result.asks) {
    const at = left.findIndex((ask) => isSame(told, ask));
    if (at === -1) claim(`it tells of an ask (${told.kind} ${told.permission ?? ''}, ${told.answer}) that the server did not have so.`);
    else left.splice(at, 1);
  }
}

const meanings = { allowed: 'allow', denied: 'deny', answered: 'answer' } as const;

function isSame(told: AnsweredAsk, ask: LedgerAsk): boolean {
  if (told.kind !== ask.kind || told.session_id !== ask.sessionId) return false;
  if (told.kind === 'permission' && (told.permission !== ask.permission || told.patterns?.[0] !== ask.pattern)) return false;
  // An answer whose own answer was lost counts as none; the server may have it all the same.
  return told.answer === 'unanswered' || ask.answer === meanings[told.answer];
}

/** What a deleted sub-agent did, no read shows any more, and events may have been lost. */
function hasDeleted(world: World, turns: readonly LedgerTurn[]): boolean {
  return turns.some(({ sessionId }) => world.storage.sessions.get(sessionId)?.deleted);
}

/** Tokens, tool calls and the model, sub-agents included. */
function judgeSums({ world }: Evidence, { result, endedAtMs }: Told, turn: LedgerTurn, claim: Claim): void {
  if (result.retries > turn.retries) claim(`it counts ${result.retries} retries; there were ${turn.retries}.`);
  if (result.outcome !== 'succeeded') return;
  const isKnown = isQuick(world) && !wasTroubled(world, turn.deliveredAtMs, endedAtMs);
  if (isKnown && result.retries !== turn.retries) claim(`it counts ${result.retries} retries; there were ${turn.retries}.`);
  const turns = [turn, ...childrenOf(world, turn, endedAtMs)];
  if (hasDeleted(world, turns)) return;
  const answers = turns.flatMap((one) => answersOf(world, one));
  const input = answers.reduce((sum, { message }) => sum + message.tokens.input, 0);
  const output = answers.reduce((sum, { message }) => sum + message.tokens.output, 0);
  if (result.usage.input_tokens !== input || result.usage.output_tokens !== output)
    claim(`it counts ${result.usage.input_tokens} and ${result.usage.output_tokens} tokens; there were ${input} and ${output}.`);
  const calls = answers.reduce((sum, { parts }) => sum + parts.filter(({ type }) => type === 'tool').length, 0);
  if (result.tool_calls !== calls) claim(`it counts ${result.tool_calls} tool calls; there were ${calls}.`);
}

/** Calls of the model: all of them while the events were followed, else at least those that left something. */
function judgeCalls({ world }: Evidence, { result, plan, endedAtMs }: Told, turn: LedgerTurn, claim: Claim): void {
  const calls = plan?.kind === 'shell' ? 0 : sumOf(world, turn, endedAtMs, ({ modelCalls }) => modelCalls);
  const turns = [turn, ...childrenOf(world, turn, endedAtMs)];
  const isExact = result.outcome === 'succeeded' && result.gaps === 0 && !hasDeleted(world, turns);
  if (result.model_calls > calls || (isExact && result.model_calls < calls))
    claim(`it counts ${result.model_calls} calls of the model; there were ${calls}.`);
}

function judgeSize({ world }: Evidence, { result, endedAtMs }: Told, turn: LedgerTurn, claim: Claim): void {
  const said = sumOf(world, turn, endedAtMs, ({ saidBytes }) => saidBytes);
  if (result.error?.code === 'ANSWER_TOO_LARGE' && said <= mostAnswerBytes) claim(`it is said to be too large, and had ${said} bytes.`);
  if (result.outcome === 'succeeded' && said > mostAnswerBytes) claim(`it succeeded with ${said} bytes, more than it may say.`);
}

function sumOf(world: World, turn: LedgerTurn, untilMs: number, of: (turn: LedgerTurn) => number): number {
  return [turn, ...childrenOf(world, turn, untilMs)].reduce((sum, one) => sum + of(one), 0);
}
