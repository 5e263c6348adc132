import type { Outcome } from '@opencode-manager/actors';
import type { ResumeDecision, ResumePolicy, SourceTask } from './resume.types.ts';
import { hasSucceeded, type AttemptSummary, type TaskRecord } from './task-record.ts';

/** What the rules say about one task. */
export interface Verdict {
  readonly decision: Exclude<ResumeDecision, 'drop'>;
  readonly why: string;
  /** Its counters begin at 0 and what it had no longer counts: a row says so. */
  readonly isAnew?: true;
  readonly notBeforeMs?: number;
}

/** After a quota's reset its provider gets this time (milliseconds). */
const afterResetMs = 45_000;

/** What becomes of a known task, apart from its dependencies. */
export function verdictOf(record: TaskRecord, now: SourceTask, policy: ResumePolicy): Verdict {
  const { end, open, blockedBy, isCancelled } = record;
  if (policy.redo?.includes(record.key)) return { decision: 'run', why: 'It runs again because --redo names it.', isAnew: true };
  if (record.hash !== now.hash && policy.changed === 'rerun')
    return { decision: 'run', why: `It runs again because ${differenceOf(record, now)} changed.`, isAnew: true };
  if (open)
    return {
      decision: 'look',
      why: `Attempt ${open.attempt} was in flight when the manager ended: session ${open.sessionId} is read first.`,
    };
  if (isCancelled && !hasSucceeded(record)) return verdictOfCancelled(policy);
  if (blockedBy !== null) return { decision: 'run', why: `It was skipped because of ${blockedBy}, which is decided again.`, isAnew: true };
  if (end) return verdictOfEnd(record, end, now, policy);
  return { decision: 'run', why: 'It has not run yet.' };
}

function verdictOfCancelled(policy: ResumePolicy): Verdict {
  if (isAskedFor('aborted', policy)) return { decision: 'run', why: 'It was cancelled, and --retry-errors runs it again.', isAnew: true };
  return { decision: 'skip', why: 'It was cancelled. --retry-errors runs it again.' };
}

const passing: ReadonlySet<Outcome> = new Set(['interrupted', 'server_lost']);
const limitOutcomes: ReadonlySet<Outcome> = new Set(['timed_out', 'stalled', 'over_budget']);

function verdictOfEnd(record: TaskRecord, end: AttemptSummary, now: SourceTask, policy: ResumePolicy): Verdict {
  const { outcome, final, abortedBy, resetAtMs } = end;
  if (outcome === 'succeeded') return { decision: 'reuse', why: `Attempt ${end.attempt} succeeded.` };
  if (outcome === 'quota_exhausted' && resetAtMs !== null) {
    const why = `Its provider's quota is free again at ${new Date(resetAtMs).toISOString()}.`;
    return { decision: 'run', why, notBeforeMs: resetAtMs + (policy.quotaMarginMs ?? afterResetMs), ...(final && { isAnew: true }) };
  }
  if (!final)
    return {
      decision: 'run',
      why: abortedBy === 'manager' ? 'It was aborted with its run.' : `It ended as ${outcome} and has tries left.`,
    };
  if (passing.has(outcome)) return { decision: 'run', why: `It ended as ${outcome}, by no fault of its own.`, isAnew: true };
  if (isAskedFor(outcome, policy))
    return { decision: 'run', why: `It ended as ${outcome}, and --retry-errors runs it again.`, isAnew: true };
  return raisedLimit(end, now) ?? { decision: 'skip', why: `It ended as ${nameOf(end)}. --retry-errors runs it again.` };
}

function isAskedFor(outcome: Outcome, { retryErrors }: ResumePolicy): boolean {
  return retryErrors === true || (retryErrors?.includes(outcome) ?? false);
}

function raisedLimit({ outcome, limit }: AttemptSummary, { limits }: SourceTask): Verdict | undefined {
  if (!limit || !limitOutcomes.has(outcome)) return undefined;
  const present = limits?.[limit.name];
  if (present !== undefined && present <= limit.value) return undefined;
  const why = `It ended as ${outcome} at ${limit.name} ${limit.value}, and the limit is ${present ?? 'gone'} now.`;
  return { decision: 'run', why, isAnew: true };
}

function nameOf({ outcome, errorCode, abortedBy }: AttemptSummary): string {
  const by = abortedBy === null ? '' : `, by the ${abortedBy}`;
  return errorCode === null ? `${outcome}${by}` : `${outcome} (${errorCode}${by})`;
}

/** Names the fields in which a task differs from before. */
export function differenceOf({ fields }: TaskRecord, now: SourceTask): string {
  const [before, after] = [fields ?? {}, now.fields ?? {}];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => own(before, name) !== own(after, name));
  return names.length > 0 ? names.toSorted().join(', ') : 'what it asks for';
}

function own(values: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}
