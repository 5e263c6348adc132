import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { OpencodeManagerError, readOpencodeConfig } from '@opencode-manager/core';
import { openQueue, type Ledger, type QueueClient, type QueuedJob } from '@opencode-manager/queue';
import { identifyRun, isSettled, JournalFold, type IdentifiedRun, type IdentifiedTask, type RunOptions } from '@opencode-manager/runs';
import { newRequest } from '../batch/request.ts';
import { planBatch, type BatchPlan } from '../batch/run-plan.ts';
import type { RunFlags } from '../flags.ts';
import type { Terminal } from '../terminal/index.ts';
import { withSettings } from '../served-runs/with-settings.ts';
import { defaultModelsIn, manifestIn, providerOfTask, sharedFlags, type Manifest, type QueuedTask } from './manifest.ts';
import { QueuedPlaces } from './places.ts';
import { refuseFlagsForQueue, SecretSearch, unsuited } from './refuse.ts';

/** A run that is in a queue. */
export interface SubmittedRun {
  readonly name: string;
  readonly manifest: Manifest;
  /** Tasks in it. */
  readonly total: number;
  /** This call has put it in. */
  readonly isNew: boolean;
  /** Tasks that were put in, or put in again, by this call. */
  readonly added: number;
}

/** @throws OpencodeManagerError `USAGE` */
export function runNameIn(flags: Pick<RunFlags, 'run'>): string {
  const { run = '' } = flags;
  if (/^[A-Za-z][\w.-]{0,63}$/.test(run)) return run;
  throw new OpencodeManagerError(
    'USAGE',
    `--run KEY: ${run === '' ? 'a run of a queue needs a name' : JSON.stringify(run)}; write a letter, then letters, digits, ".", "_" or "-", 64 at most.`,
  );
}

/** Opens the queue of `--queue`. */
export function queueOf({ queue }: { readonly queue?: string }): Promise<QueueClient> {
  if (queue === undefined) throw new OpencodeManagerError('USAGE', 'Name the queue with --queue URL, such as redis://127.0.0.1:6379.');
  return openQueue(queue);
}

/**
 * Puts a file of tasks into a queue, or finds it there: the same call twice puts it in once.
 * @throws OpencodeManagerError `QUEUE_UNSUITED`, `QUEUE_RUN_DIFFERS`, and as the checks before a run
 */
export async function submitToQueue(
  terminal: Terminal,
  client: QueueClient,
  { file, flags: given }: { readonly file: string | undefined; readonly flags: RunFlags },
): Promise<SubmittedRun> {
  const name = runNameIn(given);
  refuseFlagsForQueue(given);
  // Other hosts do not see this directory: without a word, tasks work in clones.
  const flags = { ...given, workspace: given.workspace ?? 'clone' };
  const plan = await planBatch(terminal, newRequest(file, flags));
  const identified = await identifyRun(plan.options);
  const tasks = await queuedTasks(plan, identified.tasks);
  const configuration = await readOpencodeConfig(plan.config);
  const manifest = { ...manifestOf(plan, identified), default_models: defaultModelsIn(configuration) };
  const secrets = new SecretSearch(configuration, flags.passEnv);
  for (const [key, task] of tasks) secrets.refuse(`Task ${key}`, task);
  secrets.refuse('The command line', manifest);
  const texts = new Map([...tasks].map(([key, task]) => [key, JSON.stringify(task)]));
  const isNew = await client.ledger.begin({ name, manifest: JSON.stringify(manifest), tasks: texts, events: identified.events });
  if (!isNew) await refuseOther(client.ledger, name, { manifest, tasks });
  return { name, manifest, total: tasks.size, isNew, added: await addMissing(client, name) };
}

/** A run that is in the queue already. @throws OpencodeManagerError `RUN_UNKNOWN` */
export async function findQueuedRun({ ledger }: Pick<QueueClient, 'ledger'>, name: string): Promise<Manifest> {
  const found = await ledger.run(name);
  if (found) return manifestIn(name, found.manifest);
  const names = await ledger.runs();
  const there = names.length === 0 ? 'It has none.' : `It has: ${names.slice(0, 20).join(', ')}.`;
  throw new OpencodeManagerError('RUN_UNKNOWN', `The queue has no run ${name}. ${there}`, { details: { run: name } });
}

