import type { RequestSpec } from '../request.ts';
import type { WireRule } from './names.ts';
import type {
  Enveloped,
  WireAgent,
  WireDocument,
  WireForm,
  WireMcpServer,
  WireMessage,
  WireModel,
  WireModelInfo,
  WirePermission,
  WirePlugin,
  WireSession,
  WireShell,
} from './wire.ts';

/** The body of a prompt. */
export interface PromptBody {
  /** Of its message. The same id again is the same prompt. */
  readonly id: string;
  readonly text: string;
  readonly files?: readonly { readonly uri: string; readonly name?: string }[];
  readonly agents?: readonly { readonly name: string }[];
  /** False: it waits until it is sent again. */
  readonly resume?: boolean;
}

/** What opencode made of a prompt. */
export interface InboxEntry {
  readonly payload?: { readonly files?: readonly { readonly name?: string; readonly mime?: string }[] };
}

type Method = RequestSpec['method'];
type Query = RequestSpec['query'];

const json = <Response>(method: Method, path: string, query?: Query, body?: unknown): RequestSpec<Response> => ({
  method,
  path,
  answer: 'json',
  ...(query && { query }),
  ...(body !== undefined && { body }),
});

const empty = (method: Method, path: string, query?: Query, body?: unknown): RequestSpec<void> => ({
  ...json<void>(method, path, query, body),
  answer: 'empty',
});

const at = (directory: string) => ({ 'location[directory]': directory });
const session = (id: string, rest = '') => `/api/session/${encodeURIComponent(id)}${rest}`;
const instruction = (id: string, key: string) => `/api/experimental/session/${encodeURIComponent(id)}/instructions/entries/${key}`;

/** Messages that opencode gives at once. */
export const messagesAPage = 200;

