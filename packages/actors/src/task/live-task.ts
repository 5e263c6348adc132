import type { MessageIds } from '@opencode-manager/core/protocol';
import type { PromptPart, TurnRequest } from '@opencode-manager/core';
import { noProvider, type Place } from '../machines/index.ts';
import type { ServerPort } from '../ports/index.ts';
import type { SessionHost } from '../session/session-host.ts';
import type { TurnPlan, TurnReport } from '../session/turn-in-flight.ts';
import type { Spent } from './spent.ts';
import type { LiveWorkspace } from './task-workspaces.ts';
import type { PermissionPolicy, RanOn, SentTurn, Task, TaskAttempt, TaskFile, TaskOptions, TaskResult } from './types.ts';

/** A task as it is kept: plain JSON. */
export type StoredTask = Omit<Task, 'permissions'>;

/** An attempt whose turn was sent, or was to be; what is left of it is found by its ids. */
export interface LastTurn {
  readonly attempt: number;
  readonly sessionId: string;
  readonly directory: string;
  readonly plan: TurnPlan;
  /** Undefined for a turn that was sent before the pool was there. */
  readonly report: TurnReport | undefined;
}

/** One task on its way through the pool, with what its result will say. What becomes of it next, the pool machine knows. */
export interface LiveTask {
  readonly id: string;
  readonly task: StoredTask;
  readonly policy: PermissionPolicy;
  readonly place: Place;
  readonly queuedAtMs: number;
  readonly settled: PromiseWithResolvers<TaskResult>;
  /** The leased session that it is for; any session otherwise. */
  readonly leased: SessionHost | undefined;
  attempt: number;
  startedAtMs: number | undefined;
  sessionId: string | undefined;
  messageId: string | undefined;
  /** The opencode of its newest turn. */
  opencode: RanOn | undefined;
  directory: string | undefined;
  /** The directory that is kept for it; see `DirectoryUse`. */
  enteredDirectory: string | undefined;
  /** The place of its own that the present attempt has. */
  workspace: LiveWorkspace | undefined;
  readonly beforeSend: TaskOptions['beforeSend'];
  readonly onAnswer: TaskOptions['onAnswer'];
  /** Turns of the present attempt that it went on after. */
  turns: readonly TurnReport[];
  /** A turn that was sent before the pool was there. */
  readonly sent: SentTurn | undefined;
  /** The session in which its turn goes out, when it is one that is there. */
  readonly continues: TaskOptions['continues'];
  readonly keepsPlace: TaskOptions['keepsPlace'];
  readonly maxRetryWaitMs: TaskOptions['maxRetryWaitMs'];
  /** What a turn that was sent before the pool was there has taken, when it broke off. */
  brokenOff: Spent | undefined;
  /** Its newest turn, once that has ended. */
  last: LastTurn | undefined;
  /** Attempts that a lost server ended. */
  readonly earlier: TaskAttempt[];
  /** An attempt broke off: what it had done to files may still be there. */
  halfChanged: boolean;
  /** Ends the calls of the step that it takes. */
  calls: AbortController | undefined;
  stopListening: () => void;
}

export interface LiveTaskOptions {
  readonly id: string;
  readonly task: Task;
  readonly policy: PermissionPolicy;
  readonly model: string | undefined;
  readonly queuedAtMs: number;
  readonly leased: SessionHost | undefined;
  readonly beforeSend?: TaskOptions['beforeSend'];
  readonly onAnswer?: TaskOptions['onAnswer'];
  readonly sent?: SentTurn | undefined;
  readonly continues?: TaskOptions['continues'];
  readonly keepsPlace?: TaskOptions['keepsPlace'];
  readonly maxRetryWaitMs?: TaskOptions['maxRetryWaitMs'];
  readonly repeat?: false | undefined;
}

