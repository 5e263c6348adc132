import { previewRun, type ResumeLine } from '@opencode-manager/runs';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { formatCost, formatCount, formatDuration, oneLine, plural, printable, renderTable } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import type { BatchPlan } from './run-plan.ts';

/** Tasks of a new run that are listed; of one that is taken up all are. */
const listed = 20;

/** `--dry-run` and `--explain`: what would happen to each task, and why. Nothing is made, and nothing is started. */
export async function previewBatch(terminal: Terminal, plan: BatchPlan): Promise<ExitCode> {
  const { request, settings, options } = plan;
  const { plan: lines, counts, spent, expected } = await previewRun(options);
  if (request.flags.json) {
    for (const { key, decision, why, outcome } of lines) terminal.record({ type: 'task.planned', id: key, decision, why, outcome });
    terminal.record({ type: 'plan', total: counts.total, dropped: counts.dropped, ...limitsOf(plan), spent, expected });
    return exitCodes.ok;
  }
  const { model, concurrency, timeout_ms: timeoutMs } = limitsOf(plan);
  const limits = [
    plural(counts.total, 'task'),
    `${concurrency} at once`,
    `model ${model ?? "the configuration's"}`,
    timeoutMs === null ? 'no timeout' : `timeout ${timeoutMs / 1000} s`,
    ...(settings.permissions === undefined ? ['permissions deny'] : []),
  ];
  terminal.result(printable(limits.join(', ')));
  for (const line of budgetLines(plan)) terminal.result(line);
  if (expected)
    terminal.result(`Taken so far: ${amounts(spent)}. Expected of what is left: ${amounts(expected)}, by the median of those before.`);
  const shown = request.resumed ? lines : lines.slice(0, listed);
  for (const line of table(shown)) terminal.result(line);
  if (shown.length < lines.length) terminal.result(`and ${lines.length - shown.length} more`);
  terminal.notice('Nothing was started.');
  return exitCodes.ok;
}

function limitsOf({ settings, options }: BatchPlan) {
  return {
    model: settings.model ?? null,
    concurrency: options.settings?.concurrency ?? 6,
    timeout_ms: settings.taskTimeoutMs ?? null,
    max_time_ms: options.settings?.limits?.timeoutMs ?? null,
    max_tokens: options.settings?.limits?.tokens ?? null,
    max_usd: options.settings?.limits?.usd ?? null,
  };
}

function amounts({ tokens, usd }: { readonly tokens: number; readonly usd: number }): string {
  return [`${formatCount(tokens)} tokens`, ...(usd > 0 ? [formatCost(usd)] : [])].join(', ');
}

/** What the run and each task may take, and what can be relied on. */
function budgetLines({ settings, options }: BatchPlan): string[] {
  const { timeoutMs = null, tokens = null, usd = null } = options.settings?.limits ?? {};
  const { taskLimits: task = {} } = settings;
  const run = [
    ...(timeoutMs === null ? [] : [formatDuration(timeoutMs)]),
    ...(tokens === null ? [] : [`${formatCount(tokens)} tokens`]),
    ...(usd === null ? [] : [formatCost(usd)]),
  ];
  const each = [
    ...(task.workingMs === undefined ? [] : [`${formatDuration(task.workingMs)} of work`]),
    ...(task.steps === undefined ? [] : [plural(task.steps, 'step')]),
    ...(task.tokens === undefined ? [] : [`${formatCount(task.tokens)} tokens`]),
    ...(task.usd === undefined ? [] : [formatCost(task.usd)]),
  ];
  if (run.length + each.length === 0) return [];
  const limits = [...(run.length > 0 ? [`run: ${run.join(', ')}`] : []), ...(each.length > 0 ? [`each task: ${each.join(', ')}`] : [])];
  return [`Limits of the ${limits.join('; of ')}. A session takes at most the step under way more than that.`];
}

function table(lines: readonly ResumeLine[]): string[] {
  const rows = lines.map(({ key, decision, why }) => [oneLine(key, 40), decision, printable(why)]);
  return renderTable([{ title: 'TASK' }, { title: 'WHAT' }, { title: 'WHY' }], rows);
}
