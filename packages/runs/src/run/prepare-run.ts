import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findBinary, readOpencodeConfig, type ServerConfig } from '@opencode-manager/core';
import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { learnConfig, Redactor } from '@opencode-manager/core/secrets';
import { runLayout } from '../directory/layout.ts';
import { createRunDirectory, openRunDirectory } from '../directory/run-directory.ts';
import { readRunFile, type RunFile } from '../directory/run-file.ts';
import { directoryDigest } from '../identity/directory-digest.ts';
import { configurationDigest } from '../identity/task-hash.ts';
import { countPlan, foldJournal, noHistory, planResume, usualOf, type ResumePlan, type RunHistory } from '../machine/index.ts';
import { OutputSchemas, type OutputCheck } from '../output/output-schema.ts';
import { JournalReader } from '../read/journal-reader.ts';
import { AttemptNames } from './attempt-names.ts';
import { modelsOf, refuseNamelessFallback, refuseUnknownFallback } from './models.ts';
import { Redaction } from './redaction.ts';
import { RunHost, type RunHostOptions } from './run-host.ts';
import { finishedRun, openedRun } from './opened-run.ts';
import { identifyTasks, sourceTask, taskLine, type IdentifiedTask } from './source-tasks.ts';
import { directoryStore, memoryStore, type RunStore } from './store.ts';
import { systemPorts } from './system-ports.ts';
import type { PreparedRun, ResumeOptions, Run, RunOptions, RunPreview, RunTaskSpec, StartOptions } from './types.ts';

/** What is known of a run before anything is made or started. */
export interface Prepared {
  readonly plan: ResumePlan;
  readonly identified: readonly IdentifiedTask[];
  /** By key: of tasks with an output schema. */
  readonly outputs: ReadonlyMap<string, OutputCheck>;
  readonly configuration: string;
  readonly versions: RunFile['versions'];
}

/**
 * Says what would become of each task, of a new run or of one that is there, and changes nothing.
 * @throws OpencodeManagerError `RUN_UNREADABLE`, `TASKS_CHANGED`, and as {@link prepareRun}
 * @public
 */
export async function previewRun(options: RunOptions | ResumeOptions): Promise<RunPreview> {
  if (!isResume(options)) return previewOf((await planRun(options, noHistory)).plan);
  using journal = new JournalReader(runLayout(options.run).journal);
  return previewOf((await planRun(options, journal.history())).plan);
}

/**
 * Reads and checks everything, makes the directory of a new run or takes up that of an old one, and starts nothing: for programs that have a
 * pool of their own. `start` begins.
 * @throws OpencodeManagerError `TASK_DUPLICATE`, `TASK_INVALID`, `OUTPUT_SCHEMA_INVALID`, `TASK_ORDER_INVALID`, `RUN_DIRECTORY_UNSAFE`, `RUN_EXISTS`,
 * `RUN_STORAGE_FULL`; of a run that is there: `RUN_UNREADABLE`, `RUN_LOCKED`, `RUN_PROTOCOL`, `TASKS_CHANGED`
 * @public
 */
export async function prepareRun(options: RunOptions | ResumeOptions): Promise<PreparedRun> {
  const redaction = new Redaction();
  if (!isResume(options)) {
    const prepared = await planRun(options, noHistory);
    return preparedRun(options, prepared, await newStore(options, prepared, redaction), redaction);
  }
  const { run, takeOver } = options;
  const store = directoryStore(await openRunDirectory(run, { redact: redaction.apply, ...(takeOver && { takeOver }) }));
  try {
    return preparedRun(options, await planRun(options, foldJournal(store.rows())), store, redaction);
  } catch (error) {
    await store.close();
    throw error;
  }
}

function isResume(options: RunOptions | ResumeOptions): options is ResumeOptions {
  return 'run' in options;
}

