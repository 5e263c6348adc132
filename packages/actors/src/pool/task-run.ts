import type { MessageIds } from '@opencode-manager/core/protocol';
import type { TurnRequest } from '@opencode-manager/core';
import type { Place } from '../machines/index.ts';
import type { SessionHost } from '../session/session-host.ts';
import type { TurnReport } from '../session/turn-in-flight.ts';
import type { Task, TaskAttempt, TaskResult } from '../task/types.ts';

/** A turn whose server was lost; what became of it is read from the next server. */
export interface Interruption {
  readonly host: SessionHost;
  readonly report: TurnReport;
  readonly request: TurnRequest;
}

/** One task on its way through the pool. */
export interface TaskRun {
  readonly id: string;
  readonly task: Task;
  readonly place: Place;
  readonly queuedAtMs: number;
  readonly settled: PromiseWithResolvers<TaskResult>;
  /** The session that the task is bound to (turns of a lent session); any session otherwise. */
  readonly bound: SessionHost | undefined;
  /** Tries so far. */
  attempt: number;
  startedAtMs: number | undefined;
  host: SessionHost | undefined;
  messageId: string | undefined;
  directory: string | undefined;
  /** The directory that is kept for it; see `DirectoryUse`. */
  enteredDirectory: string | undefined;
  interruption: Interruption | undefined;
  /** Tries that a lost server ended. */
  readonly earlier: TaskAttempt[];
  /** A try broke off and its changes of files were not taken back for certain. */
  halfChanged: boolean;
  /** Why it is to end as `aborted`, once somebody wished so. */
  abortReason: string | undefined;
  /** Ends the calls before the turn with the wish to abort. */
  calls: AbortController;
  finished: boolean;
  stopListening: () => void;
}

/** A task that was just submitted. */
export function createTaskRun(id: string, task: Task, queuedAtMs: number, bound: SessionHost | undefined): TaskRun {
  return {
    id,
    task,
    place: { taskId: id, priority: task.priority ?? 0, group: task.group ?? '' },
    queuedAtMs,
    settled: Promise.withResolvers(),
    bound,
    attempt: 0,
    startedAtMs: undefined,
    host: undefined,
    messageId: undefined,
    directory: bound?.directory,
    enteredDirectory: undefined,
    interruption: undefined,
    earlier: [],
    halfChanged: false,
    abortReason: undefined,
    calls: new AbortController(),
    finished: false,
    stopListening: () => {},
  };
}

/** The turn that a task asks for. */
export function turnRequestOf(
  task: Task,
  messageIds: MessageIds,
  defaults: { readonly model: string | undefined; readonly agent: string | undefined },
): TurnRequest {
  const model = task.model ?? defaults.model;
  const agent = task.agent ?? defaults.agent;
  const choices = { messageId: messageIds.next(), ...(model !== undefined && { model }), ...(agent !== undefined && { agent }) };
  if (task.shell !== undefined) return { ...choices, kind: 'shell', command: task.shell };
  if (task.command !== undefined) return { ...choices, kind: 'command', ...commandOf(task.command) };
  return {
    ...choices,
    kind: 'prompt',
    parts: [{ type: 'text', text: task.prompt ?? '' }],
    ...(task.system !== undefined && { system: task.system }),
  };
}

/** `"/review src/"` and `"review src/"` both are the command `review` with the arguments `src/`. */
function commandOf(line: string): { readonly name: string; readonly arguments: string } {
  const trimmed = line.trim().replace(/^\//, '');
  const space = trimmed.search(/\s/);
  return space === -1 ? { name: trimmed, arguments: '' } : { name: trimmed.slice(0, space), arguments: trimmed.slice(space).trim() };
}
