import { basename, extname, resolve } from 'node:path';
import { isManagerError, OpencodeManagerError, toManagerError } from '@opencode-manager/core';
import type { JournalRow, RunSummary } from '@opencode-manager/runs';
import {
  collectTasks,
  conclude,
  createReporter,
  openJunitOutput,
  openOutputFile,
  outputMode,
  reportersOf,
  refuseSharedOutputs,
  selectTasks,
  Teller,
  type FollowedRun,
  type OutputFile,
} from '../batch/index.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { findManager, type ManagerClient, type RowView, type RunView, type StartedRun } from '../manager-socket/index.ts';
import { managerPid } from '../commands/client.ts';
import { taskLimits, turnSettings } from '../options/index.ts';
import type { RunFlags } from '../flags.ts';
import { createProgress, printable } from '../render/index.ts';
import { runName } from '../run-view/run-name.ts';
import { listenForStop, type StopSignals } from '../signals.ts';
import type { NamedTask } from '../task-file/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { refuseFlags } from './refuse-flags.ts';
import { withSettings } from './with-settings.ts';

/** After a first Ctrl-C a second one within this time cancels the run, in milliseconds. */
const secondThoughtMs = 2000;

/**
 * `ocm run FILE --on PID`: submits a run to a running `ocm serve` and follows it as if it ran here. Ctrl-C leaves it there; a second one cancels it.
 */
export async function submitRun(terminal: Terminal, file: string | undefined, flags: RunFlags): Promise<ExitCode> {
  refuseFlags(flags);
  const manager = await findManager(managerPid(flags.on!, '--on'));
  const selected = selectTasks(await collectTasks(terminal, file, flags, process.cwd()), flags);
  const tasks = withSettings(selected, await turnSettings(flags), taskLimits(flags));
  outputMode(flags);
  refuseSharedOutputs(terminal, file, flags);
  const reporters = reportersOf(flags);
  using junit = openJunitOutput(reporters);
  using progress = createProgress(terminal, { total: tasks.length });
  const startedAt = performance.now();
  const started = await manager.call('startRun', requestFor(file, flags, tasks));
  using out = await openOutput(manager, started, flags);
  tell(terminal, started, flags, (line) => progress.note(line));
  if (flags.detach) return exitCodes.ok;
  const leaving = new AbortController();
  using signals = listenForStop({ onStep: () => onSignal() });
  const onSignal = stopOnSecondThought({ manager, started, leaving, signals: () => signals, note: (line) => progress.note(line) });
  progress.expects(started.total, 0);
  const { output } = reporters;
  const reporter = createReporter({ terminal, progress, output, single: started.total === 1, out, junit });
  const plan = { tasks, request: { flags, resumed: undefined } };
  const context = { terminal, plan, out, output, junit, progress, signals, startedAt, workspaces: undefined };
  const teller = new Teller({ plan: [], startSequence: 0 }, reporter, context);
  const followed = await follow(manager, started, teller, leaving.signal);
  if (!followed) {
    progress[Symbol.dispose]();
    terminal.notice(
      printable(
        `The run goes on in process ${started.pid}. To look at it: ocm status ${nameOf(started)}   To end it: ocm ctl run cancel ${nameOf(started)}`,
      ),
    );
    return signals.exitCode ?? exitCodes.interrupted;
  }
  const { counts } = followed.summary!;
  const lines = tasks.map(({ id }) => ({ key: id, decision: 'new' as const, why: 'It is new.', outcome: null }));
  const prepared = { id: started.run, path: started.run_dir ?? undefined, counts, plan: lines };
  return await conclude({ ...context, prepared }, { followed, kept: [], stopped: undefined });
}

/** What was refused has emptied no file; and a run whose results have nowhere to go is not paid for. */
async function openOutput(manager: ManagerClient, { run }: StartedRun, flags: RunFlags): Promise<OutputFile | undefined> {
  if (flags.out === undefined || flags.detach) return undefined;
  try {
    return openOutputFile(flags.out, outputMode(flags));
  } catch (error) {
    await manager.call('cancelRun', { run }).catch(() => undefined);
    throw error;
  }
}