/** Everything that can be wrong with what was given is found here. */
export async function planRun(options: RunOptions | ResumeOptions, history: RunHistory): Promise<Prepared> {
  if (options.settings?.onInterrupted === 'continue')
    throw new OpencodeManagerError('CONFIG_INVALID', "settings.onInterrupted: 'continue' is not there yet; use 'retry' or 'fail'.");
  refuseNamelessFallback(options.settings ?? {});
  const { directory, server } = options;
  const configuration = await digestOfConfiguration({ ...server, directory });
  const identified = await identifyTasks({ ...options, configuration });
  const outputs = outputsOf(identified);
  const { changed, retryErrors, redo }: Partial<ResumeOptions> = isResume(options) ? options : {};
  const margin = options.settings?.quota?.marginMs;
  const policy = {
    ...(changed && { changed }),
    ...(retryErrors && { retryErrors }),
    ...(redo && { redo }),
    ...(margin !== undefined && { quotaMarginMs: margin }),
  };
  const planned = planResume(
    history,
    identified.map((task) => sourceTask(task, options.pool)),
    policy,
  );
  if (planned.refusal) throw OpencodeManagerError.from(planned.refusal);
  const { version, protocol } = await findBinary(server.binary === undefined ? {} : { binary: server.binary });
  if (isResume(options)) await compareVersions(options, { opencode: version, protocol });
  return {
    plan: planned.plan,
    identified,
    outputs,
    configuration,
    versions: { manager: managerVersion(), opencode: version, protocol, node: process.versions.node },
  };
}

/** Another version is told of. The sessions of one protocol are nothing to the other. @throws `RUN_PROTOCOL` */
async function compareVersions(
  { run, onNote }: ResumeOptions,
  now: { readonly opencode: string; readonly protocol: string },
): Promise<void> {
  const { versions: begun } = await readRunFile(runLayout(run).runFile);
  if (begun.protocol !== now.protocol) {
    throw new OpencodeManagerError(
      'RUN_PROTOCOL',
      `${run}: the run was begun with opencode ${begun.opencode} (protocol ${begun.protocol}), and the binary now is ${now.opencode} (protocol ${now.protocol}). Name a binary of the first with --binary or OPENCODE_BIN, or begin a new run. Nothing was started.`,
      { details: { begun, now } },
    );
  }
  if (begun.opencode !== now.opencode) onNote?.(`The run was begun with opencode ${begun.opencode}, and goes on with ${now.opencode}.`);
}

/** @throws `OUTPUT_SCHEMA_INVALID`, `TASK_INVALID` for a shell line with one: no model is asked that could correct it */
export function outputsOf(tasks: readonly IdentifiedTask[]): ReadonlyMap<string, OutputCheck> {
  const schemas = new OutputSchemas();
  const outputs = new Map<string, OutputCheck>();
  for (const { key, task } of tasks) {
    if (task.outputSchema === undefined) continue;
    if (task.shell !== undefined)
      throw new OpencodeManagerError('TASK_INVALID', `Task ${key}: output_schema: goes with a prompt or a command. Nothing was sent.`);
    outputs.set(key, schemas.checkFor(key, task.outputSchema));
  }
  return outputs;
}

/**
 * A digest of all of opencode's configuration that can change an answer: no credential, which may be another one each day.
 * @public
 */
export async function digestOfConfiguration(config: ServerConfig): Promise<string> {
  const given = await readOpencodeConfig(config);
  const redactor = new Redactor();
  learnConfig(redactor, given);
  const { opencodeConfigDir: directory } = config;
  const files = directory === undefined ? {} : { files: await directoryDigest(directory) };
  return configurationDigest({ config: redactor.json(given), ...files });
}

function managerVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function newStore(options: RunOptions, { configuration, versions }: Prepared, redaction: Redaction): Promise<RunStore> {
  const { directory, title, runDir, runsIn, facts, settings = {} } = options;
  if (runDir === false) return memoryStore(title ?? '', redaction.apply);
  const known = { source: null, argv: [], configuration: { settings }, git: null, base_commits: {}, ...facts };
  return directoryStore(
    await createRunDirectory({
      directory,
      facts: { ...known, configuration_digest: configuration, versions },
      redact: redaction.apply,
      beginsLater: true,
      ...(title !== undefined && { title }),
      ...(runDir !== undefined && { runDir }),
      ...(runsIn !== undefined && { runsIn }),
    }),
  );
}

function previewOf(plan: ResumePlan): RunPreview {
  const left = plan.tasks.filter(({ decision }) => decision !== 'reuse' && decision !== 'skip').length;
  const { tokens, usd } = usualOf(plan.samples);
  const expected = plan.samples.length === 0 ? null : { tokens: tokens * left, usd: usd * left };
  return { plan: plan.lines, counts: countPlan(plan), isDone: left === 0, spent: plan.spent, expected };
}

