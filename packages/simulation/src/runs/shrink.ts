import { calmLink } from '../plan/defaults.ts';
import { shrinkBy } from '../plan/shrink.ts';
import type { RunPlan, RunTaskPlan } from './plan.ts';

/** Smaller plans, the boldest first. */
function* smaller(plan: RunPlan): Generator<RunPlan> {
  for (const list of ['faults', 'kills', 'wishes'] as const) {
    const items: readonly unknown[] = plan[list];
    for (let at = 0; at < items.length; at += 1) yield { ...plan, [list]: items.toSpliced(at, 1) };
  }
  for (let size = Math.ceil(plan.tasks.length / 2); size >= 1; size = Math.floor(size / 2))
    for (let from = 0; from < plan.tasks.length; from += size) yield withoutTasks(plan, from, size);
  if (plan.protocol === 'v2') yield { ...plan, protocol: 'v1' };
  if (plan.disk.full.length > 0) yield { ...plan, disk: { ...plan.disk, full: [] } };
  if (JSON.stringify(plan.link) !== JSON.stringify(calmLink)) yield { ...plan, link: calmLink };
  for (const [at, task] of plan.tasks.entries()) {
    if (task.after.length > 0) yield { ...plan, tasks: plan.tasks.with(at, { ...task, after: [] }) };
    if (task.retries > 0) yield { ...plan, tasks: plan.tasks.with(at, { ...task, retries: 0 }) };
  }
}

function withoutTasks(plan: RunPlan, from: number, size: number): RunPlan {
  const tasks = plan.tasks.toSpliced(from, size);
  const keys = new Set(tasks.map(({ key }) => key));
  const after = (task: RunTaskPlan) => task.after.filter((key) => keys.has(key));
  return { ...plan, tasks: tasks.map((task) => Object.assign({}, task, { after: after(task) })) };
}

/** Drops from the plan of a run that fails what it fails without. */
export function shrinkRun(plan: RunPlan, fails: (plan: RunPlan) => Promise<boolean>, mostWorlds = 600): Promise<RunPlan> {
  return shrinkBy(smaller, plan, fails, mostWorlds);
}
