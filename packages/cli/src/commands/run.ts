import type { TaskResult } from '@opencode-manager/actors';
import { isManagerError, OpencodeManagerError, toManagerError, type StopReport } from '@opencode-manager/core';
import {
  collectTasks,
  createReporter,
  doneRecord,
  executeBatch,
  keptLines,
  openOutputFile,
  outputMode,
  patchLines,
  sourceLines,
  refuseSharedOutputs,
  refuseUntrustedDirectories,
  summaryLine,
  type BatchEnd,
  type BatchSummary,
  type OutputFile,
} from '../batch/index.ts';
import { exitCodeOf, exitCodes, type ExitCode } from '../exit-codes.ts';
import { knownParts, launchRecord, openManager, tellParts, tellServers, type Manager } from '../manager/index.ts';
import { buildServerConfig, refuseUnknownNames, turnSettings, withModels, type TurnSettings } from '../options/index.ts';
import { checkPageFlags, keepPage, openPage, supportPages, type PageSupport } from '../playground/index.ts';
import type { RunFlags } from '../program/batch-commands.ts';
import { createProgress, printable, type Progress } from '../render/index.ts';
import { reportError } from '../report-error.ts';
import { aborted, listenForStop, type StopSignals, type StopStep } from '../signals.ts';
import type { NamedTask } from '../task-file/index.ts';
import type { Terminal } from '../terminal/index.ts';
import {
  openRunWorkspaces,
  planWorkspaces,
  sharedDirectory,
  type KeptWorkspace,
  type RunWorkspaces,
  type WorkspacePlan,
} from '../workspaces/index.ts';

/** After a third signal, work that still does not end is left to the guard process. */
const killPatienceMs = 8000;

interface Plan {
  readonly tasks: readonly NamedTask[];
  readonly settings: TurnSettings;
  readonly config: Awaited<ReturnType<typeof withModels>>;
  /** Absent when every task works in its directory itself. */
  readonly workspaces: WorkspacePlan | undefined;
}

/** `ocm run`: everything is read and checked first; then the server starts, the tasks run, and all of it is gone again. */
export async function run(terminal: Terminal, file: string | undefined, flags: RunFlags): Promise<ExitCode> {
  const plan = await planRun(terminal, file, flags);
  using out = flags.out === undefined ? undefined : openOutputFile(flags.out, outputMode(flags));
  using progress = createProgress(terminal, { total: plan.tasks.length });
  let started = false;
  using signals = listenForStop({ onStep: (step) => progress.note(started ? stepNotes[step] : 'Stopping.') });
  const startedAt = performance.now();
  try {
    await using workspaces =
      plan.workspaces && (await openRunWorkspaces({ plan: plan.workspaces, onNote: (line) => progress.note(printable(line)) }));
    progress.note('Starting an isolated opencode server ...');
    const onSocketError = ({ code }: NodeJS.ErrnoException) =>
      progress.note(`The socket of this run cannot be opened (${code}): ocm sessions, events and the like will not reach it.`);
    const support = flags.playground ? supportPages('ocm run') : undefined;
    const manager = await openManager({
      config: plan.config,
      pool: { ...plan.settings, ...support?.pool, ...(workspaces && { workspaces: workspaces.source, workspace: plan.workspaces?.mode }) },
      ...(support && { pages: support.pages }),
      signals,
      redactor: terminal.redactor,
      onSocketError,
      onReaped: (line) => progress.note(line),
    });
    started = true;
    return await runOn(manager, { support, workspaces, terminal, flags, plan, out, progress, signals, startedAt });
  } catch (error) {
    // A signal during the start: nothing ran, and the start has cleaned up after itself.
    if (signals.exitCode === undefined || (isManagerError(error) && error.code !== 'REQUEST_ABORTED')) throw error;
    return signals.exitCode;
  }
}

const stepNotes: Readonly<Record<StopStep, string>> = {
  drain: 'No new tasks; waiting for those that run. Again aborts them.',
  abort: 'Aborting the tasks that run. Again kills the server.',
  kill: 'Killing the server.',
};

async function planRun(terminal: Terminal, file: string | undefined, flags: RunFlags): Promise<Plan> {
  checkPageFlags(flags);
  outputMode(flags);
  refuseSharedOutputs(terminal, file, flags);
  const settings = await turnSettings(flags);
  const config = await buildServerConfig(flags);
  const tasks = await collectTasks(terminal, file, flags);
  const withProviders = await withModels(config, tasks, settings);
  const workspaces = planWorkspaces(flags, tasks, config.directory ?? process.cwd());
  return { tasks, settings, config: withProviders, workspaces };
}

interface RunContext {
  readonly support: PageSupport | undefined;
  readonly workspaces: RunWorkspaces | undefined;
  readonly terminal: Terminal;
  readonly flags: RunFlags;
  readonly plan: Plan;
  readonly out: OutputFile | undefined;
  readonly progress: Progress;
  readonly signals: StopSignals;
  readonly startedAt: number;
}