export function preparedRun(options: RunOptions | ResumeOptions, prepared: Prepared, store: RunStore, redaction: Redaction): PreparedRun {
  const { plan } = prepared;
  const preview = previewOf(plan);
  const names = new AttemptNames();
  const { workspaces } = options.pool ?? {};
  let isStarted = false;
  return {
    ...preview,
    id: store.id,
    path: store.path,
    pool: {
      maxRetryWaitMs: longestBackOffMs,
      ...options.pool,
      ...(workspaces && { workspaces: names.counted(workspaces) }),
      server: { ...options.server, directory: options.directory, ...stateOf(options, store) },
      recovery: true,
      repeat: false,
      // The machine of the run decides how often a server may die. One that does not even come up ends the pool, and the run with it.
      restartBudget: { maxRestarts: 6, windowMs: 12_000 },
      ...(options.settings?.concurrency !== undefined && { maxSessions: options.settings.concurrency }),
    },
    start(given) {
      isStarted = true;
      return start(options, prepared, { store, redaction, names }, given);
    },
    finish() {
      isStarted = true;
      return finishedRun(plan, store);
    },
    [Symbol.asyncDispose]: async () => {
      if (!isStarted) await store.discard();
    },
  };
}

async function start(
  options: RunOptions | ResumeOptions,
  { plan, identified, outputs }: Prepared,
  { store, redaction, names }: Pick<RunHostOptions, 'store' | 'redaction' | 'names'>,
  { pool, stop = () => pool.stop(), sharesPool = false }: StartOptions,
): Promise<Run> {
  try {
    redaction.use(pool.server.redactor);
    if (sharesPool) names.prefix = `${store.id} `;
    // Only now are the secrets known that must not stand in a file.
    await store.begin();
    const known = new Set((await store.readTasks()).map(({ key, hash }) => `${key}\0${hash}`));
    const fresh = identified.filter(({ key, hash }) => !known.has(`${key}\0${hash}`));
    await store.addTasks(fresh.map((task) => taskLine(task, plan.generation)));
    const { settings = {}, transcripts = true, onNote = () => {}, changesOf, pool: { taskTimeoutMs, taskLimits: given } = {} } = options;
    const taskLimits = { ...(taskTimeoutMs !== undefined && { timeoutMs: taskTimeoutMs }), ...given };
    const tasks = new Map(identified.map(({ key, task }) => [key, task]));
    const { workspaces, workspace } = options.pool ?? {};
    const hasOwnPlace = (task: RunTaskSpec) => workspaces !== undefined && (task.workspace ?? workspace) !== 'shared';
    await refuseUnknownFallback(pool, settings);
    const models = await modelsOf(tasks, pool, options.pool ?? {});
    const host = new RunHost({
      store,
      pool,
      sharesPool,
      plan,
      settings,
      tasks,
      taskLimits,
      maxRetryWaitMs: options.pool?.maxRetryWaitMs ?? longestBackOffMs,
      outputs,
      models,
      names,
      changesOf,
      hasOwnPlace,
      redaction,
      transcripts,
      onNote,
      ports: systemPorts,
    });
    // The state that the user has named is the user's.
    const ownState = options.server.stateDir === undefined && store.path !== undefined ? join(store.path, 'state') : undefined;
    return openedRun({ host, plan, store, letGo: () => letGo(host, store, stop, ownState) });
  } catch (error) {
    await stop().catch(() => undefined);
    await store.discard();
    throw error;
  }
}

/**
 * A provider that wants to be asked again later than this has no quota left: its turn ends, in milliseconds. A minute, less what is over of
 * it when it is told.
 */
const longestBackOffMs = 55_000;

/** In the directory of the run its state is the run's: of it the database stays until the run is done, whatever becomes of the manager. */
function stateOf({ server }: RunOptions | ResumeOptions, { path }: RunStore): Partial<ServerConfig> {
  if (server.stateDir !== undefined || path === undefined) return {};
  return { stateDir: join(path, 'state'), deleteStateOnExit: 'except-database' };
}

/** How long the end of a run waits at most for the deletion of its last sessions, in milliseconds. */
const sweepMs = 2000;

/** Of the server's state only the database stays, and after the last task nothing. */
async function letGo(host: RunHost, store: RunStore, stop: () => Promise<unknown>, ownState: string | undefined): Promise<void> {
  const { reason } = await host.ended;
  const isStateSpent = reason === 'done' && ownState !== undefined;
  try {
    await host.settled();
    await host.sweep(isStateSpent ? 0 : sweepMs);
    await stop().catch(() => undefined);
    if (isStateSpent) await rm(ownState, { recursive: true, force: true, maxRetries: 3 });
  } finally {
    await store.close();
  }
}
