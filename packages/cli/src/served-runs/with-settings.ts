import type { turnSettings } from '../options/index.ts';
import type { NamedTask } from '../task-file/index.ts';

/** What the flags say of all tasks stands in each: the pool is that of others. */
export function withSettings(
  tasks: readonly NamedTask[],
  { model, agent, taskTimeoutMs, permissions }: Awaited<ReturnType<typeof turnSettings>>,
  limits: NonNullable<NamedTask['limits']>,
): NamedTask[] {
  const common = {
    ...(model !== undefined && { model }),
    ...(agent !== undefined && { agent }),
    ...(taskTimeoutMs !== undefined && { timeoutMs: taskTimeoutMs }),
    ...(permissions !== undefined && { permissions }),
  };
  return tasks.map((task) => ({ ...common, ...task, limits: { ...limits, ...task.limits } }));
}
