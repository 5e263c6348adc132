import { locateRun } from '@opencode-manager/runs/look';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { JsonFlag, QueueFlags } from '../flags.ts';
import { formatDuration } from '../render/format.ts';
import { printable } from '../render/printable.ts';
import { countsText, statusText } from '../run-view/counts.ts';
import { runName } from '../run-view/run-name.ts';
import { glanceAt, runRecord, type RunGlance } from '../run-view/run-at-a-glance.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm status`: how a run stands, from its small files. */
export async function status(terminal: Terminal, name: string | undefined, flags: JsonFlag & QueueFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../queue/look.ts')).queueStatus(terminal, name, flags);
  const glance = await glanceAt(await locateRun('.', name));
  if (flags.json) terminal.record(runRecord(glance));
  else for (const line of linesOf(glance, terminal)) terminal.result(line);
  return exitCodes.ok;
}

function linesOf({ path, run, holder, status: is, counts, toldAt, told }: RunGlance, { colors }: Terminal): string[] {
  const by = holder.holder;
  const who = by && (is === 'running' || is === 'elsewhere') ? ` (process ${by.pid} on ${printable(by.host)} since ${by.since})` : '';
  const next = is === 'running' || is === 'elsewhere' || is === 'done' ? '' : `: resume with ocm resume ${runName(run.id, path)}`;
  return [
    `${colors.bold(printable(run.id))}  ${statusText(is)}${who}${next}`,
    `  ${countsText(counts)}`,
    ...paceOf(told, is === 'running' || is === 'elsewhere').map((line) => `  ${line}`),
    ...(toldAt === null ? [] : [`  as of ${toldAt}`]),
    `  ${printable(path)}`,
  ];
}

function paceOf(
  { cost_usd: cost, running_usd: runningUsd = 0, tasks_per_minute: rate, eta_seconds: left, holding, providers = [] }: RunGlance['told'],
  isLive: boolean,
): string[] {
  const untilMs = Math.min(...providers.map(({ held_until: until }) => (until === null ? Infinity : Date.parse(until))));
  const inTime = untilMs > Date.now() && untilMs < Infinity ? ` (the next in ${formatDuration(untilMs - Date.now())})` : '';
  const pace = [
    ...(typeof cost === 'number'
      ? [`${cost.toFixed(2)} USD${runningUsd > 0 ? ` and ${runningUsd.toFixed(2)} USD of what runs` : ''}`]
      : []),
    ...(isLive && typeof rate === 'number' ? [`${rate} tasks a minute`] : []),
    ...(isLive && typeof left === 'number' ? [`${formatDuration(left * 1000)} left`] : []),
  ];
  return [
    ...(pace.length > 0 ? [pace.join(', ')] : []),
    ...(isLive && typeof holding === 'string' ? [`nothing starts: ${printable(holding)}${inTime}`] : []),
  ];
}
