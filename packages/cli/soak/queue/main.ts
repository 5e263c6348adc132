// A run that many hosts carry out, on a real queue, while they are killed, frozen and cut off; see docs/scale-out.md.
//
//   pnpm --filter @opencode-manager/cli soak:queue [--backend redis|postgres] [--tasks N] [--kills N] [--seed S] ...
//
// Exit code 0 when every check held, 1 when one did not, 2 for a bad option.
import { openQueue } from '@opencode-manager/queue';
import { checkHosts, checkJournal, checkModel, checkPatches, checkResults, factsOf, type QueueFacts } from './checks.ts';
import { Hosts } from './hosts.ts';
import { parseOptions, usage, type QueueSoakOptions } from './options.ts';
import { openQueuePlace, type QueuePlace } from './place.ts';
import { strike, type Struck } from './strikes.ts';
import { plannedTasks } from './tasks.ts';

/** A wish of a user reaches every host within this time, in milliseconds. */
const cancelLimitMs = 2000;

const options = optionsOrExit(process.argv.slice(2));
const startedAt = performance.now();
const log = (line: string) => console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${line}`);
process.exitCode = await (options.measures ? measure() : soak());

async function soak(): Promise<number> {
  log(
    `soak of a queue on ${options.backend}, seed ${options.seed}: ${options.tasks} tasks, ${options.workers} workers, ${options.kills} kills`,
  );
  const tasks = plannedTasks(options);
  await using place = await openQueuePlace(options, tasks);
  await using hosts = new Hosts(place, options);
  const { path, struck, problems: ran } = await runAll(place, hosts, true);
  const facts = await factsOf(place, tasks, path);
  const problems = [
    ...ran,
    ...lateCancel(struck),
    ...checkResults(facts),
    ...checkJournal(facts),
    ...checkModel(facts),
    ...(await checkPatches(facts)),
    ...(await hosts.drain()),
    ...(await checkHosts(place)),
  ];
  for (const line of figures(facts, struck)) log(line);
  for (const problem of problems) log(`PROBLEM ${problem}`);
  log(problems.length === 0 ? 'All checks held.' : `${problems.length} checks did not hold.`);
  return problems.length === 0 ? 0 : 1;
}

/** One worker, then three: a model that takes 10 s, ten tasks at once on each. */
async function measure(): Promise<number> {
  const rates: number[] = [];
  for (const workers of [1, 3]) {
    const size = { ...options, workers, tasks: workers * 60, measures: true };
    await using place = await openQueuePlace(size, plannedTasks(size));
    await using hosts = new Hosts(place, size);
    const { tookMs } = await runAll(place, hosts, false, size);
    await hosts.drain();
    rates.push((size.tasks * 60_000) / tookMs);
    log(`${workers} workers: ${size.tasks} tasks in ${(tookMs / 1000).toFixed(1)} s, ${rates.at(-1)!.toFixed(1)} a minute`);
  }
  log(`three workers against one on ${options.backend}: ${(rates[1]! / rates[0]!).toFixed(2)} times`);
  return 0;
}

interface Ran {
  readonly path: string;
  readonly struck: Struck | undefined;
  readonly problems: readonly string[];
  readonly tookMs: number;
}

async function runAll(place: QueuePlace, hosts: Hosts, strikes: boolean, size: QueueSoakOptions = options): Promise<Ran> {
  const run = 'soak';
  await Promise.all(Array.from({ length: size.workers }, () => hosts.start()));
  const begunAt = performance.now();
  const common = ['--queue', place.url, '--run', run];
  const collector = place.ocm(
    'run',
    `${place.root}/tasks.jsonl`,
    ...common,
    '--opencode-config',
    place.configFile,
    '--permissions',
    'allow',
    '--json',
  );
  const launch = await collector.waitForRecord('launch');
  if (!launch) throw new Error(`The collector ended at once: ${collector.stderr}`);
  await using client = await openQueue(place.engine.url);
  const over = new AbortController();
  void collector.exit.then(() => over.abort());
  const striking = { options: size, place, hosts, client, run, over: over.signal, log };
  const struck = strikes ? await strike(striking) : undefined;
  const code = await collector.exit;
  const done = collector.record('done');
  const expected = strikes ? 1 : 0;
  const problems = code === expected ? [] : [`the collector ended with ${code}: ${JSON.stringify(done)} ${collector.stderr.slice(-1000)}`];
  return { path: String(launch['run_dir']), struck, problems, tookMs: performance.now() - begunAt };
}

function lateCancel(struck: Struck | undefined): string[] {
  const { cancelMs = Infinity } = struck ?? {};
  return cancelMs <= cancelLimitMs ? [] : [`a cancel reached the other host after ${cancelMs} ms`];
}

function figures({ rows, results, place }: QueueFacts, struck: Struck | undefined): string[] {
  const count = (type: string) => rows.filter(({ event }) => event.type === type).length;
  const lost = rows.filter(({ event }) => event.type === 'attempt.ended' && event.error?.code === 'LEASE_LOST').length;
  return [
    `${results.filter(({ final }) => final).length} final results of ${count('task.added')} tasks, ${count('attempt.intended')} attempts, ${lost} lost with their hosts, ${count('attempt.superseded')} late ends refused`,
    `${results.filter(({ final, outcome }) => final && outcome === 'succeeded').length} succeeded, ${results.filter(({ final, outcome }) => final && outcome === 'interrupted').length} lost their host four times`,
    `${place.model.calls.length} calls of the model; ${struck?.kills ?? 0} workers killed`,
    `cancel reached another host within ${struck?.cancelMs} ms`,
  ];
}

function optionsOrExit(args: readonly string[]): QueueSoakOptions {
  try {
    return parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\nUsage: ${usage}`);
    return process.exit(2);
  }
}
