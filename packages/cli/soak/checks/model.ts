import type { RecordedCall } from '@opencode-manager/testing';
import type { Facts } from '../facts.ts';
import { keyOf } from '../script.ts';

/** What was asked of the model, against what the journal says was sent. */
export function checkModel({ calls, intended, ended, tasks }: Facts): string[] {
  const problems: string[] = [];
  const attempts = new Map(intended.map((attempt) => [attempt.sessionId, attempt]));
  const bySession = Map.groupBy(calls, ({ sessionId }) => sessionId ?? '');
  for (const [session, asked] of bySession) {
    const attempt = attempts.get(session);
    if (!attempt) {
      problems.push(`model: session ${session} of ${keyOf(asked[0]!.user)} asked and is in no row`);
      continue;
    }
    const name = `${attempt.key}/${attempt.attempt}`;
    if (asked.some(({ user }) => keyOf(user) !== attempt.key)) problems.push(`model: ${name} asked with the prompt of another task`);
    if (asked.some(({ startedAtMs }) => startedAtMs < attempt.atMs)) problems.push(`model: ${name} asked before its intent was committed`);
    for (const [step, same] of Map.groupBy(asked, (call) => call.step))
      if (same.length > 1) problems.push(`model: ${name} asked for step ${step} ${same.length} times (${same.map(ofCall).join(', ')})`);
  }
  const answers = new Map(tasks.map(({ id, answer }) => [id, answer]));
  for (const { key, attempt, outcome, result } of ended) {
    if (outcome !== 'succeeded') continue;
    const asked = bySession.get(result.session_id ?? '') ?? [];
    const name = `${key}/${attempt}`;
    if (asked.filter(({ step }) => step === 0).length !== 1)
      problems.push(`model: ${name} succeeded, and its first step was not asked for once`);
    if (result.output !== answers.get(key))
      problems.push(`model: the answer of ${name} is another: ${JSON.stringify(result.output.slice(0, 80))}`);
    if (result.model_calls !== asked.length) problems.push(`model: ${name} tells ${result.model_calls} calls, there were ${asked.length}`);
  }
  return problems;
}

const ofCall = ({ outcome, startedAtMs }: RecordedCall): string => `${outcome} at ${new Date(startedAtMs).toISOString().slice(11, 23)}`;
