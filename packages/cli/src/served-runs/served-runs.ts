import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { OpencodeManagerError, type OpencodeServer, type ServerConfig } from '@opencode-manager/core';
import { prepareRun, type Run } from '@opencode-manager/runs';
import { assertPriced, planTasks, refuseUntrustedDirectories, type BatchRequest } from '../batch/index.ts';
import type { Manager } from '../manager/index.ts';
import type { GivenTo, StartedRun } from '../manager-socket/index.ts';
import { refuseUnknownNames, turnSettings } from '../options/index.ts';
import type { RunFlags, ServeFlags } from '../flags.ts';
import type { NamedTask } from '../task-file/index.ts';

type StartRequest = GivenTo<'startRun'>;

export interface ServedRunsOptions {
  /** Of the server that all of them share. */
  readonly config: ServerConfig;
  /** That the server was started with: a resume starts one like it. */
  readonly flags: ServeFlags;
  /** Hears what went wrong beside the tasks, in sentences. */
  readonly note: (line: string) => void;
}

/** The runs that clients have submitted to `ocm serve`. They share its server and its pool. */
export class ServedRuns {
  readonly #options: ServedRunsOptions;
  readonly #runs = new Set<Run>();
  #isDraining = false;

  constructor(options: ServedRunsOptions) {
    this.#options = options;
  }

  /**
   * Begins a run in a directory of its own, beside the repository of its tasks.
   * @throws OpencodeManagerError `RUN_UNSUITED` for what this server cannot have; as `prepareRun`, and as the checks before a run
   */
  async start({ pool, runs }: Manager, request: StartRequest): Promise<StartedRun> {
    if (this.#isDraining) throw new OpencodeManagerError('POOL_STOPPED', `The manager ${process.pid} is stopping and takes no more runs.`);
    const { server } = pool;
    const tasks = request.tasks as unknown as readonly NamedTask[];
    await refuseOtherPlaces(server, request, tasks);
    await refuseUntrustedDirectories(server, tasks);
    const plan = await this.#plan(request, tasks);
    const withoutCommands = !tasks.some(({ command }) => command !== undefined);
    const catalogue = await server.catalogue(server.directory, { withoutCommands });
    refuseUnknownNames(catalogue, tasks, plan.settings);
    const priced = { tasks, flags: request.flags as RunFlags, settings: plan.settings };
    await assertPriced(server, priced);
    const { concurrency = pool.snapshot().maxSessions } = plan.options.settings ?? {};
    const settings = { ...plan.options.settings, concurrency };
    await using prepared = await prepareRun({ ...plan.options, settings, onNote: this.#options.note });
    if (prepared.path !== undefined) await plan.places.pin(prepared.id);
    const run = await prepared.start({ pool, sharesPool: true, stop: async () => {} });
    const assertUsd = (usd: number) => assertPriced(server, priced, usd);
    runs.add({ id: run.id, path: run.path, started: Promise.resolve(run), assertUsd });
    this.#runs.add(run);
    void run.ended.finally(() => this.#runs.delete(run)).catch(() => undefined);
    return { run: run.id, run_dir: run.path ?? null, pid: process.pid, total: prepared.counts.total, concurrency };
  }

  /** The request as a command line would be that starts a server like this one, so that a resume can. */
  async #plan({ source, base_directory: baseDirectory, directory, argv, flags: given }: StartRequest, tasks: readonly NamedTask[]) {
    const { config, flags: served } = this.#options;
    const { concurrency: _concurrency, ...own } = served;
    const flags = { ...own, ...(given as RunFlags), directory };
    const request: BatchRequest = { file: source ?? undefined, flags, baseDirectory, resumed: undefined };
    const settings = await turnSettings(flags);
    return planTasks({ request, tasks, settings, config, argv });
  }

  /** Starts nothing more, and resolves when what runs has ended. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const run of this.#runs) run.drain();
    await Promise.allSettled([...this.#runs].map(({ ended }) => ended));
  }

  /** Ends what runs; resolves when its ends are written. */
  async abort(): Promise<void> {
    this.#isDraining = true;
    for (const run of this.#runs) run.abort('The server that carries out the run was stopped.');
    await Promise.allSettled([...this.#runs].map(({ ended }) => ended));
  }
}

/** A server is for one tree of directories: what lies elsewhere has another configuration, and another owner may have started it. */
async function refuseOtherPlaces(server: OpencodeServer, { directory }: StartRequest, tasks: readonly NamedTask[]): Promise<void> {
  await refuseOutside(server, directory, 'The run works in');
  const own = new Map(tasks.flatMap((task) => (task.directory === undefined ? [] : [[task.directory, task.id] as const])));
  for (const [place, id] of own) await refuseOutside(server, resolve(directory, place), `Task ${id} works in`);
  const placed = tasks.find(({ workspace = 'shared' }) => workspace !== 'shared');
  if (placed)
    throw unsuited(`Task ${placed.id} asks for a workspace of its own (${placed.workspace}), which runs on a server do not have yet`);
}

async function refuseOutside({ directory: top }: OpencodeServer, directory: string, what: string): Promise<void> {
  const [from, to] = await Promise.all([top, directory].map((path) => realpath(path).catch(() => path)));
  const path = relative(from!, to!);
  if (path !== '..' && !path.startsWith('../') && !isAbsolute(path)) return;
  throw unsuited(`${what} ${directory}, and this server is for ${top}`);
}

function unsuited(why: string): OpencodeManagerError {
  return new OpencodeManagerError('RUN_UNSUITED', `${why}. Run it on a server of its own: leave --on out. Nothing was started.`);
}
