import type { SerializedError } from '@opencode-manager/core/errors';
import type { JournalEvent, TaskAdded } from '../journal/events.ts';
import { failure } from './failure.ts';
import type { RunHistory } from './fold-journal.ts';
import { differenceOf, verdictOf, type Verdict } from './resume-rules.ts';
import type { Planned, PlannedTask, ResumeLine, ResumePolicy, SourceTask } from './resume.types.ts';
import { orderProblem } from './task-order.ts';
import { applyEvent, newRecord, type TaskRecord } from './task-record.ts';

/** Keys that a message names at most. */
const namedKeys = 20;

interface Step {
  readonly task: PlannedTask;
  readonly events: readonly JournalEvent[];
  readonly why: string;
}

/**
 * Decides for each task what becomes of it when a run begins or goes on: by what its journal says, by what the source says now, and by
 * what the user asked for. Each decision comes with a sentence why. A run that begins is one without a history. Refuses as a whole.
 *
 * @example
 * const { plan, refusal } = planResume(foldJournal(journal.read()), tasks, { retryErrors: ['timed_out'] })
 * if (refusal) throw OpencodeManagerError.from(refusal)
 * createActor(runMachine, { input: { plan } })
 * @public
 */
export function planResume(previous: RunHistory, now: readonly SourceTask[], policy: ResumePolicy): Planned {
  const known = new Map(previous.tasks.map((record) => [record.key, record]));
  const refusal = orderProblem(now) ?? unknownRedo(now, policy) ?? changedTasks(known, now, policy);
  if (refusal) return { plan: null, refusal };
  const verdicts = new Map(now.map((task) => [task.key, verdictIn(known.get(task.key), task, policy)]));
  const steps = withDependencies(now, verdicts, known).map(({ task, verdict }) => stepOf(known.get(task.key), task, verdict));
  const named = new Set(now.map(({ key }) => key));
  const gone = previous.tasks.filter(({ key }) => !named.has(key));
  const generation = previous.generation + 1;
  const drops = gone.filter(({ isDropped }) => !isDropped).map(({ key }): JournalEvent => ({ type: 'task.dropped', key }));
  return {
    plan: {
      generation,
      events: [{ type: 'run.opened', generation }, ...steps.flatMap(({ events }) => events), ...drops],
      tasks: steps.map(({ task }) => task),
      dropped: gone.length,
      spent: previous.spent,
      samples: previous.samples,
      lines: [
        ...steps.map(({ task: { key, decision }, why }): ResumeLine => ({
          key,
          decision,
          why,
          outcome: known.get(key)?.end?.outcome ?? null,
        })),
        ...gone.map(droppedLine),
      ],
    },
    refusal: null,
  };
}

function verdictIn(record: TaskRecord | undefined, task: SourceTask, policy: ResumePolicy): Verdict {
  return record ? verdictOf(record, task, policy) : { decision: 'new', why: 'It is new.' };
}

const droppedLine = ({ key, end }: TaskRecord): ResumeLine => ({
  key,
  decision: 'drop',
  why: 'The source names it no more. What it has done is kept.',
  outcome: end?.outcome ?? null,
});

function unknownRedo(now: readonly SourceTask[], { redo = [] }: ResumePolicy): SerializedError | null {
  const named = new Set(now.map(({ key }) => key));
  const unknown = redo.filter((key) => !named.has(key));
  if (unknown.length === 0) return null;
  return failure('TASK_UNKNOWN', `redo: no task has the key ${listed(unknown)}. Nothing was started.`, { details: { keys: unknown } });
}

function changedTasks(
  known: ReadonlyMap<string, TaskRecord>,
  now: readonly SourceTask[],
  { changed = 'fail', redo = [] }: ResumePolicy,
): SerializedError | null {
  if (changed !== 'fail') return null;
  const differing = now
    .map((task) => ({ task, record: known.get(task.key) }))
    .filter(({ task, record }) => record !== undefined && record.hash !== task.hash && !redo.includes(task.key))
    .map(({ task, record }) => ({ key: task.key, difference: differenceOf(record!, task) }));
  if (differing.length === 0) return null;
  const named = differing.map(({ key, difference }) => `${key} (${difference})`);
  const message = `These tasks ask for something else than before: ${listed(named)}. Put them back, or say --changed rerun or --changed keep. Nothing was started.`;
  return failure('TASKS_CHANGED', message, { details: { keys: differing.map(({ key }) => key), differing } });
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, namedKeys).join(', ');
  return names.length > namedKeys ? `${shown}, and ${names.length - namedKeys} more` : shown;
}

interface Decided {
  readonly task: SourceTask;
  readonly verdict: Verdict;
}

/** A skipped task stays skipped when one that it comes after keeps an end without success. */
function withDependencies(
  now: readonly SourceTask[],
  verdicts: ReadonlyMap<string, Verdict>,
  known: ReadonlyMap<string, TaskRecord>,
): readonly Decided[] {
  const final = new Map(verdicts);
  const settle = (task: SourceTask): void => {
    const record = known.get(task.key);
    if (record?.blockedBy == null || final.get(task.key)!.decision !== 'run') return;
    const blocker = task.after.find((key) => final.get(key)!.decision === 'skip');
    if (blocker !== undefined)
      final.set(task.key, { decision: 'skip', why: `It stays skipped: ${blocker}, which it comes after, is not run again.` });
  };
  inOrder(now).forEach(settle);
  return now.map((task) => ({ task, verdict: final.get(task.key)! }));
}

/** Tasks behind those that they come after. */
function inOrder(tasks: readonly SourceTask[]): readonly SourceTask[] {
  const dependents = new Map<string, SourceTask[]>(tasks.map(({ key }) => [key, []]));
  const missing = new Map(tasks.map(({ key, after }) => [key, after.length]));
  for (const task of tasks) for (const key of task.after) dependents.get(key)!.push(task);
  const ordered = tasks.filter(({ after }) => after.length === 0);
  for (const { key } of ordered) {
    for (const task of dependents.get(key)!) {
      const left = missing.get(task.key)! - 1;
      missing.set(task.key, left);
      if (left === 0) ordered.push(task);
    }
  }
  return ordered;
}

/** A task as the run begins with it, and the rows that make it so. */
function stepOf(record: TaskRecord | undefined, task: SourceTask, verdict: Verdict): Step {
  const { key, hash, fields, after, retries } = task;
  const { decision, why, isAnew = false, notBeforeMs = null } = verdict;
  const added: TaskAdded = { type: 'task.added', key, hash, ...(fields && { fields }), after, retries };
  if (!record) return { task: { ...newRecord(added), decision, notBeforeMs }, events: [added], why };
  // What it asks for now counts from its next attempt on; of one that has a result to keep, the hash of that result stays.
  const isOther = record.hash !== hash && decision === 'run';
  const back: readonly TaskAdded[] = record.isDropped ? [{ ...added, hash: record.hash }] : [];
  const events = isAnew || isOther ? [...back, added] : back;
  const begun = events.reduce(applyEvent, record);
  return { task: { ...begun, after, retries, decision, notBeforeMs }, events, why };
}