/** A task that was just taken in. */
export function createLiveTask({
  id,
  task,
  policy,
  model,
  queuedAtMs,
  leased,
  beforeSend,
  onAnswer,
  sent,
  continues,
  keepsPlace,
  maxRetryWaitMs,
  repeat,
}: LiveTaskOptions): LiveTask {
  const { permissions: _beside, ...stored } = task;
  const provider = task.shell === undefined ? providerOf(task.model ?? model) : noProvider;
  return {
    id,
    task: stored,
    policy,
    place: {
      taskId: id,
      priority: task.priority ?? 0,
      group: task.group ?? '',
      ...(leased && { sessionId: leased.id }),
      ...(provider !== undefined && { provider }),
      ...(sent && { unjudged: true }),
      ...(repeat === false && { once: true }),
    },
    queuedAtMs,
    settled: Promise.withResolvers(),
    leased,
    beforeSend,
    onAnswer,
    turns: [],
    sent,
    continues,
    keepsPlace,
    maxRetryWaitMs,
    attempt: 0,
    startedAtMs: undefined,
    sessionId: leased?.id,
    opencode: undefined,
    messageId: undefined,
    directory: leased?.directory,
    enteredDirectory: undefined,
    workspace: undefined,
    brokenOff: undefined,
    last: undefined,
    earlier: [],
    halfChanged: false,
    calls: undefined,
    stopListening: () => {},
  };
}

function providerOf(model: string | undefined): string | undefined {
  return model?.slice(0, model.indexOf('/'));
}

interface TurnDefaults {
  readonly model: string | undefined;
  readonly agent: string | undefined;
}

/** The turn that a task asks for in a directory of a server. */
export function turnRequestOf(
  task: StoredTask,
  { directory, server }: { readonly directory: string; readonly server: Pick<ServerPort, 'fileUrl'> },
  messageIds: MessageIds,
  defaults: TurnDefaults,
): TurnRequest {
  const model = task.model ?? defaults.model;
  const agent = task.agent ?? defaults.agent;
  const choices = { messageId: messageIds.next(), ...(model !== undefined && { model }), ...(agent !== undefined && { agent }) };
  if (task.shell !== undefined) return { ...choices, kind: 'shell', command: task.shell };
  if (task.command !== undefined) return { ...choices, kind: 'command', ...commandOf(task.command) };
  return {
    ...choices,
    kind: 'prompt',
    parts: [
      { type: 'text', text: task.prompt ?? '' },
      ...(task.files ?? []).map((file) => filePart(file, (path) => server.fileUrl(directory, path))),
    ],
    ...(task.system !== undefined && { system: task.system }),
  };
}

/** `"/review src/"` and `"review src/"` both are the command `review` with the arguments `src/`. */
function commandOf(line: string): { readonly name: string; readonly arguments: string } {
  const trimmed = line.trim().replace(/^\//, '');
  const space = trimmed.search(/\s/);
  return space === -1 ? { name: trimmed, arguments: '' } : { name: trimmed.slice(0, space), arguments: trimmed.slice(space).trim() };
}

/** What opencode hands to a model as it is; anything else it reads as text. */
const mediaTypes: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.svg': 'image/svg+xml',
  '.pdf': 'application/pdf',
};

function filePart({ path, url, mime }: TaskFile, urlOf: (path: string) => string): PromptPart {
  const target = url ?? urlOf(path ?? '');
  const declared = /^data:([^;,]+)/.exec(target)?.[1];
  const name = new URL(target).pathname;
  return {
    type: 'file',
    url: target,
    mime: mime ?? declared ?? mediaTypes[/\.[^./]+$/.exec(name)?.[0].toLowerCase() ?? ''] ?? 'text/plain',
    ...(declared === undefined && { filename: decoded(name.slice(name.lastIndexOf('/') + 1)) }),
  };
}

/** The path of another machine's URL may be encoded as that machine likes. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

export function ranOn({ version, protocol }: ServerPort): RanOn {
  return { version, protocol };
}
