import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isManagerError, OpencodeManagerError, toManagerError, type StopReport } from '@opencode-manager/core';
import { newestUnfinished, prepareRun, type PreparedRun, type Run } from '@opencode-manager/runs';
import type { ExitCode } from '../exit-codes.ts';
import { knownParts, launchRecord, openManager, tellParts, tellServers, type Manager } from '../manager/index.ts';
import { refuseUnknownNames } from '../options/index.ts';
import { keepPage, openPage, supportPages, type PageSupport } from '../playground/index.ts';
import { createProgress, plural, printable, type Progress } from '../render/index.ts';
import { aborted, listenForStop, type StopSignals, type StopStep } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';
import type { WorkspaceMode } from '@opencode-manager/workspaces';
import { runWorkspaces, sharedDirectory, type RunWorkspaces } from '../workspaces/index.ts';
import { conclude } from './conclude.ts';
import type { BatchContext } from './context.ts';
import { followRun, type FollowedRun } from './follow-run.ts';
import { noticesWithoutCommands } from './github.ts';
import { openJunitOutput } from './junit-output.ts';
import { outputMode } from './output-checks.ts';
import { openOutputFile } from './output-file.ts';
import { previewBatch } from './preview.ts';
import { assertPriced, type PricedPlan } from './pricing.ts';
import { createReporter } from './report.ts';
import { reportersOf } from './reporters.ts';
import type { BatchRequest } from './request.ts';
import { planBatch, type BatchPlan } from './run-plan.ts';
import { Tally } from './tally.ts';
import { refuseUntrustedDirectories } from './trust.ts';

/** After a third signal, work that still does not end is left to the guard process. */
const killPatienceMs = 8000;

/**
 * Carries out what a command line asks for: everything is read and checked first; then the directory of the run is made or taken up, the server
 * starts, the tasks run, and of the server all is gone again.
 */
