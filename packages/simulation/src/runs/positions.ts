import { Randomness } from '../world/randomness.ts';
import type { RunViolation } from './oracle.ts';
import type { ManagerKill, RunPlan } from './plan.ts';
import type { RunReport } from './run-world.ts';

export interface Positions {
  /** What broke, in the run without a kill or with one; the plan of the first that did. */
  readonly violations: readonly RunViolation[];
  readonly broken: RunPlan | undefined;
  /** Runs that were tried. */
  readonly tried: number;
}

/**
 * Runs a run once, and then once more for each position of its journal, where its manager is killed: at every append, at a stage that chance
 * draws, or at all five. Each has to lead to the outcomes of the run without a kill.
 */
export async function tryPositions(
  plan: RunPlan,
  run: (plan: RunPlan) => Promise<RunReport>,
  { everyStage = false }: { readonly everyStage?: boolean } = {},
): Promise<Positions> {
  const whole = await run(plan);
  const violations: RunViolation[] = [...whole.violations];
  let broken = violations.length > 0 ? plan : undefined;
  let tried = 1;
  for (const kill of everyStage ? everyKill(whole) : oneKillEach(whole, plan.seed)) {
    const killed = { ...plan, kills: [kill] };
    const report = await run(killed);
    tried += 1;
    const found = [...report.violations, ...differences(whole, report)];
    if (report.kills !== 1) found.push({ rule: 'as-without-kills', text: `The manager was killed ${report.kills} times.` });
    if (found.length > 0) broken ??= killed;
    violations.push(...found);
  }
  return { violations, broken, tried };
}

function everyKill({ stages }: RunReport): ManagerKill[] {
  return stages.flatMap(({ append, stage }) => (['kill', 'power'] as const).map((how): ManagerKill => ({ how, append, stage })));
}

function oneKillEach({ stages }: RunReport, seed: number): ManagerKill[] {
  const byAppend = Map.groupBy(stages, ({ append }) => append);
  return Array.from(byAppend, ([append, reached]): ManagerKill => {
    const chance = new Randomness(seed).of(`append ${append}`);
    return { how: chance.pick(['kill', 'power'] as const), append, stage: chance.pick(reached).stage };
  });
}

function differences({ outcomes: wanted }: RunReport, { outcomes }: RunReport): RunViolation[] {
  const keys = new Set([...wanted.keys(), ...outcomes.keys()]);
  return [...keys].flatMap((key): RunViolation[] => {
    const [was, is] = [wanted.get(key), outcomes.get(key)];
    return was === is
      ? []
      : [{ rule: 'as-without-kills', text: `${key} is ${is ?? 'nothing'}; without a kill it is ${was ?? 'nothing'}.` }];
  });
}
