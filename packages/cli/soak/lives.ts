import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runLayout } from '@opencode-manager/runs/read';
import { raisedTimeouts, tryEdits } from './edits.ts';
import { Ocm, runOcm, type OcmRecord } from './ocm.ts';
import type { SoakOptions } from './options.ts';
import { plannedLives, type PlannedLife, type PlannedTask } from './plan.ts';
import { taskLines, type Place } from './place.ts';
import { exists } from './files.ts';
import { fillDisk, killServer } from './strikes.ts';

/** A manager of the run, from the start of its process to its end. */
interface Life {
  readonly command: 'run' | 'resume';
  readonly plan: PlannedLife | undefined;
  /** The mark of its server and of all that it started; undefined when it did not come so far. */
  readonly mark: string | undefined;
  readonly exit: number | NodeJS.Signals;
  readonly ocm: Ocm;
  readonly tookMs: number;
  readonly struck: readonly string[];
  /** What `ocm status --json` said of the run meanwhile. */
  readonly told: readonly OcmRecord[];
}

export interface Lived {
  readonly lives: readonly Life[];
  /** Directory of the run. */
  readonly path: string;
  readonly problems: readonly string[];
}

/** So many managers more than planned may be needed: one that a full disk has ended goes on with another. */
const furtherLives = 4;

const statusIntervalMs = 3000;

/** Runs the tasks to their end, one manager after the other. */
export async function live(options: SoakOptions, place: Place, tasks: readonly PlannedTask[]): Promise<Lived> {
  const [lives, problems]: [Life[], string[]] = [[], []];
  const plans: (PlannedLife | undefined)[] = [...plannedLives(options), ...Array.from({ length: furtherLives }, () => undefined)];
  for (const plan of plans) {
    const life = await liveOnce(options, place, await runDirectory(place), plan);
    lives.push(life);
    console.log(storyOf(life, lives.length));
    if (life.ocm.record('done')?.['reason'] === 'done') break;
    const path = await runDirectory(place);
    if (path !== undefined) for (const what of plan?.after ?? []) problems.push(...(await prepare(what, place, path)));
  }
  const done = lives.at(-1)!.ocm.record('done');
  if (options.weather.includes('timeouts') && done) {
    await writeFile(place.taskFile, taskLines(tasks, { raised: true }));
    const life = await liveOnce(options, place, await runDirectory(place), undefined);
    lives.push(life);
    console.log(storyOf(life, lives.length));
    problems.push(...raisedTimeouts(done, life.ocm));
  }
  const path = await runDirectory(place);
  if (path === undefined) throw new Error(`There is no run. ${lives.at(-1)!.ocm.stderr.slice(-2000)}`);
  return { lives, path, problems };
}

function storyOf({ command, exit, ocm, tookMs, struck }: Life, number: number): string {
  const count = (type: string) => ocm.records.filter((record) => record.type === type).length;
  const strikes = struck.length > 0 ? `; ${struck.join(', ')}` : '';
  const reason = ocm.record('done')?.['reason'];
  const done = reason === undefined ? '' : `, ${JSON.stringify(reason)}`;
  const error = typeof exit === 'number' && exit > 0 && reason !== 'done' ? `\n${ocm.stderr.slice(-1500)}` : '';
  const counts = `${count('task.started')} started, ${count('task.finished')} finished`;
  return `manager ${number} (${command}): ${(tookMs / 1000).toFixed(1)} s, ${counts}, exit ${exit}${done}${strikes}${error}`;
}

async function liveOnce(options: SoakOptions, place: Place, path: string | undefined, plan: PlannedLife | undefined): Promise<Life> {
  const startedAt = performance.now();
  const ocm = new Ocm(place, path === undefined ? runArguments(options, place) : ['resume', path, '--json']);
  const over = new AbortController();
  const struck: string[] = [];
  const work = plan ? strike(ocm, plan, place, struck, over.signal) : [];
  const watching = watch(ocm, place, over.signal);
  const exit = await ocm.exit;
  over.abort();
  await Promise.all(work);
  const told = await watching;
  const mark = ocm.record('launch')?.['run_id'] as string | undefined;
  return { command: path === undefined ? 'run' : 'resume', plan, mark, exit, ocm, tookMs: performance.now() - startedAt, struck, told };
}

/** Asks how the run stands, every few seconds. */
async function watch(ocm: Ocm, place: Place, over: AbortSignal): Promise<OcmRecord[]> {
  const told: OcmRecord[] = [];
  const path = (await ocm.waitForRecord('launch'))?.['run_dir'];
  if (typeof path !== 'string') return told;
  while (!ocm.isOver) {
    await pause(statusIntervalMs, undefined, { signal: over }).catch(() => undefined);
    const { records } = await runOcm(place, 'status', path, '--json');
    told.push(...records);
  }
  return told;
}

function runArguments({ concurrency, workspace }: SoakOptions, { taskFile, configFile, out, disk }: Place): string[] {
  const place = disk === undefined ? [] : ['--run-dir', join(disk, 'run')];
  const how = ['--concurrency', String(concurrency), '--permissions', 'allow', '--workspace', workspace];
  return ['run', taskFile, '--opencode-config', configFile, '--out', out, '--append', ...how, ...place, '--json'];
}

/** Everything that happens to one manager, each at its time. */
function strike(ocm: Ocm, plan: PlannedLife, place: Place, struck: string[], over: AbortSignal): Promise<void>[] {
  const at = async (ms: number, from: 'launch' | 'start', act: () => Promise<string | undefined>) => {
    if (from === 'launch' && !(await ocm.waitForRecord('launch'))) return;
    await pause(ms, undefined, { signal: over }).catch(() => undefined);
    if (ocm.isOver) return;
    const what = await act();
    if (what !== undefined) struck.push(what);
  };
  const end = async () => {
    for (const signal of plan.signals) {
      ocm.signal(signal);
      struck.push(signal);
      await pause(1000, undefined, { signal: over }).catch(() => undefined);
    }
    return undefined;
  };
  return [
    at(plan.endMs, plan.endsAfter, end),
    ...plan.serverKillsMs.map((ms) => at(ms, 'launch', () => killServer(ocm.record('launch')!['run_id'] as string))),
    ...(plan.diskFullMs === null || place.disk === undefined ? [] : [at(plan.diskFullMs, 'launch', () => fillDisk(place.disk!))]),
  ];
}

async function prepare(what: PlannedLife['after'][number], place: Place, path: string): Promise<readonly string[]> {
  if (what === 'edits') return tryEdits(place, path);
  const { results, state } = runLayout(path);
  await rm(what === 'lost-results' ? results : state, { force: true });
  console.log(`  ${what}`);
  return [];
}

/** The directory of the run that has begun; undefined before. */
async function runDirectory({ repository, disk }: Place): Promise<string | undefined> {
  const beside = `${repository}.ocm`;
  const names = disk === undefined ? await readdir(beside).catch(() => []) : ['run'];
  const paths = names.map((name) => join(disk ?? beside, name));
  const begun = await Promise.all(paths.map((path) => exists(runLayout(path).runFile)));
  const found = paths.filter((_, index) => begun[index]);
  if (found.length > 1) throw new Error(`There are several runs: ${found.join(', ')}`);
  return found[0];
}
