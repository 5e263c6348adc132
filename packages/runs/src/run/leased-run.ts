import type { JournalEvent } from '../journal/events.ts';
import type { Lease } from '../lease/lease.ts';
import { leasedStore } from '../lease/leased-store.ts';
import { foldJournal, noHistory, planResume, type RunHistory } from '../machine/index.ts';
import { outputsOf, planRun, preparedRun, type Prepared } from './prepare-run.ts';
import { Redaction } from './redaction.ts';
import { sourceTask, type IdentifiedTask } from './source-tasks.ts';
import type { PreparedRun, RunOptions } from './types.ts';

/** The tasks of a run with their identities, of which nothing is made or started here. */
export interface IdentifiedRun extends Pick<Prepared, 'configuration' | 'versions'> {
  readonly tasks: readonly IdentifiedTask[];
  /** The rows with which the journal of such a run begins. */
  readonly events: readonly JournalEvent[];
}

/**
 * Reads and checks the tasks of a run that other hosts carry out.
 * @throws OpencodeManagerError `TASK_DUPLICATE`, `TASK_INVALID`, `OUTPUT_SCHEMA_INVALID`, `TASK_ORDER_INVALID`
 * @public
 */
export async function identifyRun(options: RunOptions): Promise<IdentifiedRun> {
  const { plan, identified, configuration, versions } = await planRun(options, noHistory);
  return { tasks: identified, events: plan.events, configuration, versions };
}

/** Where a leased task runs. */
export interface LeasedHost {
  /** Names the lease in this process, and begins the names that its pool has for attempts. */
  readonly id: string;
  /** Directory in which transcripts of its attempts are left. */
  readonly path: string;
  /** Writes rows of the task. What it throws ends the attempt: nothing more is sent. */
  readonly write: (events: readonly JournalEvent[]) => Promise<void>;
}

/**
 * The run of one leased task, on a pool that other leases share: the same machine, attempts and limits as those of a whole run. Its rows go
 * to the host's `write` before what they say is done.
 * @throws OpencodeManagerError `OUTPUT_SCHEMA_INVALID`, `TASK_INVALID`
 * @public
 */
export function prepareLeased(options: Omit<RunOptions, 'tasks'>, lease: Lease, { id, path, write }: LeasedHost): PreparedRun {
  const { key, task, token } = lease;
  const all: RunOptions = { ...options, tasks: [task.task] };
  const redaction = new Redaction();
  const identified: IdentifiedTask[] = [{ key, task: task.task, hash: task.hash, fields: {}, files: [] }];
  const outputs = outputsOf(identified);
  const source = identified.map((one) => sourceTask(one, options.pool));
  // It has been told what to do with what was there: nothing is left to refuse.
  const { plan } = planResume(historyOf(lease), source, { changed: 'keep' });
  const versions = { manager: '', opencode: '', protocol: '', node: '' };
  const store = leasedStore({ lease, id, path, write }, redaction.apply);
  const prepared: Prepared = { plan: { ...plan!, generation: token }, identified, outputs, configuration: '', versions };
  return preparedRun(all, prepared, store, redaction);
}

/** Sessions and workspaces of earlier attempts are on other hosts: a parked task begins anew. */
function historyOf({ rows, token }: Lease): RunHistory {
  const history = foldJournal(rows);
  return { ...history, generation: token - 1, tasks: history.tasks.map((record) => Object.assign({}, record, { goesOn: null })) };
}
