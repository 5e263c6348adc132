import { isManagerError, type ServerConfig, type StopReport } from '@opencode-manager/core';
import {
  demoConfigFiles,
  demoScript,
  demoTasks,
  demoWorkspaceFiles,
  startScriptedModel,
  temporaryWorkspace,
} from '@opencode-manager/testing';
import { createReporter, doneRecord, executeBatch, type BatchEnd, type BatchListener } from '../batch/index.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { startIsolationWatch, type IsolationCheck, type IsolationWatch, type WatchedServer } from '../isolation-report/index.ts';
import { knownParts, launchRecord, openManager, type Manager } from '../manager/index.ts';
import { checkPageFlags, keepPage, openPage, supportPages, type PageFlags, type PageServer } from '../playground/index.ts';
import type { JsonFlag } from '../program/shared-options.ts';
import { createProgress, type Progress } from '../render/index.ts';
import { listenForStop, type StopSignals } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';
import { printDemo } from './demo-summary.ts';

export interface DemoFlags extends JsonFlag, PageFlags {
  readonly binary?: string;
}

/** Tasks at once. */
const concurrency = 6;

/** How often the server's open files are looked at while the tasks run. */
const inspectionMs = 400;

/** What a run of the demo leaves to be told. */
export interface DemoRun {
  readonly end: BatchEnd;
  readonly changedFiles: readonly string[];
  readonly server: WatchedServer;
  readonly stop: StopReport;
  readonly durationMs: number;
  readonly page: PageServer | undefined;
}

/** `ocm demo`: the main job on a real server with a scripted model, and what of the isolation could be seen meanwhile. */
export async function demo(terminal: Terminal, flags: DemoFlags): Promise<ExitCode> {
  checkPageFlags(flags);
  using progress = createProgress(terminal, { total: demoTasks.length });
  using signals = listenForStop({
    onStep: (step) => progress.note(step === 'drain' ? 'Finishing the tasks that run; again aborts them.' : 'Stopping.'),
  });
  await using shown = new ShownPage();
  const watch = await startIsolationWatch();
  let run: DemoRun;
  try {
    run = await runDemo({ terminal, flags, progress, signals, watch, shown });
  } catch (error) {
    if (signals.exitCode === undefined || (isManagerError(error) && error.code !== 'REQUEST_ABORTED')) throw error;
    return signals.exitCode;
  }
  // Workspace, model and server are gone by now, so what is still there was left behind.
  const checks = await watch.finish(run.server);
  progress[Symbol.dispose]();
  const exitCode = conclude(terminal, flags, run, checks, signals);
  await keepPage(run.page, signals, { terminal, json: flags.json === true, note: terminal.notice });
  return exitCode;
}

interface DemoContext {
  readonly terminal: Terminal;
  readonly flags: DemoFlags;
  readonly progress: Progress;
  readonly signals: StopSignals;
  readonly watch: IsolationWatch;
  readonly shown: ShownPage;
}

/** Outlives the run: the page may be looked at afterwards. */
class ShownPage implements AsyncDisposable {
  page: PageServer | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page?.[Symbol.asyncDispose]();
  }
}

async function runDemo({ terminal, flags, progress, signals, watch, shown }: DemoContext): Promise<DemoRun> {
  const startedAt = performance.now();
  await using workspace = await temporaryWorkspace({ files: demoWorkspaceFiles });
  await using configDirectory = await temporaryWorkspace({ files: demoConfigFiles, git: false });
  await using model = await startScriptedModel(demoScript());
  const config: ServerConfig = {
    directory: workspace.path,
    opencodeConfig: model.opencodeConfig(),
    opencodeConfigDir: configDirectory.path,
    ...(flags.binary !== undefined && { binary: flags.binary }),
  };
  progress.note('Starting an isolated opencode server with a scripted model ...');
  const support = flags.playground ? supportPages('ocm demo') : undefined;
  const manager = await openManager({
    config,
    pool: { maxSessions: concurrency, ...support?.pool },
    ...(support && { pages: support.pages }),
    signals,
    redactor: terminal.redactor,
    onSocketError: () => undefined,
    onReaped: (line) => progress.note(line),
  });
  let stop: StopReport | undefined;
  try {
    await announce(terminal, flags, manager, progress);
    shown.page = await openPage(manager, support, flags, {
      terminal,
      title: 'ocm demo',
      json: flags.json === true,
      note: (line) => progress.note(line),
    });
    const listener = demoListener(terminal, flags, progress);
    const end = await inspectWhile(watch, manager.server, () => executeBatch({ pool: manager.pool, tasks: demoTasks, signals, listener }));
    const changedFiles = await workspace.changedFiles();
    stop = await manager.stop();
    return { end, changedFiles, server: manager.server, stop, durationMs: performance.now() - startedAt, page: shown.page };
  } finally {
    if (!stop) await manager.stop();
  }
}

async function announce(terminal: Terminal, flags: DemoFlags, manager: Manager, progress: Progress): Promise<void> {
  const { server } = manager;
  if (flags.json) terminal.record(launchRecord(manager, await knownParts(manager.server)));
  progress.note(`opencode ${server.version} on ${server.url}; ${demoTasks.length} tasks, ${concurrency} at a time, in ${server.directory}`);
}

/** The table at the end tells the results, so they are not printed one by one. */
function demoListener(terminal: Terminal, flags: DemoFlags, progress: Progress): BatchListener {
  if (flags.json) return createReporter({ terminal, progress, json: true, single: false });
  return {
    started: ({ id }) => progress.started(id),
    waiting: (id, reason) => progress.waiting(id, reason),
    finished: ({ id, outcome, duration_ms: durationMs, output, error }) =>
      progress.finished({ id, outcome, durationMs, detail: error?.message ?? output }),
  };
}

async function inspectWhile<Result>(watch: IsolationWatch, server: WatchedServer, work: () => Promise<Result>): Promise<Result> {
  const timer = setInterval(() => void watch.inspect(server).catch(() => undefined), inspectionMs);
  try {
    await watch.inspect(server);
    const result = await work();
    await watch.inspect(server);
    return result;
  } finally {
    clearInterval(timer);
  }
}

function conclude(
  terminal: Terminal,
  { json }: DemoFlags,
  run: DemoRun,
  checks: readonly IsolationCheck[],
  signals: StopSignals,
): ExitCode {
  const succeeded = run.end.notStarted === 0 && run.end.results.every(({ outcome }) => outcome === 'succeeded');
  const isolated = checks.every(({ status }) => status !== 'failed');
  const exitCode = signals.exitCode ?? (succeeded && isolated ? exitCodes.ok : exitCodes.failed);
  const summary = { total: demoTasks.length, end: run.end, durationMs: run.durationMs, stop: run.stop, signal: signals.signal, exitCode };
  if (json) terminal.record({ ...doneRecord(summary), files_changed: run.changedFiles, isolation: checks });
  else printDemo(terminal, run, checks, summary);
  return exitCode;
}
