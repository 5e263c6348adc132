import type { Plan, TurnScript } from './types.ts';

/** Smaller plans, the boldest first. */
function* smaller(plan: Plan): Generator<Plan> {
  for (const list of ['actions', 'faults'] as const) {
    const items: readonly unknown[] = plan[list];
    for (let size = Math.ceil(items.length / 2); size >= 1; size = Math.floor(size / 2))
      for (let from = 0; from < items.length; from += size) yield { ...plan, [list]: items.toSpliced(from, size) };
  }
  if (plan.protocol === 'v2') yield { ...plan, protocol: 'v1' };
  yield* calmerLinks(plan);
  yield* plainerPools(plan);
  yield* shorterScripts(plan);
}

function* calmerLinks(plan: Plan): Generator<Plan> {
  for (const chance of ['slow', 'lostRequest', 'lostAnswer', 'brokenAnswer', 'refusal', 'doubled'] as const)
    if (plan.link[chance] > 0) yield { ...plan, link: { ...plan.link, [chance]: 0 } };
  if (plan.link.delayMs[1] > 8) yield { ...plan, link: { ...plan.link, delayMs: [2, 8] } };
}

function* plainerPools(plan: Plan): Generator<Plan> {
  for (const key of Object.keys(plan.pool)) {
    if (key === 'maxSessions' || key === 'permissions') continue;
    const pool = Object.fromEntries(Object.entries(plan.pool).filter(([name]) => name !== key));
    yield { ...plan, pool: pool as never };
  }
}

function* shorterScripts(plan: Plan): Generator<Plan> {
  for (const [index, script] of plan.scripts.entries()) {
    const put = (shorter: TurnScript): Plan => ({ ...plan, scripts: plan.scripts.with(index, shorter) });
    for (let at = 0; at < script.steps.length; at += 1)
      if (script.steps.length > 1) yield put({ ...script, steps: script.steps.toSpliced(at, 1) });
    for (const key of ['idle', 'loopsTo', 'unknownModel', 'neverBegins'] as const) if (key in script) yield put(without(script, key));
    if (script.beginMs > 20) yield put({ ...script, beginMs: 20 });
    for (const [at, step] of script.steps.entries())
      for (const key of ['tools', 'refusal', 'error', 'hangs', 'compacts'] as const)
        if (key in step) yield put({ ...script, steps: script.steps.with(at, without(step, key)) });
  }
}

function without<Item extends object>(item: Item, key: keyof Item): Item {
  return Object.fromEntries(Object.entries(item).filter(([name]) => name !== key)) as Item;
}

/**
 * Drops from a plan that fails what it fails without, until nothing more can go, or so many worlds were tried.
 * @param fails whether a plan still fails in the same way
 */
export function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>, mostWorlds = 600): Promise<Plan> {
  return shrinkBy(smaller, plan, fails, mostWorlds);
}

/** As {@link shrink}, of any plan. @param candidates smaller plans, the boldest first */
export async function shrinkBy<Any>(
  candidates: (plan: Any) => Iterable<Any>,
  plan: Any,
  fails: (plan: Any) => Promise<boolean>,
  mostWorlds: number,
): Promise<Any> {
  let least = plan;
  let tried = 0;
  for (let found = true; found && tried < mostWorlds;) {
    found = false;
    for (const candidate of candidates(least)) {
      if ((tried += 1) > mostWorlds) break;
      if (!(await fails(candidate))) continue;
      least = candidate;
      found = true;
      break;
    }
  }
  return least;
}
