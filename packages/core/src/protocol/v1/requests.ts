import type * as Wire from '@opencode-ai/sdk/v2/types';
import type { FileDiff, PermissionRuleset, Todo } from '../sessions.ts';
import type { PromptPart } from '../calls.ts';
import type { RequestSpec } from '../request.ts';
import type { WireHistoryEntry } from './decode.ts';
import type { WireMessageWithParts } from './shapes.ts';

/** A model as opencode names it on the wire. */
export interface WireModel {
  readonly providerID: string;
  readonly modelID: string;
}

export interface PromptBody {
  readonly messageID: string;
  readonly parts: readonly PromptPart[];
  readonly model?: WireModel;
  readonly agent?: string;
  readonly system?: string;
  readonly tools?: Readonly<Record<string, boolean>>;
  readonly variant?: string;
}

/** The parts of `GET /config` that the manager compares after start. */
export interface WireConfig {
  readonly username?: string;
  readonly model?: string;
  readonly snapshot?: boolean;
  readonly enabled_providers?: string[];
  readonly [key: string]: unknown;
}

export interface WireProviders {
  readonly providers: readonly {
    id: string;
    name: string;
    models: Record<string, { id: string; name: string; limit?: { context?: number }; cost?: { input?: number; output?: number } }>;
  }[];
  readonly default: Record<string, string>;
}

export interface WireAgent {
  readonly name: string;
  readonly mode?: string;
  readonly model?: WireModel | null;
}

/** What became of an MCP server: `connected`, `disabled`, `failed`, `needs_auth`, `needs_client_registration`. */
export interface WireMcpStatus {
  readonly status: string;
  readonly error?: string;
}

export interface WireCommand {
  readonly name: string;
  readonly description?: string | null;
  /** `provider/model` */
  readonly model?: string | null;
  readonly agent?: string | null;
}

const json = <Response>(
  method: RequestSpec['method'],
  path: string,
  directory?: string,
  body?: unknown,
  query?: RequestSpec['query'],
): RequestSpec<Response> => ({
  method,
  path,
  answer: 'json',
  ...((directory !== undefined || query) && { query: { directory, ...query } }),
  ...(body !== undefined && { body }),
});

const session = (id: string, rest = '') => `/session/${encodeURIComponent(id)}${rest}`;

/** Every request that the manager makes, by what it is for. This file alone knows the paths of opencode 1.x. */
export const requests = {
  health: () => json<{ healthy: boolean; version: string }>('GET', '/global/health'),
  disposeAll: () => json<boolean>('POST', '/global/dispose', undefined, {}),
  disposeDirectory: (directory: string) => json<boolean>('POST', '/instance/dispose', directory, {}),
  eventStream: (): RequestSpec<never> => ({ method: 'GET', path: '/global/event', answer: 'stream' }),
  /** Durable events after the given number of each session; a session that is not named is sent from its start. */
  history: (after: Readonly<Record<string, number>>) => json<WireHistoryEntry[]>('POST', '/sync/history', undefined, after),

  config: (directory: string) => json<WireConfig>('GET', '/config', directory),
  providers: (directory: string) => json<WireProviders>('GET', '/config/providers', directory),
  agents: (directory: string) => json<WireAgent[]>('GET', '/agent', directory),
  commands: (directory: string) => json<WireCommand[]>('GET', '/command', directory),
  /** Answers when each MCP server has come up or has not. */
  mcp: (directory: string) => json<Record<string, WireMcpStatus>>('GET', '/mcp', directory),
  toolIds: (directory: string) => json<string[]>('GET', '/experimental/tool/ids', directory),

  createSession: (directory: string, body: { title?: string; parentID?: string; permission?: PermissionRuleset }) =>
    json<Wire.Session>('POST', '/session', directory, body),
  /** opencode lists 100 sessions when no limit is given. */
  listSessions: (directory: string, limit: number) => json<Wire.Session[]>('GET', '/session', directory, undefined, { limit }),
  /** Sessions of all directories of a project, its other worktrees and clones included. */
  listProjectSessions: (directory: string, limit: number) =>
    json<Wire.Session[]>('GET', '/session', directory, undefined, { limit, scope: 'project' }),
  getSession: (id: string, directory: string) => json<Wire.Session>('GET', session(id), directory),
  updateSession: (id: string, directory: string, body: { title?: string }) => json<Wire.Session>('PATCH', session(id), directory, body),
  deleteSession: (id: string, directory: string) => json<boolean>('DELETE', session(id), directory),
  children: (id: string, directory: string) => json<Wire.Session[]>('GET', session(id, '/children'), directory),
  todos: (id: string, directory: string) => json<Todo[]>('GET', session(id, '/todo'), directory),
  diff: (id: string, directory: string, messageID: string) =>
    json<FileDiff[]>('GET', session(id, '/diff'), directory, undefined, { messageID }),
  messages: (id: string, directory: string, limit?: number) =>
    json<WireMessageWithParts[]>('GET', session(id, '/message'), directory, undefined, limit === undefined ? {} : { limit }),
  message: (id: string, directory: string, messageId: string) =>
    json<WireMessageWithParts>('GET', session(id, `/message/${encodeURIComponent(messageId)}`), directory),
  /** opencode refuses it while the session is busy. */
  deleteMessage: (id: string, directory: string, messageId: string) =>
    json<boolean>('DELETE', session(id, `/message/${encodeURIComponent(messageId)}`), directory),

  promptAsync: (id: string, directory: string, body: PromptBody): RequestSpec<void> => ({
    ...json<void>('POST', session(id, '/prompt_async'), directory, body),
    answer: 'empty',
  }),
  command: (
    id: string,
    directory: string,
    body: { messageID: string; command: string; arguments: string; agent?: string; model?: string },
  ) => json<WireMessageWithParts>('POST', session(id, '/command'), directory, body),
  shell: (id: string, directory: string, body: { messageID: string; command: string; agent: string; model?: WireModel }) =>
    json<WireMessageWithParts>('POST', session(id, '/shell'), directory, body),
  abort: (id: string, directory: string) => json<boolean>('POST', session(id, '/abort'), directory, {}),
  fork: (id: string, directory: string, messageID?: string) =>
    json<Wire.Session>('POST', session(id, '/fork'), directory, messageID === undefined ? {} : { messageID }),
  revert: (id: string, directory: string, messageID: string) =>
    json<Wire.Session>('POST', session(id, '/revert'), directory, { messageID }),
  unrevert: (id: string, directory: string) => json<Wire.Session>('POST', session(id, '/unrevert'), directory, {}),
  summarize: (id: string, directory: string, model: WireModel) => json<boolean>('POST', session(id, '/summarize'), directory, model),

  /** Sessions of one directory that are not idle; an idle session is absent. */
  status: (directory: string) => json<Record<string, Wire.SessionStatus>>('GET', '/session/status', directory),
  permissions: (directory: string) => json<Wire.PermissionRequest[]>('GET', '/permission', directory),
  replyPermission: (id: string, directory: string, body: { reply: 'once' | 'reject'; message?: string }) =>
    json<boolean>('POST', `/permission/${encodeURIComponent(id)}/reply`, directory, body),
  questions: (directory: string) => json<Wire.QuestionRequest[]>('GET', '/question', directory),
  replyQuestion: (id: string, directory: string, answers: readonly (readonly string[])[]) =>
    json<boolean>('POST', `/question/${encodeURIComponent(id)}/reply`, directory, { answers }),
  rejectQuestion: (id: string, directory: string) => json<boolean>('POST', `/question/${encodeURIComponent(id)}/reject`, directory, {}),
} as const;
