import { textOf } from '../opencode/storage.ts';
import { answersOf, childrenOf, since, turnOf, type Answer, type Told } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';

/** `succeeded`: our turn truly ended, well, with nothing of it still running; and the text is the server's. */
export function judgeEnd(evidence: Evidence, told: Told, report: Report): void {
  const { result, plan, endedAtMs, task } = told;
  if (result.outcome !== 'succeeded') return;
  const { world } = evidence;
  const bad = (text: string) => report('success-is-true', `${task}: ${text}`);
  const turn = turnOf(evidence, told);
  if (!turn) return bad('succeeded, and the server never had its prompt.');
  const hasEnded = turn.endedAtMs !== undefined && turn.endedAtMs <= endedAtMs;
  if (!hasEnded || !(turn.how === 'finished' || turn.how === 'merged' || turn.finalAtMs !== undefined))
    return bad(`succeeded at ${since(world, endedAtMs)}, and its turn has not ended well (${turn.how ?? 'runs'}).`);
  if (turn.how === 'merged') return bad('succeeded, and its prompt was merged into another turn.');
  for (const child of childrenOf(world, turn, endedAtMs))
    if (child.endedAtMs === undefined ? child.how !== 'never' : child.endedAtMs > endedAtMs)
      bad(`succeeded while its sub-agent ${child.sessionId} was still at work.`);
  const final = answersOf(world, turn).at(-1);
  if (!final) return bad('succeeded, and the server has no answer.');
  if (plan?.kind === 'shell') return judgeShell(final, result.output, bad);
  const text = textOf(final);
  if (final.message.finish !== 'stop' || final.message.error)
    bad(`succeeded, and its last message ended with ${final.message.finish ?? 'no reason'}.`);
  if (text.trim() === '' && !plan?.emptyAnswer) bad('succeeded, and its last message has no text.');
  if (result.output !== text) bad(`told ${JSON.stringify(result.output)}; the server has ${JSON.stringify(text)}.`);
}

function judgeShell({ parts, message }: Answer, output: string, bad: (text: string) => void): void {
  const printed = parts.map((part) => (part.type === 'tool' ? part.output : '')).join('');
  if (message.error) bad('succeeded, and its shell line was aborted.');
  if (output !== printed) bad(`told ${JSON.stringify(output)}; the shell line printed ${JSON.stringify(printed)}.`);
}