async function runOn(manager: Manager, context: RunContext): Promise<ExitCode> {
  const { server } = manager;
  const parts = await knownParts(server);
  if (context.flags.json) context.terminal.record(launchRecord(manager, parts));
  else context.progress.note(`opencode ${server.version} on ${server.url}, manager ${process.pid}, state ${server.stateDir}`);
  const listener = {
    notice: (line: string) => context.progress.note(line),
    ...(context.flags.json && { record: (record: object) => context.terminal.record(record) }),
  };
  noteShared(manager, context);
  tellParts(server, parts, listener);
  tellServers(manager.pool, listener);
  const pageContext = {
    terminal: context.terminal,
    title: 'ocm run',
    json: context.flags.json === true,
    note: (line: string) => context.progress.note(line),
  };
  await using page = await openPage(manager, context.support, context.flags, pageContext);
  const end = await executeTasks(manager, context);
  const stopped = await stopManager(manager, context.signals);
  const kept = (await context.workspaces?.close()) ?? [];
  const incomplete = isManagerError(stopped) ? stopped : undefined;
  const problems = [end.failure, incomplete, await closeOutput(context)].filter((problem) => problem !== undefined);
  const exitCode = finish(context, { end, kept, stop: isManagerError(stopped) ? undefined : stopped, problems });
  await keepPage(page, context.signals, { ...pageContext, note: context.terminal.notice });
  return exitCode;
}

function noteShared({ server, pool }: Manager, { flags, plan, progress }: RunContext): void {
  const shared = sharedDirectory(flags, plan.tasks, server.directory);
  if (shared === undefined || pool.snapshot().maxSessions < 2) return;
  progress.note(
    printable(`Several tasks work in ${shared} at once and see each other's changes. To give each a place of its own: --workspace clone`),
  );
}

/** Never throws: whatever happens after the launch, what has run so far is told, and the last record says `done`. */
async function executeTasks({ server, pool }: Manager, context: RunContext): Promise<BatchEnd> {
  const { terminal, flags, plan, out, progress, signals, workspaces } = context;
  try {
    await refuseUntrustedDirectories(server, plan.tasks);
    for (const note of server.notes()) progress.note(printable(note));
    const withoutCommands = !plan.tasks.some(({ command }) => command !== undefined);
    refuseUnknownNames(await server.catalogue(server.directory, { withoutCommands }), plan.tasks, plan.settings);
  } catch (error) {
    return { results: [], notStarted: plan.tasks.length, failure: toManagerError(error), gaps: 0, restarts: 0, serverRestarts: 0 };
  }
  const reporter = createReporter({ terminal, progress, json: flags.json === true, single: plan.tasks.length === 1, out });
  const finished = (result: TaskResult) => {
    workspaces?.finished(result);
    reporter.finished(result);
  };
  const listener = { ...reporter, finished };
  // Tasks whose results have nowhere to go are not paid for.
  const mayStart = () => terminal.stdout.failure === undefined || (out !== undefined && out.failure === undefined);
  return executeBatch({ pool, tasks: plan.tasks, signals, listener, mayStart });
}

/** The report of the stop, or what was left behind. */
async function stopManager(manager: Manager, signals: StopSignals): Promise<StopReport | OpencodeManagerError> {
  try {
    return await Promise.race([manager.stop(), killPatience(signals)]);
  } catch (error) {
    if (isManagerError(error)) return error;
    throw error;
  }
}

async function killPatience(signals: StopSignals): Promise<never> {
  await aborted(signals.kill);
  await new Promise((resolve) => setTimeout(resolve, killPatienceMs).unref());
  throw new OpencodeManagerError(
    'SERVER_STOP_INCOMPLETE',
    'The server was killed and its end was not confirmed in time; its guard process cleans up. Check with: ocm doctor',
  );
}

async function closeOutput({ out, signals }: RunContext): Promise<OpencodeManagerError | undefined> {
  try {
    // The next signal ends the wait for a reader.
    await out?.close(signals.drain.aborted ? signals.abort : signals.drain);
    return undefined;
  } catch (error) {
    return toManagerError(error);
  }
}

interface RunEnd {
  readonly end: BatchEnd;
  readonly kept: readonly KeptWorkspace[];
  readonly stop: StopReport | undefined;
  readonly problems: readonly OpencodeManagerError[];
}

function finish(context: RunContext, { end, kept, stop, problems }: RunEnd): ExitCode {
  const { terminal, flags, plan, progress, signals, startedAt } = context;
  const exitCode = signals.exitCode ?? exitCodeOfEnd(end, problems);
  const summary: BatchSummary = {
    total: plan.tasks.length,
    end,
    durationMs: performance.now() - startedAt,
    stop,
    signal: signals.signal,
    exitCode,
    patches: context.workspaces?.patches,
    kept,
  };
  progress[Symbol.dispose]();
  for (const problem of problems) reportError(terminal, problem, { json: flags.json === true });
  if (flags.json) terminal.record(doneRecord(summary));
  terminal.notice(summaryLine(summary));
  for (const line of [...patchLines(summary), ...sourceLines(summary), ...keptLines(summary)]) terminal.notice(line);
  return exitCode;
}

function exitCodeOfEnd(end: BatchEnd, [problem]: readonly OpencodeManagerError[]): ExitCode {
  if (problem) return exitCodeOf(problem.code);
  return end.notStarted === 0 && end.results.every(({ outcome }) => outcome === 'succeeded') ? exitCodes.ok : exitCodes.failed;
}
