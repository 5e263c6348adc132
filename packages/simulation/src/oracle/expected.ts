import type { Plan, PoolPlan, StepScript, TaskPlan, ToolScript, TurnScript } from '../plan/types.ts';

type Outcome = 'succeeded' | 'failed' | 'stalled' | 'needs_input' | 'runaway' | 'quota_exhausted' | 'interrupted';

/** Longest wait for a provider that is sat out, and how often it is asked again. */
const longestWaitMs = 120_000;
const mostRetries = 5;

/** How a turn ends that nobody and nothing disturbs; undefined where that is open. */
export function expectedOutcome({ pool, scripts }: Plan, task: TaskPlan): Outcome | undefined {
  if (task.directory === '/srv/nowhere') return 'failed';
  const script = scripts[task.script]!;
  if (script.neverBegins || script.beginMs > 25_000) return undefined;
  if (task.kind === 'shell') return script.steps[0]?.hangs ? 'stalled' : 'succeeded';
  return outcomeOf(script, pool, task.emptyAnswer === true);
}

function outcomeOf({ steps, unknownModel, loopsTo }: TurnScript, pool: PoolPlan, mayBeEmpty: boolean): Outcome | undefined {
  if (unknownModel) return 'failed';
  if (loopsTo !== undefined) return 'runaway';
  for (const step of steps) {
    const end = endWithin(step, pool);
    if (end !== 'goes on') return end;
  }
  const { finish, text } = steps.at(-1)!;
  if (finish !== 'stop' && finish !== 'unknown') return 'failed';
  return text.join('').trim() !== '' || mayBeEmpty ? 'succeeded' : 'failed';
}

function endWithin({ refusal, hangs, error, tools = [] }: StepScript, pool: PoolPlan): Outcome | 'goes on' | undefined {
  if (refusal && (refusal.afterMs > longestWaitMs || refusal.times > mostRetries))
    return refusal.statusCode === 429 ? 'quota_exhausted' : 'failed';
  if (hangs) return 'stalled';
  if (error) return 'failed';
  for (const tool of tools) {
    const end = endOfTool(tool, pool);
    if (end !== 'goes on') return end;
  }
  return 'goes on';
}

function endOfTool({ ask, child, hangs }: ToolScript, pool: PoolPlan): Outcome | 'goes on' | undefined {
  if (ask && pool.permissions === 'escalate') return 'needs_input';
  // What a policy says to a question is another matter.
  if (ask?.kind === 'question') return undefined;
  if (hangs) return ask && pool.permissions === 'deny' ? 'goes on' : 'stalled';
  if (!child) return 'goes on';
  const end = outcomeOf(child, pool, true);
  return end === 'needs_input' || end === 'stalled' || end === undefined ? end : 'goes on';
}
