import { didYouMean, OpencodeManagerError } from '@opencode-manager/core/errors';
import { locateRun } from '@opencode-manager/runs/look';
import {
  isHeld,
  JournalReader,
  readRun,
  runLayout,
  taskState,
  type AttemptEnded,
  type RunReading,
  type TaskRecord,
  type TaskState,
} from '@opencode-manager/runs/read';

/** One task of a run, and the attempt of it that is looked at. */
export interface TaskOfRun {
  readonly reading: RunReading;
  readonly key: string;
  readonly record: TaskRecord;
  readonly state: TaskState;
  /** The newest that has ended, or the one that was named; undefined when none has. */
  readonly attempt: AttemptEnded | undefined;
}

/**
 * The task that `[RUN] KEY` names: one word is a key of the newest run.
 * @throws OpencodeManagerError `USAGE`, `RUN_UNKNOWN`, `RUN_UNREADABLE`, `TASK_UNKNOWN`
 */
export async function taskOfRun([first, second]: readonly (string | undefined)[], number?: number): Promise<TaskOfRun> {
  const [name, key] = second === undefined ? [undefined, first] : [first, second];
  if (key === undefined)
    throw new OpencodeManagerError('USAGE', 'Name the task by its key. The keys of a run are listed by: ocm results [RUN]');
  const path = await locateRun('.', name);
  const reading = await readRun(path, { lastRows: 0 });
  const { history, run, holder } = reading;
  const record = history.tasks.find((task) => task.key === key);
  if (!record) throw unknownTask(key, run.id, history.tasks);
  const attempt = attemptOf(path, key, number);
  if (number !== undefined && !attempt) {
    const has = record.attempts === 0 ? 'has not begun' : `has had ${record.attempts}, and not all need have ended`;
    throw new OpencodeManagerError('USAGE', `--attempt: no attempt ${number} of ${key} has ended; the task ${has}.`);
  }
  return { reading, key, record, state: taskState(record, isHeld(holder)), attempt };
}

/** The largest number of keys that are compared with a mistyped one. */
const mostCompared = 20_000;

function unknownTask(key: string, run: string, tasks: readonly TaskRecord[]): OpencodeManagerError {
  const keys = tasks.slice(0, mostCompared).map((task) => task.key);
  const message = `${key} is no task of ${run}. ${didYouMean(key, keys)}Its keys are listed by: ocm results ${run}`;
  return new OpencodeManagerError('TASK_UNKNOWN', message, { details: { key, run } });
}

/** One result in memory at a time: of many attempts the last one counts. */
function attemptOf(path: string, key: string, number: number | undefined): AttemptEnded | undefined {
  using journal = new JournalReader(runLayout(path).journal);
  let found: AttemptEnded | undefined;
  for (const { event } of journal.rows({ key, type: 'attempt.ended' }))
    if (event.type === 'attempt.ended' && (number === undefined || event.attempt === number)) found = event;
  return found;
}
