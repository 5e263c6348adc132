import { readFileSync } from 'node:fs';
import { behaviours } from '../opencode/behaviour.ts';
import type { RunProfile } from '../runs/draw.ts';
import { drawRunPlan, drawSmallRun } from '../runs/draw.ts';
import { runKindOf } from '../runs/oracle.ts';
import type { RunPlan } from '../runs/plan.ts';
import { tryPositions } from '../runs/positions.ts';
import type { RunReport } from '../runs/run-world.ts';
import { shrinkRun } from '../runs/shrink.ts';
import { runCrowd, seedsFrom, tryMutants } from './crowd.ts';
import { allRunMutants, namedRunMutants } from './run-mutants.ts';
import { runRunInNode } from './run-runs-in-node.ts';
import { print, showTable, type SimulateOptions } from './simulate.ts';

export interface SimulateRunsOptions extends Pick<
  SimulateOptions,
  'seeds' | 'from' | 'protocol' | 'trace' | 'table' | 'mutants' | 'mutant'
> {
  readonly profile: RunProfile | undefined;
  /** File of a plan. */
  readonly plan: string | undefined;
  /** Small runs, each killed at every position of its journal. */
  readonly positions: boolean;
  readonly everyStage: boolean;
}

/** `simulate --runs`. Gives the exit code. */
export async function simulateRuns(options: SimulateRunsOptions): Promise<number> {
  const { from, seeds, profile, protocol, table, plan, positions, everyStage, trace } = options;
  if (plan !== undefined) return show(await runRunInNode(JSON.parse(readFileSync(plan, 'utf8')) as RunPlan));
  if (options.mutants || options.mutant !== undefined) return showMutants(options);
  if (trace) return showEach(options);
  const beganAt = performance.now();
  const worlds = positions ? 'positions' : 'runs';
  const report = await runCrowd({ worlds, seeds: seedsFrom(from, seeds), profile, protocol, everyStage, untilFailure: !table });
  const perSecond = report.worlds / ((performance.now() - beganAt) / 1000);
  print(
    `${report.worlds} ${positions ? 'runs at every position' : 'worlds of runs'}, ${report.failures.length} failed, ${perSecond.toFixed(1)} a second`,
  );
  for (const seed of report.different) print(`Seed ${seed} gave two histories.`);
  if (table) showTable(report);
  const [first] = report.failures;
  if (!table && first) return showShrunk(positions ? await brokenPlan(first.seed, options) : drawRunPlan(first.seed, options));
  return report.failures.length + report.different.length > 0 ? 1 : 0;
}

async function showEach({ from, seeds, positions, ...wanted }: SimulateRunsOptions): Promise<number> {
  let status = 0;
  for (const seed of seedsFrom(from, seeds))
    status = Math.max(status, show(await runRunInNode(positions ? drawSmallRun(seed, wanted) : drawRunPlan(seed, wanted))));
  return status;
}

async function brokenPlan(seed: number, { everyStage, ...wanted }: SimulateRunsOptions): Promise<RunPlan> {
  const { broken } = await tryPositions(drawSmallRun(seed, wanted), runRunInNode, { everyStage });
  return broken ?? drawSmallRun(seed, wanted);
}

function show({ plan, history, violations, digest }: RunReport): number {
  print(`opencode ${behaviours[plan.protocol].version} (protocol ${plan.protocol})`);
  print(history.join('\n'));
  if (violations.length === 0) print(`No promise was broken (${digest}).`);
  for (const { rule, text } of violations) print(`${rule}: ${text}`);
  return violations.length > 0 ? 1 : 0;
}

async function showShrunk(plan: RunPlan): Promise<number> {
  const { violations } = await runRunInNode(plan);
  // What differs from the run without a kill breaks no promise of its own.
  if (!violations[0]) return show(await runRunInNode(plan)) || 1;
  const kind = runKindOf(violations[0]);
  print(`Seed ${plan.seed} (${plan.profile}, ${plan.protocol}) breaks a promise: ${kind}\nIt is made smaller.`);
  const least = await shrinkRun(plan, async (one) => (await runRunInNode(one)).violations.some((found) => runKindOf(found) === kind));
  print(`The plan, for --runs --plan FILE:\n${JSON.stringify(least)}`);
  return show(await runRunInNode(least));
}

/** The named ones; with a text, every one whose name has it. */
async function showMutants({ from, seeds, profile, protocol, mutant: wanted }: SimulateRunsOptions): Promise<number> {
  const mutants = allRunMutants()
    .map(({ name }, number) => ({ name, number, seeds: seedsFrom(from, seeds) }))
    .filter(({ name, number }) => (wanted === undefined ? number < namedRunMutants : name.includes(wanted)));
  let found = 0;
  await tryMutants(mutants, { worlds: 'runs', profile, protocol }, (index, failure) => {
    if (failure) found += 1;
    print(`${failure ? 'found   ' : 'survived'}  ${mutants[index]!.name}${failure ? `: seed ${failure.seed}, ${failure.kinds[0]}` : ''}`);
  });
  print(`${found} of ${mutants.length} found, ${mutants.length - found} survived.`);
  return found < mutants.length ? 1 : 0;
}
