import { drawPlan, type Profile } from '../plan/draw.ts';
import { kindOf } from '../oracle/judge.ts';
import { shrink } from '../plan/shrink.ts';
import type { Plan } from '../plan/types.ts';
import type { WorldReport } from '../run.ts';
import { runInNode } from './run-in-node.ts';

export interface SimulateOptions {
  readonly seeds: number;
  readonly from: number;
  readonly profile: Profile | undefined;
  /** One plan instead of drawn ones. */
  readonly plan: Plan | undefined;
  /** Prints the history of each world. */
  readonly trace: boolean;
  /** Goes on after a failure, and counts failures by their kind. */
  readonly table: boolean;
  readonly mutants: boolean;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** The command `pnpm simulate`. Gives the exit code. */
export async function simulate(options: SimulateOptions): Promise<number> {
  if (options.plan) return show(await runInNode(options.plan));
  const beganAt = performance.now();
  const kinds = new Map<string, number[]>();
  let failed = 0;
  for (let seed = options.from; seed < options.from + options.seeds; seed += 1) {
    const report = await runInNode(drawPlan(seed, options.profile));
    if (options.trace) print(report.history.join('\n'));
    if (report.violations.length === 0) continue;
    failed += 1;
    if (!options.table) return showShrunk(report);
    for (const kind of new Set(report.violations.map(kindOf))) kinds.set(kind, [...(kinds.get(kind) ?? []), seed]);
  }
  const seconds = (performance.now() - beganAt) / 1000;
  print(`${options.seeds} worlds, ${failed} failed, ${(options.seeds / seconds).toFixed(0)} worlds a second`);
  const byCount = [...kinds].toSorted(([, a], [, b]) => b.length - a.length);
  for (const [kind, seeds] of byCount) print(`${String(seeds.length).padStart(5)}  ${kind}  (seeds ${seeds.slice(0, 5).join(', ')})`);
  return failed > 0 ? 1 : 0;
}

function show({ history, violations, digest }: WorldReport): number {
  print(history.join('\n'));
  print(violations.length === 0 ? `No violation (${digest}).` : '');
  for (const { rule, text } of violations) print(`${rule}: ${text}`);
  return violations.length > 0 ? 1 : 0;
}

/** The smallest world found that breaks the same promise, its plan and its history. */
async function showShrunk(report: WorldReport): Promise<number> {
  const rule = report.violations[0]!.rule;
  print(`Seed ${report.plan.seed} (${report.plan.profile}) fails: ${rule}. It is made smaller.`);
  const least = await shrink(report.plan, async (plan) => (await runInNode(plan)).violations.some((one) => one.rule === rule));
  print(`The plan, for --plan FILE:\n${JSON.stringify(least)}`);
  return show(await runInNode(least));
}
