import { OpencodeManagerError } from '@opencode-manager/core';
import type { TaskChange } from '@opencode-manager/runs';
import { exitCodes, type ExitCode } from '../../exit-codes.ts';
import type { RowView, TaskView } from '../../manager-socket/index.ts';
import { parseCount } from '../../options/index.ts';
import type { CtlEventsFlags, CtlListFlags, CtlRequeueFlags, CtlTaskFlags } from '../../flags.ts';
import { oneLine, printable, renderTable } from '../../render/index.ts';
import type { Terminal } from '../../terminal/index.ts';
import { refuseQueue, withRun } from './find-run.ts';

/** `ocm ctl task list` */
export async function listTasks(terminal: Terminal, flags: CtlListFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../../queue/ctl.ts')).listQueuedTasks(terminal, flags);
  return withRun(flags.run, async ({ manager, id }, signal) => {
    const tasks = await manager.call('runTasks', { run: id, ...(flags.state && { state: flags.state }) }, { signal });
    if (flags.json) for (const task of tasks) terminal.record({ type: 'task', ...task });
    else for (const line of table(tasks, terminal)) terminal.result(line);
    return exitCodes.ok;
  });
}

/** `ocm ctl task show KEY...` */
export async function showTasks(terminal: Terminal, keys: readonly string[], flags: CtlTaskFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../../queue/ctl.ts')).listQueuedTasks(terminal, flags, keys);
  return withRun(flags.run, async ({ manager, id }, signal) => {
    const tasks = await manager.call('runTasks', { run: id, key: [...keys] }, { signal });
    for (const task of tasks) {
      if (flags.json) terminal.record({ type: 'task', ...task });
      else for (const line of linesOf(task, terminal)) terminal.result(line);
    }
    return exitCodes.ok;
  });
}

export function table(tasks: readonly TaskView[], { colors }: Terminal): string[] {
  const columns = [
    { title: 'TASK' },
    { title: 'STATE' },
    { title: 'ATTEMPT', align: 'right' },
    { title: 'SESSION' },
    { title: 'WHY' },
  ] as const;
  const rows = tasks.map((task) => [
    oneLine(task.key, 60),
    stateText(task),
    task.attempt === 0 ? '' : String(task.attempt),
    task.session_id ?? '',
    whyOf(task),
  ]);
  return rows.length === 0 ? [] : renderTable(columns, rows, colors.bold);
}

function linesOf(task: TaskView, { colors }: Terminal): string[] {
  const why = whyOf(task);
  return [
    `${colors.bold(printable(task.key))}  ${stateText(task)}${task.attempt === 0 ? '' : `, attempt ${task.attempt}`}`,
    ...(task.session_id === null ? [] : [`  session ${task.session_id}`]),
    ...(why === '' ? [] : [`  ${why}`]),
  ];
}

function stateText({ state, cancelled }: TaskView): string {
  return `${state.replaceAll('_', ' ')}${cancelled && state === 'running' ? ', cancelled' : ''}`;
}

function whyOf({ state, outcome, error_code: code, blocked_by: blockedBy, cancelled }: TaskView): string {
  if (blockedBy !== null) return oneLine(`${blockedBy} did not succeed`, 80);
  const reason = [...(outcome !== null && outcome !== state ? [`after ${outcome}`] : []), ...(code === null ? [] : [code])].join(': ');
  return cancelled && state !== 'running' ? ['cancelled', reason].filter(Boolean).join(', ') : reason;
}

/** `ocm ctl task cancel KEY...` */
export async function cancelTasks(terminal: Terminal, keys: readonly string[], flags: CtlTaskFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../../queue/ctl.ts')).cancelQueuedTasks(terminal, keys, flags);
  return withRun(flags.run, async ({ manager, id }, signal) => {
    tell(terminal, await manager.call('cancelTasks', { run: id, keys: [...keys] }, { signal }), flags.json);
    return exitCodes.ok;
  });
}

/** `ocm ctl task requeue KEY...` */
export async function requeueTasks(
  terminal: Terminal,
  keys: readonly string[],
  { force = false, ...flags }: CtlRequeueFlags,
): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../../queue/ctl.ts')).requeueQueuedTasks(terminal, keys, { ...flags, force });
  return withRun(flags.run, async ({ manager, id }, signal) => {
    const changes = await manager.call('requeueTasks', { run: id, keys: [...keys], ...(force && { force }) }, { signal });
    tell(terminal, changes, flags.json);
    return exitCodes.ok;
  });
}

const texts: Readonly<Record<TaskChange['change'], string>> = {
  cancelled: 'cancelled',
  aborting: 'cancelled: its attempt is being aborted',
  requeued: 'requeued',
  none: 'unchanged',
};

export function tell(terminal: Terminal, changes: readonly TaskChange[], json: boolean | undefined): void {
  for (const { key, change, why } of changes) {
    if (json) terminal.record({ type: 'task.changed', key, change, why });
    else terminal.result(`${printable(key)}  ${texts[change]}${why === null ? '' : `: ${printable(why)}`}`);
  }
}

/** `ocm ctl task events [KEY...]`: rows of the journal. */
export function taskEvents(terminal: Terminal, keys: readonly string[], { follow = false, ...flags }: CtlEventsFlags): Promise<ExitCode> {
  refuseQueue(flags, 'ctl task events', 'ocm run --queue URL --run NAME follows it');
  return withRun(flags.run, async ({ manager, id }, signal) => {
    const since = flags.since === undefined ? 0 : parseCount(flags.since, '--since', { min: 0, max: Number.MAX_SAFE_INTEGER });
    const wanted = { run: id, since, follow, ...(keys.length > 0 && { key: [...keys] }) };
    try {
      for await (const row of manager.stream('runEvents', wanted, { signal })) {
        if (flags.json) terminal.record(row);
        else terminal.result(rowLine(row, terminal));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new OpencodeManagerError('REQUEST_ABORTED', 'The events are followed no more.', { cause: error });
    }
    return exitCodes.ok;
  });
}

function rowLine({ seq, at, type, key, ...told }: RowView, { colors, streams }: Terminal): string {
  const head = `${String(seq).padStart(6)}  ${at}  ${type.padEnd(18)}  ${oneLine(key ?? '', 40)}`;
  const room = Math.max(20, (streams.stdout.columns ?? 200) - head.length - 2);
  return `${head}  ${colors.dim(oneLine(detailOf(told), room))}`.trimEnd();
}

/** What a line has room for; `--json` has all. */
function detailOf(told: Readonly<Record<string, unknown>>): string {
  const { outcome, error, result, reason, attempt, session_id: session, blocked_by: blockedBy, final } = told;
  const { output } = (result ?? {}) as { readonly output?: string };
  const { code } = (error ?? {}) as { readonly code?: string };
  const parts = [
    ...(typeof attempt === 'number' ? [`attempt ${attempt}`] : []),
    ...[outcome, code, session, reason].filter((part) => typeof part === 'string'),
    ...(typeof blockedBy === 'string' ? [`${blockedBy} did not succeed`] : []),
    ...(final === false ? ['another attempt follows'] : []),
    ...(output ? [output.slice(0, 400)] : []),
  ];
  return parts.join('  ');
}
