import { existsSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import type { SessionPoolOptions } from '@opencode-manager/actors';
import { OpencodeManagerError, type ServerConfig } from '@opencode-manager/core';
import { readTaskLines, runLayout, type ResumeOptions, type RunOptions, type RunTaskSpec, type TaskLine } from '@opencode-manager/runs';
import { buildServerConfig, readPrices, taskLimits, turnSettings, withModels, type TurnSettings } from '../options/index.ts';
import { checkPageFlags } from '../playground/index.ts';
import type { NamedTask } from '../task-file/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { planWorkspaces, type WorkspacePlan } from '../workspaces/index.ts';
import { collectTasks } from './collect.ts';
import { readPlaces, type Places } from './identity.ts';
import { outputMode, refuseSharedOutputs } from './output-checks.ts';
import { factsOf, fallbackIn, runSettings, type BatchRequest } from './request.ts';
import { selectTasks } from './select.ts';

/** What a request comes to, before anything is made or started. */
export interface BatchPlan {
  readonly request: BatchRequest;
  readonly tasks: readonly NamedTask[];
  readonly settings: TurnSettings & Pick<SessionPoolOptions, 'taskLimits' | 'prices'>;
  readonly config: ServerConfig;
  /** Absent when every task works in its directory itself. */
  readonly workspaces: WorkspacePlan | undefined;
  readonly places: Places;
  /** For the run, but for what is known when it is started. */
  readonly options: RunOptions | ResumeOptions;
}

/** Reads and checks all that a command line names. @throws OpencodeManagerError of whatever is wrong, before anything is made */
export async function planBatch(terminal: Terminal, request: BatchRequest): Promise<BatchPlan> {
  const { file, flags, resumed, baseDirectory } = request;
  checkPageFlags(flags);
  outputMode(flags);
  refuseSharedOutputs(terminal, file, flags);
  const prices = flags.prices === undefined ? undefined : await readPrices(flags.prices);
  const settings = { ...(await turnSettings(flags)), taskLimits: taskLimits(flags), ...(prices && { prices }) };
  const given = await buildServerConfig(flags);
  const all = await tasksOf(terminal, request);
  const tasks = selectTasks(all, flags);
  const fallback = fallbackIn(flags.onQuota);
  const config = await withModels(given, tasks, { ...settings, ...(fallback !== undefined && { fallback }) });
  const directory = resolve(config.directory ?? baseDirectory);
  const places = await readPlaces({ tasks, flags, directory, baseCommits: resumed?.run.base_commits ?? {} });
  const workspaces = planWorkspaces(flags, tasks, directory, resumed !== undefined);
  const plan = { request, tasks, settings, config, workspaces, places };
  return { ...plan, options: optionsOf(plan, directory) };
}

export interface SubmittedTasks extends Pick<BatchPlan, 'request' | 'tasks' | 'settings' | 'config'> {
  /** Of the process that has submitted them. */
  readonly argv: readonly string[];
}

/** The same of tasks that another process has read and checked, for a server that runs already. */
export async function planTasks({ request, tasks, settings, config, argv }: SubmittedTasks) {
  const { flags, baseDirectory } = request;
  const directory = resolve(flags.directory ?? baseDirectory);
  const places = await readPlaces({ tasks, flags, directory, baseCommits: {} });
  const options = optionsOf({ request, tasks, settings, config, workspaces: undefined, places }, directory) as RunOptions;
  return { settings, places, options: { ...options, facts: { ...options.facts, argv: [...argv] } } };
}

/** Tasks that came by standard input are in the run alone. */
async function tasksOf(terminal: Terminal, { file, flags, baseDirectory, resumed }: BatchRequest): Promise<readonly NamedTask[]> {
  if (resumed && file !== undefined && file !== '-') refuseMoved(file);
  if (!resumed || file !== '-') return collectTasks(terminal, file, flags, baseDirectory);
  const lines = await readTaskLines(runLayout(resumed.path).tasks);
  refuseRedacted(lines);
  // A task that was changed stands there again, and one that is repeated once for each time.
  const newest = new Map(lines.map(({ key, task }) => [(task as unknown as RunTaskSpec).id ?? key, task as unknown as RunTaskSpec]));
  return [...newest].map(([id, task]) => Object.assign({}, task, { id }));
}

function refuseMoved(file: string): void {
  if (existsSync(file)) return;
  throw new OpencodeManagerError(
    'USAGE',
    `${file}, the task file of this run, is not there. If it has moved: ocm resume RUN --tasks FILE.`,
  );
}

/** Standard input cannot be read again, and what it held of secrets was not kept. */
function refuseRedacted(lines: readonly TaskLine[]): void {
  const key = lines.find(({ task }) => JSON.stringify(task).includes('[redacted]'))?.key;
  if (key === undefined) return;
  const message = `Task ${key} came by standard input and held a secret, which was not kept: it cannot be run again. Begin a new run.`;
  throw new OpencodeManagerError('TASKS_CHANGED', message, { details: { keys: [key] } });
}

function optionsOf(plan: Omit<BatchPlan, 'options'>, directory: string): RunOptions | ResumeOptions {
  const { request, tasks, settings, config, places } = plan;
  const { flags, resumed, file } = request;
  const { maxSessions, ...pool } = settings;
  const { directory: _directory, deleteStateOnExit: _delete, ...server } = config;
  const decided = runSettings(flags, maxSessions);
  const common = {
    tasks,
    directory,
    server,
    pool,
    settings: decided,
    workspaceOf: places.workspaceOf,
    ...(flags.transcripts === false && { transcripts: false }),
  };
  if (resumed) return { ...common, ...resumed.policy, run: resumed.path };
  return {
    ...common,
    title: file === undefined || file === '-' ? '' : basename(file, extname(file)),
    ...keeping(request),
    facts: { ...factsOf(request, decided), git: places.git, base_commits: { ...places.baseCommits } },
  };
}

/** Prompts on the command line leave no directory, unless one is named. */
function keeping({ file, flags: { runDir, root } }: BatchRequest): Pick<RunOptions, 'runDir' | 'runsIn'> {
  if (runDir !== undefined) return { runDir };
  if (file === undefined) return { runDir: false };
  return root === undefined ? {} : { runsIn: resolve(root) };
}
