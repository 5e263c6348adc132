import { foldJournal, planResume } from '@opencode-manager/runs/machine';
import { sourceOf } from './manager.ts';
import type { RunEvidence, RunReporter } from './oracle.ts';

/** What the run says of itself at its end is the sum of its rows; and who resumes it finds nothing left. */
export function judgeCounts(evidence: RunEvidence, outcomes: ReadonlyMap<string, string>, report: RunReporter): void {
  const { plan, managers, disk, driver } = evidence;
  const wrong = (text: string) => report('counts-add-up', text);
  for (const { summary, number } of managers) {
    if (!summary) continue;
    const { total, skipped, notStarted, outcomes: told } = summary.counts;
    const sum = Object.values(told).reduce((all, count) => all + count, 0) + skipped + notStarted;
    if (total !== plan.tasks.length || sum !== total) wrong(`Manager ${number}: ${total} tasks in all, ${sum} are counted.`);
  }
  const last = managers.at(-1)?.summary;
  if (!last || driver.hang !== undefined) return;
  const counted: Record<string, number> = {};
  for (const outcome of outcomes.values()) counted[outcome] = (counted[outcome] ?? 0) + 1;
  const { outcomes: told, skipped, succeededFirstTry, succeededAfterRetry } = last.counts;
  const all: Record<string, number> = { ...told, ...(skipped > 0 && { skipped }) };
  for (const outcome of new Set([...Object.keys(all), ...Object.keys(counted)]))
    if ((all[outcome] ?? 0) !== (counted[outcome] ?? 0))
      wrong(`${all[outcome] ?? 0} ${outcome} are told, ${counted[outcome] ?? 0} stand in the rows.`);
  if (succeededFirstTry + succeededAfterRetry !== (counted['succeeded'] ?? 0)) wrong('The successes do not add up.');
  const ends = disk.durable.flatMap(({ event }) => (event.type === 'attempt.ended' ? [event.result] : []));
  if (last.totals.attempts !== ends.length) wrong(`${last.totals.attempts} attempts are told, ${ends.length} have ended.`);
  const tokens = tokensIn(disk.durable);
  if (last.totals.usage.output_tokens !== tokens) wrong(`${last.totals.usage.output_tokens} tokens are told, ${tokens} stand in the rows.`);
  judgeResume(evidence, report);
}

/** Each token once: what goes on in a session tells those of its earlier parts again. */
function tokensIn(rows: RunEvidence['disk']['durable']): number {
  const newest = new Map<string, number>();
  let tokens = 0;
  for (const { event } of rows) {
    if (event.type !== 'attempt.ended') continue;
    const { output_tokens: told } = event.result.usage;
    tokens += told - (event.continues === undefined ? 0 : (newest.get(event.key) ?? 0));
    newest.set(event.key, told);
  }
  return tokens;
}

/** A run that is done is done. What ended by no fault of its own may run again. */
function judgeResume({ plan, disk }: RunEvidence, report: RunReporter): void {
  const planned = planResume(foldJournal(disk.durable), sourceOf(plan), {});
  for (const { key, decision, why } of planned.plan?.lines ?? [])
    if (decision === 'new' || decision === 'look') report('one-end-each', `${key} has its end, and a resume says: ${decision}. ${why}`);
}

/** The last manager tells the result of each task that was not skipped, once. */
export function judgeTold({ managers, disk, driver }: RunEvidence, report: RunReporter): void {
  const last = managers.at(-1);
  if (!last?.summary || driver.hang !== undefined) return;
  const { startSequence } = last.run!;
  const before = new Map<string, boolean>();
  const wanted = new Set<string>();
  for (const { sequence, event } of disk.durable) {
    if (event.type !== 'attempt.ended') continue;
    if (sequence <= startSequence) before.set(event.key, event.outcome === 'succeeded' && event.final);
    else if (event.final) wanted.add(event.key);
  }
  for (const [key, hasSucceeded] of before) if (hasSucceeded) wanted.add(key);
  const told = last.told.map(({ key }) => key);
  const missing = [...wanted].filter((key) => !told.includes(key));
  if (missing.length > 0) report('one-end-each', `${missing.join(', ')}: the end is not told.`);
  if (new Set(told).size !== told.length) report('one-end-each', 'An end is told twice.');
}
