import { outcomes } from '@opencode-manager/actors';
import { exitCodes, type ExitCode } from '../../exit-codes.ts';
import type { RunView } from '../../manager-socket/index.ts';
import type { CtlCancelFlags, JsonFlag, QueueFlags } from '../../flags.ts';
import { formatCost, formatCount, formatDuration, printable } from '../../render/index.ts';
import type { Terminal } from '../../terminal/index.ts';
import { withRun } from './find-run.ts';

/** `ocm ctl run show`: how a live run stands, by its manager. */
export function showRun(terminal: Terminal, name: string | undefined, flags: JsonFlag & QueueFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return statusOfQueue(terminal, name, flags);
  return withRun(name, async ({ manager, id }, signal) => {
    const view = await manager.call('run', { run: id }, { signal });
    if (flags.json) terminal.record({ type: 'run', ...view });
    else for (const line of linesOf(view, terminal)) terminal.result(line);
    return exitCodes.ok;
  });
}

function linesOf(
  { id, run_dir: path, pid, state, concurrency, timeout_ms: timeoutMs, limits, spent, running, waiting, holding, counts }: RunView,
  { colors }: Terminal,
) {
  const ended = outcomes.flatMap((outcome) =>
    counts.outcomes[outcome] ? [`${counts.outcomes[outcome]} ${outcome.replaceAll('_', ' ')}`] : [],
  );
  const told = [...ended, ...(counts.skipped > 0 ? [`${counts.skipped} skipped`] : [])];
  return [
    `${colors.bold(printable(id))}  ${state}, in process ${pid}`,
    `  ${running} running, ${waiting} waiting of ${counts.total}${told.length > 0 ? `; ${told.join(', ')}` : ''}`,
    `  concurrency ${concurrency}, timeout ${timeoutMs === null ? 'none' : formatDuration(timeoutMs)}`,
    `  ${formatCount(spent.tokens)}${of(limits.tokens, formatCount)} tokens, ${formatCost(spent.usd)}${of(limits.usd, formatCost)}`,
    ...waitOf({ holding, running, waiting, concurrency }),
    ...(path === null ? [] : [`  ${printable(path)}`]),
  ];
}

/** Why nothing starts, where tasks wait. */
function waitOf({ holding, running, waiting, concurrency }: Pick<RunView, 'holding' | 'running' | 'waiting' | 'concurrency'>): string[] {
  if (holding !== null) return [`  nothing starts: ${printable(holding)}`];
  return waiting > 0 && running >= concurrency ? [`  nothing starts: all ${concurrency} slots are in use`] : [];
}

function of(limit: number | null, format: (value: number) => string): string {
  return limit === null ? '' : ` of ${format(limit)}`;
}

export function pauseRun(terminal: Terminal, name: string | undefined, flags: JsonFlag & QueueFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return steerQueue(terminal, name, flags, 'pause');
  return change(terminal, name, flags, {
    method: 'pauseRun',
    done: 'paused: what runs goes on, and nothing starts',
    before: 'was paused already',
  });
}

export function resumeRun(terminal: Terminal, name: string | undefined, flags: JsonFlag & QueueFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return steerQueue(terminal, name, flags, 'resume');
  return change(terminal, name, flags, { method: 'resumeRun', done: 'goes on', before: 'was not paused' });
}

/** Ends a run in order. */
export function cancelRun(terminal: Terminal, name: string | undefined, { drain = false, ...flags }: CtlCancelFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return steerQueue(terminal, name, { ...flags, drain }, 'cancel');
  const done = drain ? 'ends when what runs has ended' : 'ends: what runs is aborted';
  return change(terminal, name, flags, { method: 'cancelRun', done, before: 'was ending already', more: { drain } });
}

interface RunChange {
  readonly method: 'pauseRun' | 'resumeRun' | 'cancelRun';
  readonly done: string;
  readonly before: string;
  readonly more?: { readonly drain: boolean };
}

function change(
  terminal: Terminal,
  name: string | undefined,
  flags: JsonFlag,
  { method, done, before, more }: RunChange,
): Promise<ExitCode> {
  return withRun(name, async ({ manager, id }, signal) => {
    const { run, changed } = await manager.call(method, { run: id, ...more }, { signal });
    const type = { pauseRun: 'run.paused', resumeRun: 'run.resumed', cancelRun: 'run.cancelled' }[method];
    if (flags.json) terminal.record({ type, run, changed });
    else terminal.result(`${printable(run)} ${changed ? done : before}`);
    return exitCodes.ok;
  });
}

async function steerQueue(
  terminal: Terminal,
  name: string | undefined,
  flags: CtlCancelFlags,
  step: 'pause' | 'resume' | 'cancel',
): Promise<ExitCode> {
  return (await import('../../queue/ctl.ts')).steerQueuedRun(terminal, name, flags, step);
}

async function statusOfQueue(terminal: Terminal, name: string | undefined, flags: JsonFlag & QueueFlags): Promise<ExitCode> {
  return (await import('../../queue/look.ts')).queueStatus(terminal, name, flags);
}