/** Puts in the jobs of all tasks that are not over; those that are there stay as they are. Gives how many tasks are not over. */
export async function addMissing(client: QueueClient, name: string): Promise<number> {
  const { ledger } = client;
  const [found, tasks, submissions] = await Promise.all([ledger.run(name), ledger.tasks(name), ledger.submissions(name)]);
  const manifest = manifestIn(name, found!.manifest);
  const fold = await foldOf(ledger, name);
  const jobs: QueuedJob[] = [];
  for (const record of fold.tasks()) {
    const text = tasks.get(record.key);
    if (text === undefined || isSettled(record)) continue;
    const { task } = JSON.parse(text) as QueuedTask;
    const provider = providerOfTask(task, manifest);
    const submission = submissions[record.key] ?? 1;
    jobs.push({
      run: name,
      key: record.key,
      hash: record.hash,
      submission,
      priority: task.priority ?? 0,
      ...(provider !== undefined && { provider }),
    });
  }
  await client.add(manifest.configuration_digest, jobs);
  return jobs.length;
}

/** What the journal of a run in a queue says by now. */
export async function foldOf(ledger: Ledger, name: string): Promise<JournalFold> {
  const fold = new JournalFold();
  for (;;) {
    const rows = await ledger.rows(name, fold.lastSequence, 500);
    for (const row of rows) fold.add(row);
    if (rows.length === 0) return fold;
  }
}

function manifestOf({ request, options, places }: BatchPlan, { configuration, versions }: IdentifiedRun): Manifest {
  const { file, flags } = request;
  const { directory } = options as RunOptions;
  return {
    schema_version: 1,
    source: file === undefined || file === '-' ? null : resolve(file),
    argv: withoutQueue(process.argv.slice(2)),
    directory,
    configuration_digest: configuration,
    versions,
    git: places.git,
    base_commits: { ...places.baseCommits },
    flags: Object.fromEntries(sharedFlags.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]]))),
  };
}

/** The address of a queue may hold a password. */
function withoutQueue(argv: readonly string[]): string[] {
  return argv.map((word, at) => (argv[at - 1] === '--queue' ? 'QUEUE' : word.replace(/^--queue=.*/s, '--queue=QUEUE')));
}

async function queuedTasks(
  { settings, options, request, places }: BatchPlan,
  identified: readonly IdentifiedTask[],
): Promise<Map<string, QueuedTask>> {
  const queued = new Map<string, QueuedTask>();
  const found = new QueuedPlaces(places);
  const { directory } = options as RunOptions;
  for (const { key, hash, fields, task: given } of identified) {
    if (given.after !== undefined && given.after.length > 0)
      throw unsuited(`Task ${key} comes after ${given.after[0]}, and an order of tasks is not there for queues. Leave "after" out`);
    const mode = given.workspace ?? request.flags.workspace ?? 'clone';
    const place = await found.of(resolve(directory, given.directory ?? '.'), mode, key);
    const { repeat: _repeat, after: _after, directory: _directory, files, ...rest } = given;
    const [task] = withSettings([{ ...rest, id: key, workspace: place.type }], settings, settings.taskLimits ?? {});
    const attached = files && (await Promise.all(files.map((one) => attachment(one, key))));
    queued.set(key, { hash, fields: { ...fields }, place, task: { ...task!, ...(attached && { files: attached }) } });
  }
  return queued;
}

type Attached = NonNullable<IdentifiedTask['task']['files']>[number];

/** Largest file that goes with a task through the queue, in bytes. */
const largestFile = 1_000_000;

/** What a file holds goes with the task: other hosts do not have it. */
async function attachment({ path, url, mime }: Attached, key: string): Promise<Attached> {
  if (path === undefined) return { ...(url !== undefined && { url }), ...(mime !== undefined && { mime }) };
  const { size } = await stat(path);
  if (size > largestFile) throw unsuited(`Task ${key}: files: ${path} has ${size} bytes, and the queue takes up to ${largestFile}`);
  const type = mime ?? 'text/plain';
  return { url: `data:${type};base64,${(await readFile(path)).toString('base64')}`, mime: type };
}

async function refuseOther(
  ledger: Ledger,
  name: string,
  { manifest, tasks }: Pick<SubmittedRun, 'manifest'> & { tasks: ReadonlyMap<string, QueuedTask> },
) {
  const before = await findQueuedRun({ ledger }, name);
  if (before.configuration_digest !== manifest.configuration_digest) throw differs(name, 'another opencode configuration');
  const known = await ledger.tasks(name);
  const differing = [...new Set([...known.keys(), ...tasks.keys()])]
    .toSorted()
    .filter((key) => hashIn(known.get(key)) !== tasks.get(key)?.hash);
  if (differing.length > 0)
    throw differs(name, `other tasks (${differing.slice(0, 10).join(', ')}${differing.length > 10 ? ', ...' : ''})`);
}

function hashIn(text: string | undefined): string | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as QueuedTask).hash;
}

function differs(name: string, what: string): OpencodeManagerError {
  return new OpencodeManagerError(
    'QUEUE_RUN_DIFFERS',
    `The queue has a run ${name} with ${what}. Choose another name with --run, or put the tasks back.`,
  );
}