export async function carryOut(given: Terminal, request: BatchRequest): Promise<ExitCode> {
  const reporters = reportersOf(request.flags);
  const terminal = reporters.output === 'github' ? noticesWithoutCommands(given) : given;
  const plan = await planBatch(terminal, request);
  if (request.flags.dryRun) return previewBatch(terminal, plan);
  await noteUnfinished(terminal, plan);
  let started = false;
  using progress = createProgress(terminal, { total: plan.tasks.length });
  using signals = listenForStop({ terminal, onStep: (step) => progress.note(started ? stepNotes[step] : 'Stopping.') });
  const startedAt = performance.now();
  const late: { workspaces?: RunWorkspaces | undefined } = {};
  await using prepared = await prepareRun(withPlaces(plan, late, progress)).catch((error: unknown) => {
    throw explainKept(error, request);
  });
  if (prepared.path !== undefined) terminal.streams.keepLog?.(join(prepared.path, 'manager.log'));
  const { flags, resumed } = request;
  using out = flags.out === undefined ? undefined : openOutputFile(flags.out, outputMode(flags));
  using junit = openJunitOutput(reporters);
  await using workspaces = plan.workspaces && workspacesOf(plan, prepared, progress);
  late.workspaces = workspaces;
  const settled = prepared.plan.filter(({ decision }) => decision === 'reuse' || decision === 'skip');
  progress.expects(prepared.counts.total, settled.length);
  const { output } = reporters;
  const context: BatchContext = { terminal, plan, prepared, workspaces, out, output, junit, progress, signals, startedAt };
  try {
    // What a killed manager left is taken when nothing of it works there any more: then its server is gone.
    if (!resumed) await workspaces?.open();
    if (prepared.isDone) return await concludeNothing(context);
    const { manager, support } = await startManager(context);
    started = true;
    return await runOn(manager, support, context);
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

/** A new run does not go on with an old one; who did not mean that is told. */
async function noteUnfinished(terminal: Terminal, { request, options }: BatchPlan): Promise<void> {
  if (request.resumed || request.file === undefined || request.file === '-') return;
  const left = await newestUnfinished(options.directory).catch(() => undefined);
  if (!left?.run || left.holder !== undefined || left.run.source !== resolve(request.file)) return;
  terminal.notice(printable(`An unfinished run of this file is there: ${left.name}. To go on with it: ocm resume ${left.name}`));
}

/** Tasks that came by standard input are in the run alone, and there without what they held of secrets. */
function explainKept(error: unknown, { file, resumed }: BatchRequest): unknown {
  if (!resumed || file !== '-' || !isManagerError(error, 'TASKS_CHANGED')) return error;
  const message = `${error.message} These tasks came by standard input, and secrets in them were not kept: one that held any cannot be taken up.`;
  return new OpencodeManagerError('TASKS_CHANGED', message, { details: error.details });
}

/** Workspaces lie in the directory of the run, which is not there yet. */
function withPlaces(plan: BatchPlan, late: { readonly workspaces?: RunWorkspaces | undefined }, progress: Progress): BatchPlan['options'] {
  const options = { ...plan.options, onNote: (note: string) => progress.note(printable(note)) };
  if (!plan.workspaces) return options;
  const { mode } = plan.workspaces;
  return {
    ...options,
    pool: {
      ...options.pool,
      workspace: mode,
      workspaces: {
        acquire: (key, request) => late.workspaces!.source.acquire(key, request),
        reopen: (key, request) => late.workspaces!.source.reopen!(key, request),
      },
    },
    changesOf: async ({ key, attempt, task }) => {
      const directory = task.directory ?? options.directory;
      return (await late.workspaces?.changesOf({ key, attempt, directory, mode: task.workspace as WorkspaceMode | undefined })) ?? null;
    },
  };
}

function workspacesOf({ workspaces, places, request: { flags } }: BatchPlan, { id, path }: PreparedRun, progress: Progress): RunWorkspaces {
  return runWorkspaces({
    plan: workspaces!,
    ...(path !== undefined && { place: { id, path, isNamed: typeof flags.runDir === 'string' } }),
    baseOf: places.baseOf,
    onNote: (line) => progress.note(printable(line)),
  });
}

async function startManager({ terminal, plan, prepared, progress, signals }: BatchContext) {
  const { request, config } = plan;
  progress.note('Starting an isolated opencode server ...');
  const support = request.flags.playground ? supportPages('ocm run', () => prepared.path) : undefined;
  const { server, ...pool } = prepared.pool;
  const manager = await openManager({
    config: { ...config, ...server },
    pool: { ...pool, ...support?.pool },
    ...(support && { pages: support.pages }),
    signals,
    redactor: terminal.redactor,
    onSocketError: ({ code }) =>
      progress.note(`The socket of this run cannot be opened (${code}): ocm sessions, events and the like will not reach it.`),
    onReaped: (line) => progress.note(line),
  });
  return { manager, support };
}

async function runOn(manager: Manager, support: PageSupport | undefined, context: BatchContext): Promise<ExitCode> {
  const { server, pool } = manager;
  const { terminal, plan, prepared, workspaces, progress, signals } = context;
  const { flags } = plan.request;
  const started = Promise.withResolvers<Run>();
  const assertUsd = (usd: number) => assertPriced(server, pricedPlan(context), usd);
  manager.runs.add({ id: prepared.id, path: prepared.path, started: started.promise, assertUsd });
  const parts = await knownParts(server);
  const note = (line: string) => progress.note(line);
  if (flags.json) terminal.record({ ...launchRecord(manager, parts), run: prepared.id, run_dir: prepared.path ?? null });
  else note(`opencode ${server.version} on ${server.url}, manager ${process.pid}, ${placeOf(prepared, server.stateDir)}`);
  const listener = { notice: note, ...(flags.json && { record: (record: object) => terminal.record(record) }) };
  noteShared(manager, context);
  notePlan(context);
  tellParts(server, parts, listener);
  tellServers(pool, listener);
  const pageContext = { terminal, title: 'ocm run', json: flags.json === true, note, runPath: prepared.path };
  await using page = await openPage(manager, support, flags, pageContext);
  let stopping: Promise<StopReport | OpencodeManagerError> | undefined;
  const stop = () => (stopping ??= stopManager(manager, signals));
  const followed = await executeRun(manager, context, { stop, started });
  const report = await stop();
  const stateDeleted = !existsSync(server.stateDir);
  const stopped = isManagerError(report) ? report : { ...report, stateDeleted };
  const kept = (await workspaces?.close()) ?? [];
  const exitCode = await conclude(context, { followed, kept, stopped });
  await keepPage(page, signals, { ...pageContext, note: terminal.notice });
  return exitCode;
}

function placeOf({ path }: PreparedRun, stateDir: string): string {
  return path === undefined ? `state ${stateDir}` : `run ${printable(path)}`;
}

function noteShared({ server, pool }: Manager, { plan: { request, tasks }, progress }: BatchContext): void {
  const shared = sharedDirectory(request.flags, tasks, server.directory);
  if (shared === undefined || pool.snapshot().maxSessions < 2) return;
  progress.note(
    printable(`Several tasks work in ${shared} at once and see each other's changes. To give each a place of its own: --workspace clone`),
  );
}

/** What becomes of the tasks of a run that is taken up, in one line. */
function notePlan({ plan: { request }, prepared, progress }: BatchContext): void {
  if (!request.resumed) return;
  const words = { reuse: 'done before', new: 'new', run: 'to run', look: 'to look at first', skip: 'left as they are', drop: 'dropped' };
  const counts = Object.entries(words).map(([decision, name]) => ({
    name,
    count: prepared.plan.filter((line) => line.decision === decision).length,
  }));
  const told = counts.filter(({ count }) => count > 0).map(({ name, count }) => `${count} ${name}`);
  progress.note(`Going on with ${plural(prepared.plan.length, 'task')}: ${told.join(', ')}.`);
}

/** Never throws: whatever happens after the launch, what has run so far is told, and the last record says `done`. */
async function executeRun(
  manager: Manager,
  context: BatchContext,
  { stop, started }: { readonly stop: () => Promise<unknown>; readonly started: PromiseWithResolvers<Run> },
): Promise<FollowedRun> {
  const { terminal, plan, prepared, progress, out, output, junit, workspaces } = context;
  const { server, pool } = manager;
  let run: Run;
  try {
    if (plan.request.resumed) await workspaces?.open();
    await refuseUntrustedDirectories(server, plan.tasks);
    for (const line of server.notes()) progress.note(printable(line));
    const withoutCommands = !plan.tasks.some(({ command }) => command !== undefined);
    const catalogue = await server.catalogue(server.directory, { withoutCommands });
    refuseUnknownNames(catalogue, plan.tasks, plan.settings);
    await assertPriced(server, pricedPlan(context));
    if (prepared.path !== undefined) await plan.places.pin(prepared.id);
    run = await prepared.start({ pool, stop });
    started.resolve(run);
  } catch (error) {
    started.reject(error);
    const { gaps, restarts, serverRestarts } = pool.snapshot();
    return { summary: undefined, tally: new Tally(), failure: toManagerError(error), pool: { gaps, restarts, serverRestarts } };
  }
  const reporter = createReporter({ terminal, progress, output, single: prepared.counts.total === 1, out, junit });
  return followRun({ run, manager, reporter, context });
}

/** A plan in the terms in which its limit in US dollars is looked at. */
function pricedPlan({ plan: { request, tasks, settings } }: BatchContext): PricedPlan {
  return { tasks, settings, flags: request.flags };
}

/** A run that is done already: nothing is started. */
async function concludeNothing(context: BatchContext): Promise<ExitCode> {
  const run = await context.prepared.finish();
  const tally = new Tally();
  for (const { key, decision, outcome, why } of run.plan)
    if (decision === 'skip') tally.fail({ id: key, outcome: outcome ?? 'skipped', reason: why });
  const followed = { summary: await run.ended, tally, failure: undefined, pool: { gaps: 0, restarts: 0, serverRestarts: 0 } };
  // No workspace was opened, so where patches lie is not known here.
  return conclude({ ...context, workspaces: undefined }, { followed, kept: [], stopped: undefined });
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
  await new Promise((done) => setTimeout(done, killPatienceMs).unref());
  throw new OpencodeManagerError(
    'SERVER_STOP_INCOMPLETE',
    'The server was killed and its end was not confirmed in time; its guard process cleans up. Check with: ocm doctor',
  );
}
