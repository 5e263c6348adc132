import type { ProtocolName } from '@opencode-manager/core/protocol';
import { faultKinds } from '../fault-kinds.ts';
import { behaviours } from '../opencode/behaviour.ts';
import { kindOf } from '../oracle/judge.ts';
import { drawPlan, type Profile } from '../plan/draw.ts';
import { shrink } from '../plan/shrink.ts';
import type { Plan } from '../plan/types.ts';
import type { WorldReport } from '../run.ts';
import { runCrowd, seedsFrom, tryMutants, type BatchReport } from './crowd.ts';
import { allMutants, drawMutants, type Mutant } from './mutants.ts';
import { runInNode } from './run-in-node.ts';

export interface SimulateOptions {
  readonly seeds: number;
  readonly from: number;
  readonly profile: Profile | undefined;
  readonly protocol: ProtocolName | undefined;
  /** One plan instead of drawn ones. */
  readonly plan: Plan | undefined;
  /** Prints the history of each world. */
  readonly trace: boolean;
  /** Goes on after a failure, and counts failures and faults by their kind. */
  readonly table: boolean;
  /** The forty that are drawn. */
  readonly mutants: boolean;
  /** One of the forty by its number, or every one whose place has this text. */
  readonly mutant: string | undefined;
}

export const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** The command `pnpm simulate`. Gives the exit code. */
export async function simulate(options: SimulateOptions): Promise<number> {
  if (options.plan) return show(await runInNode(options.plan));
  if (options.mutants || options.mutant !== undefined) return showMutants(options);
  if (options.trace) return trace(options);
  const beganAt = performance.now();
  const { from, seeds, profile, protocol, table } = options;
  const report = await runCrowd({ seeds: seedsFrom(from, seeds), profile, protocol, untilFailure: !table });
  const perSecond = report.worlds / ((performance.now() - beganAt) / 1000);
  print(`${report.worlds} worlds, ${report.failures.length} failed, ${perSecond.toFixed(0)} worlds a second`);
  for (const seed of report.different) print(`Seed ${seed} gave two histories.`);
  if (table) showTable(report);
  else if (report.failures[0]) return showShrunk(await runInNode(drawPlan(report.failures[0].seed, options)));
  return report.failures.length + report.different.length > 0 ? 1 : 0;
}

async function trace({ from, seeds, ...wanted }: SimulateOptions): Promise<number> {
  let status = 0;
  for (let seed = from; seed < from + seeds; seed += 1) status = Math.max(status, show(await runInNode(drawPlan(seed, wanted))));
  return status;
}

/** Failures by kind, the most frequent first; then in how many worlds each fault happened. */
export function showTable({ failures, faults, worlds }: BatchReport): void {
  const seeds = Map.groupBy(
    failures.flatMap(({ seed, kinds }) => kinds.map((kind) => ({ seed, kind }))),
    ({ kind }) => kind,
  );
  const byCount = [...seeds].toSorted(([, a], [, b]) => b.length - a.length);
  for (const [kind, found] of byCount) {
    const first = found.slice(0, 5).map(({ seed }) => seed);
    print(`${String(found.length).padStart(5)}  ${kind}  (seeds ${first.join(', ')})`);
  }
  for (const { id } of faultKinds) print(`${((100 * (faults[id] ?? 0)) / worlds).toFixed(1).padStart(5)} %  ${id}`);
}

function show({ plan, history, violations, digest }: WorldReport): number {
  print(`opencode ${behaviours[plan.protocol].version} (protocol ${plan.protocol})`);
  print(history.join('\n'));
  if (violations.length === 0) print(`No promise was broken (${digest}).`);
  for (const { rule, text } of violations) print(`${rule}: ${text}`);
  return violations.length > 0 ? 1 : 0;
}

/** The smallest world found that breaks the same promise in the same way, its plan and its history. */
async function showShrunk(report: WorldReport): Promise<number> {
  const kind = kindOf(report.violations[0]!);
  print(`Seed ${report.plan.seed} (${report.plan.profile}, ${report.plan.protocol}) breaks a promise: ${kind}\nIt is made smaller.`);
  const least = await shrink(report.plan, async (plan) => (await runInNode(plan)).violations.some((one) => kindOf(one) === kind));
  print(`The plan, for --plan FILE:\n${JSON.stringify(least)}`);
  return show(await runInNode(least));
}

function wantedMutants(wanted: string | undefined): (readonly [label: string, mutant: Mutant])[] {
  const drawn = drawMutants().map((mutant, index) => [String(index + 1), mutant] as const);
  if (wanted === undefined) return drawn;
  if (/^\d+$/.test(wanted)) return drawn.filter(([label]) => label === wanted);
  const all = allMutants().map((mutant) => ['', mutant] as const);
  return all.filter(([, { place }]) => place.includes(wanted));
}

/** A world that never comes to the place of a mutant is as it is without it, and not run again. */
async function showMutants({ from, seeds, profile, protocol, mutant: wanted }: SimulateOptions): Promise<number> {
  const { visited, failures } = await runCrowd({ seeds: seedsFrom(from, seeds), profile, protocol, visits: true });
  const failing = new Set(failures.map(({ seed }) => seed));
  for (const { seed, kinds } of failures) print(`Seed ${seed} fails without a mutant, and is left out: ${kinds[0]}`);
  const inOrder = visited.filter(([seed]) => !failing.has(seed)).toSorted(([a], [b]) => a - b);
  const mutants = wantedMutants(wanted).map(([label, { number, place, reach }]) => {
    const reached = inOrder.filter(([, ids]) => ids.has(reach)).map(([seed]) => seed);
    return { label, number, place, seeds: reached };
  });
  let found = 0;
  await tryMutants(mutants, { profile, protocol }, (index, failure) => {
    const { label, place, seeds: reached } = mutants[index]!;
    if (failure) found += 1;
    const end = failure ? `seed ${failure.seed}, ${failure.kinds[0]}` : `reached in ${reached.length} of ${seeds} worlds`;
    print(`${failure ? 'found   ' : 'survived'}  ${label.padStart(2)}  ${place}: ${end}`);
  });
  print(`${found} of ${mutants.length} found, ${mutants.length - found} survived.`);
  return found < mutants.length ? 1 : 0;
}
