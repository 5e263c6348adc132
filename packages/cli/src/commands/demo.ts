import { readFile } from 'node:fs/promises';
import type { TaskResult } from '@opencode-manager/actors';
import { isManagerError, type ServerConfig, type StopReport } from '@opencode-manager/core';
import {
  demoConfigFiles,
  demoScript,
  demoTasks,
  demoWorkspaceFiles,
  startScriptedModel,
  temporaryWorkspace,
} from '@opencode-manager/testing';
import { createReporter, doneRecord, executeBatch, Tally, type BatchListener } from '../batch/index.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { DemoFlags } from '../flags.ts';
import { startIsolationWatch, type IsolationCheck, type IsolationWatch } from '../isolation-report/index.ts';
import { knownParts, launchRecord, openManager, type Manager } from '../manager/index.ts';
import { checkPageFlags, keepPage, openPage, supportPages, type PageServer } from '../playground/index.ts';
import { createProgress, type Progress } from '../render/index.ts';
import { listenForStop, type StopSignals } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';
import { runWorkspaces, type KeptWorkspace } from '../workspaces/index.ts';
import { printDemo, type DemoPatch, type DemoRun } from './demo-summary.ts';

/** Tasks at once. */
const concurrency = 6;

/** How often the server's open files are looked at while the tasks run. */
const inspectionMs = 400;

/** `ocm demo`: the main job on a real server with a scripted model, and what of the isolation could be seen meanwhile. */
export async function demo(terminal: Terminal, flags: DemoFlags): Promise<ExitCode> {
  checkPageFlags(flags);
  using progress = createProgress(terminal, { total: demoTasks.length });
  using signals = listenForStop({
    terminal,
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
  const checks = [...(await watch.finish(run.server)), run.workspaces];
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
  await using places = await temporaryWorkspace({ git: false });
  await using clones = runWorkspaces({
    plan: { mode: 'clone', wanted: [{ directory: workspace.path, mode: 'clone' }], settings: { parent: places.path } },
    baseOf: async () => undefined,
    onNote: (line) => progress.note(line),
  });
  await clones.open();
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
    pool: { maxSessions: concurrency, workspaces: clones.source, ...support?.pool },
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
    const look = new Look(watch, manager, places.path);
    const end = await look.during(() => executeBatch({ pool: manager.pool, tasks: demoTasks, signals, listener }));
    const patches = await patchesOf(end.results);
    stop = await manager.stop();
    const workspaces = workspacesCheck(await clones.close(), await workspace.changedFiles());
    const { serverBytes } = look;
    const durationMs = performance.now() - startedAt;
    const forgets = manager.server.capabilities.dispose;
    return { end, patches, workspaces, serverBytes, forgets, server: manager.server, stop, durationMs, page: shown.page };
  } finally {
    if (!stop) await manager.stop();
  }
}

async function announce(terminal: Terminal, flags: DemoFlags, manager: Manager, progress: Progress): Promise<void> {
  const { server } = manager;
  if (flags.json) terminal.record(launchRecord(manager, await knownParts(manager.server)));
  progress.note(
    `opencode ${server.version} on ${server.url}; ${demoTasks.length} tasks, ${concurrency} at a time, each in a clone of ${server.directory}`,
  );
}

/** The table at the end tells the results, so they are not printed one by one. */
function demoListener(terminal: Terminal, flags: DemoFlags, progress: Progress): BatchListener {
  if (flags.json) return createReporter({ terminal, progress, output: 'json', single: false });
  return {
    started: ({ id }) => progress.started(id),
    waiting: (id, reason) => progress.waiting(id, reason),
    finished: ({ id, outcome, duration_ms: durationMs, output, error }) =>
      progress.finished({ id, outcome, durationMs, detail: error?.message ?? output }),
  };
}

/** Looks at the server while the tasks run. */
class Look {
  readonly #watch: IsolationWatch;
  readonly #manager: Manager;
  readonly #workspaces: string;
  serverBytes = 0;

  constructor(watch: IsolationWatch, manager: Manager, workspaces: string) {
    this.#watch = watch;
    this.#manager = manager;
    this.#workspaces = workspaces;
  }

  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    const timer = setInterval(() => void this.#inspect().catch(() => undefined), inspectionMs);
    try {
      await this.#inspect();
      const result = await work();
      await this.#inspect();
      return result;
    } finally {
      clearInterval(timer);
    }
  }

  async #inspect(): Promise<void> {
    const { server } = this.#manager;
    const { pid, runId, stateDir, directory } = server;
    const bytes = await server.residentBytes().catch(() => 0);
    this.serverBytes = Math.max(this.serverBytes, bytes);
    await this.#watch.inspect({ pid, runId, stateDir, directory, workspaces: this.#workspaces });
  }
}

/** The patches go with the demo, so what they say is read before. */
async function patchesOf(results: readonly TaskResult[]): Promise<readonly DemoPatch[]> {
  const order = new Map(demoTasks.map(({ id }, index) => [id, index]));
  const changed = results.filter(({ files_changed: files = 0 }) => files > 0);
  return Promise.all(
    changed
      .toSorted((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0))
      .map(async ({ id: task, patch, insertions = 0, deletions = 0 }) => {
        const text = patch ? await readFile(patch, 'utf8') : '';
        return { task, files: [...text.matchAll(/^diff --git a\/.+ b\/(.+)$/gm)].map(([, file]) => file!), insertions, deletions };
      }),
  );
}

function workspacesCheck(kept: readonly KeptWorkspace[], changed: readonly string[]): IsolationCheck {
  const name = 'workspaces';
  if (kept.length > 0)
    return { name, status: 'failed', detail: `still there: ${kept.map(({ key, reason }) => `${key} (${reason})`).join(', ')}` };
  if (changed.length > 0) return { name, status: 'failed', detail: `changed in the repository itself: ${changed.join(', ')}` };
  return { name, status: 'ok', detail: 'the clones are gone, and the repository that they were made of is unchanged (git status)' };
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
  const { results, notStarted, gaps, restarts, serverRestarts } = run.end;
  const tally = new Tally(results);
  const { durationMs, stop } = run;
  const ended = { tally, counts: tally.counts, notStarted, gaps, restarts, serverRestarts };
  const summary = { total: demoTasks.length, ...ended, durationMs, stop, signal: signals.signal, exitCode };
  if (json) terminal.record({ ...doneRecord(summary), ...patchRecord(run), server_memory_bytes: run.serverBytes, isolation: checks });
  else printDemo(terminal, run, checks, summary);
  return exitCode;
}

function patchRecord({ patches }: DemoRun): object {
  return { files_changed: patches.flatMap(({ files }) => files).toSorted(), patches };
}