function requestFor(file: string | undefined, flags: RunFlags, tasks: readonly NamedTask[]) {
  const {
    json: _json,
    out: _out,
    append: _append,
    overwrite: _overwrite,
    onDone: _onDone,
    on: _on,
    detach: _detach,
    prompt: _prompt,
    ...kept
  } = flags;
  // A prompt alone keeps no directory, as without a server.
  const runDir = kept.runDir ?? (file === undefined ? false : undefined);
  return {
    tasks: tasks.map((task) => ({ ...task })),
    source: file === undefined || file === '-' ? (file ?? null) : resolve(file),
    title: file === undefined || file === '-' ? '' : basename(file, extname(file)),
    base_directory: process.cwd(),
    directory: resolve(flags.directory ?? '.'),
    argv: process.argv.slice(2),
    flags: { ...kept, ...(runDir !== undefined && { runDir: typeof runDir === 'string' ? resolve(runDir) : runDir }) },
  };
}

function tell(
  terminal: Terminal,
  { run, run_dir: path, pid, total, concurrency }: StartedRun,
  flags: RunFlags,
  note: (line: string) => void,
): void {
  if (flags.json) terminal.record({ type: 'launch', pid, run, run_dir: path, concurrency, total });
  else note(printable(`Run ${run} on the server of process ${pid}${path === null ? '' : `: ${path}`}`));
}

function nameOf({ run, run_dir: path }: StartedRun): string {
  return path === null ? run : runName(run, path);
}

interface Stopping {
  readonly manager: ManagerClient;
  readonly started: StartedRun;
  /** Aborted when this process follows the run no more. */
  readonly leaving: AbortController;
  readonly signals: () => StopSignals;
  readonly note: (line: string) => void;
}

/** The first signal leaves the run where it is, after a moment in which a second one cancels it. */
function stopOnSecondThought({ manager, started, leaving, signals, note }: Stopping): () => void {
  let timer: NodeJS.Timeout | undefined;
  const cancel = () => {
    clearTimeout(timer);
    note('Cancelling the run. Again leaves it.');
    manager.call('cancelRun', { run: started.run }).catch((error: unknown) => note(toManagerError(error).message));
  };
  return () => {
    if (signals().kill.aborted) return leaving.abort();
    if (timer !== undefined) return cancel();
    // A process that is terminated has no second thought.
    if (signals().signal !== 'SIGINT') return leaving.abort();
    note(`Leaving the run where it is; again within ${secondThoughtMs / 1000} s cancels it.`);
    timer = setTimeout(() => leaving.abort(), secondThoughtMs);
  };
}

/** Tells what the journal says until the run has ended; undefined when this process leaves it. */
async function follow(manager: ManagerClient, { run }: StartedRun, teller: Teller, signal: AbortSignal): Promise<FollowedRun | undefined> {
  let failure: OpencodeManagerError | undefined;
  try {
    const rows = manager.stream('runEvents', { run, since: 0, follow: true }, { signal });
    let next = await rows.next();
    for (; !next.done; next = await rows.next()) {
      try {
        teller.tell(journalRow(next.value));
      } catch (error) {
        failure ??= toManagerError(error);
      }
    }
    if (!next.value?.summary) throw new OpencodeManagerError('CONNECTION_LOST', 'The manager is stopping.');
    teller.end();
    return {
      summary: summaryOf(next.value.summary, next.value.counts),
      tally: teller.tally,
      failure,
      pool: { gaps: 0, restarts: 0, serverRestarts: 0 },
    };
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!isManagerError(error, 'CONNECTION_LOST')) throw error;
    throw new OpencodeManagerError(
      'CONNECTION_LOST',
      `The manager ${manager.run.managerPid} has gone, and the run ${run} with it. To go on: ocm resume ${run}`,
      {
        cause: error,
      },
    );
  }
}

function summaryOf(summary: NonNullable<RunView['summary']>, counts: RunView['counts']): RunSummary {
  const { total, outcomes, skipped, not_started: notStarted, reused, dropped } = counts;
  const { reason, why, error, attempts, usage, cost_usd: costUsd, known_cost_usd: knownCostUsd, parked_ms: parkedMs } = summary;
  const { succeeded_first_try: succeededFirstTry, succeeded_after_retry: succeededAfterRetry } = summary;
  return {
    reason,
    why,
    error,
    counts: { total, outcomes, skipped, notStarted, reused, dropped, succeededFirstTry, succeededAfterRetry },
    totals: { attempts, usage, costUsd, knownCostUsd, parkedMs },
  };
}

/** The names of the journal in the library. */
function journalRow({ seq, at, ...told }: RowView): JournalRow {
  const event = Object.fromEntries(
    Object.entries(told).map(([name, value]) => [name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]),
  );
  return { sequence: seq, atMs: Date.parse(at), event: event as unknown as JournalRow['event'] };
}