/** Every request that the manager makes, by what it is for. This file alone knows the paths of opencode 2. */
export const requests = {
  info: () => json<{ version: string }>('GET', '/api/info'),
  /** The description of all its routes. */
  openapi: () => json<{ paths?: Record<string, Record<string, unknown>> }>('GET', '/openapi.json'),
  events: (): RequestSpec<never> => ({ method: 'GET', path: '/api/event', answer: 'stream' }),

  config: (directory: string) => json<readonly WireDocument[]>('GET', '/api/config', at(directory)),
  providers: (directory: string) => json<Enveloped<readonly { id: string }[]>>('GET', '/api/provider', at(directory)),
  models: (directory: string) => json<Enveloped<readonly WireModelInfo[]>>('GET', '/api/model', at(directory)),
  agents: (directory: string) => json<Enveloped<readonly WireAgent[]>>('GET', '/api/agent', at(directory)),
  commands: (directory: string) => json<Enveloped<readonly { name: string }[]>>('GET', '/api/command', at(directory)),
  mcp: (directory: string) => json<Enveloped<readonly WireMcpServer[]>>('GET', '/api/mcp', at(directory)),
  plugins: (directory: string) => json<Enveloped<readonly WirePlugin[]>>('GET', '/api/plugin', at(directory)),
  location: (directory: string) =>
    json<{ directory: string; project?: { id: string; directory: string } }>('GET', '/api/location', at(directory)),

  createSession: (body: { title?: string; location: { directory: string }; permissions?: readonly WireRule[] }) =>
    json<Enveloped<WireSession>>('POST', '/api/session', undefined, body),
  sessions: (query: { directory?: string; project?: string; parentID?: string; limit: number; cursor?: string }) =>
    json<Enveloped<readonly WireSession[]>>('GET', '/api/session', query),
  active: () => json<Enveloped<Record<string, unknown>>>('GET', '/api/session/active'),
  session: (id: string) => json<Enveloped<WireSession>>('GET', session(id)),
  updateSession: (id: string, body: { title?: string }) => empty('PATCH', session(id), undefined, body),
  deleteSession: (id: string) => empty('DELETE', session(id)),
  messages: (id: string, query: { limit: number; order?: 'asc' | 'desc'; cursor?: string }) =>
    json<Enveloped<readonly WireMessage[]>>('GET', session(id, '/message'), query),
  message: (id: string, messageId: string) => json<Enveloped<WireMessage>>('GET', session(id, `/message/${encodeURIComponent(messageId)}`)),
  diff: (id: string, from: string) =>
    json<
      Enveloped<
        readonly { file?: string; patch?: string; additions: number; deletions: number; status?: 'added' | 'deleted' | 'modified' }[]
      >
    >('GET', session(id, '/diff'), { from }),

  prompt: (id: string, body: PromptBody) => json<Enveloped<InboxEntry>>('POST', session(id, '/prompt'), undefined, body),
  command: (id: string, body: { name: string; text: string }) => empty('POST', session(id, '/command'), undefined, body),
  /** Answers at its end. */
  shell: (id: string, body: { id: string; command: string }) => empty('POST', session(id, '/shell'), undefined, body),
  switchModel: (id: string, model: WireModel) => empty('POST', session(id, '/model'), undefined, { model }),
  switchAgent: (id: string, agent: string) => empty('POST', session(id, '/agent'), undefined, { agent }),
  putInstruction: (id: string, key: string, value: string) => empty('PUT', instruction(id, key), undefined, { value }),
  removeInstruction: (id: string, key: string) => empty('DELETE', instruction(id, key)),
  /** In the place of the whole environment that tools of the session have. */
  environment: (id: string, variables: Readonly<Record<string, string>>) =>
    empty('PUT', session(id, '/environment'), undefined, { variables }),
  interrupt: (id: string) => json<{ interrupted?: boolean }>('POST', session(id, '/interrupt'), undefined, {}),
  inbox: (id: string) => json<Enveloped<readonly { id: string; type?: string }[]>>('GET', session(id, '/inbox')),
  removeFromInbox: (id: string, entryId: string) => empty('DELETE', session(id, `/inbox/${encodeURIComponent(entryId)}`)),
  fork: (id: string, before: string | undefined) =>
    json<Enveloped<WireSession>>('POST', session(id, '/fork'), undefined, before === undefined ? {} : { before }),
  stageRevert: (id: string, messageID: string) =>
    json<unknown>('POST', session(id, '/revert/stage'), undefined, { messageID, files: true }),
  clearRevert: (id: string) => empty('DELETE', session(id, '/revert')),
  compact: (id: string) => json<Enveloped<{ id: string }>>('POST', session(id, '/compact'), undefined, {}),

  permissions: (directory: string) => json<Enveloped<readonly WirePermission[]>>('GET', '/api/permission/request', at(directory)),
  replyPermission: (id: string, requestId: string, body: { decision: 'once' | 'reject'; message?: string }) =>
    empty('POST', session(id, `/permission/${encodeURIComponent(requestId)}/reply`), undefined, body),
  forms: (directory: string) => json<Enveloped<readonly WireForm[]>>('GET', '/api/form', at(directory)),
  form: (id: string, formId: string) =>
    json<Enveloped<{ form?: WireForm } & Partial<WireForm>>>('GET', session(id, `/form/${encodeURIComponent(formId)}`)),
  replyForm: (id: string, formId: string, answer: Readonly<Record<string, unknown>>) =>
    empty('POST', session(id, `/form/${encodeURIComponent(formId)}/reply`), undefined, { answer }),
  cancelForm: (id: string, formId: string) => empty('DELETE', session(id, `/form/${encodeURIComponent(formId)}`)),
  shells: (directory: string) => json<Enveloped<readonly WireShell[]>>('GET', '/api/shell', at(directory)),
  endShell: (shellId: string, directory: string) => empty('DELETE', `/api/shell/${encodeURIComponent(shellId)}`, at(directory)),
} as const;
