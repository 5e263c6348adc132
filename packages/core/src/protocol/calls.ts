import type { CallOptions } from '../http/index.ts';
import type { MessageWithParts } from './messages.ts';
import type { DirectorySnapshot, FileDiff, PermissionRuleset, SessionInfo, SessionStatus, Todo } from './sessions.ts';

/** Files that a server leaves for its manager, in a directory that no other server uses. */
export interface LeftFiles {
  pathOf(name: string): string;
  /** Empty for a file that is not there. */
  read(name: string): Promise<string>;
}

/** The end of a turn that the server could not store: neither an event nor an entry of the history tells of it. */
export interface UntoldEnd {
  readonly sessionId: string;
  readonly atMs: number;
  readonly cause: string;
}

/** What stands beside a server's answers. Without it less is told: no exit code of a shell line, no reason of a turn that never asked the model. */
export interface ServerSurroundings {
  readonly files?: LeftFiles;
  /** The tail of what the server has printed. */
  readonly output?: () => string;
  /** The newest end of a session's turn that its server could not store. */
  readonly untoldEnd?: (sessionId: string) => UntoldEnd | undefined;
  /** The variable that tells whose session a tool's process belongs to. */
  readonly sessionVariable?: string;
  /** Its directories may have MCP servers. */
  readonly mcpServers?: boolean;
  /** Told in a sentence what was done in another way than it was asked for. */
  readonly onNote?: (note: string) => void;
}

/** One piece of a prompt. `id` is one of our own for it. */
export type PromptPart =
  | {
      readonly type: 'text';
      readonly id?: string;
      readonly text: string;
      /** Not said by the user: shown to the model alone. */
      readonly synthetic?: boolean;
      /** Shown to the user alone. */
      readonly ignored?: boolean;
    }
  | {
      readonly type: 'file';
      readonly id?: string;
      readonly mime: string;
      /** `file:` or `data:` */
      readonly url: string;
      readonly filename?: string;
    }
  /** Names an agent for the model to give work to. */
  | { readonly type: 'agent'; readonly id?: string; readonly name: string };

/** What one turn asks for, ready to be sent. */
export type TurnRequest = { readonly messageId: string; readonly model?: string; readonly agent?: string } & (
  | { readonly kind: 'prompt'; readonly parts: readonly PromptPart[]; readonly system?: string }
  | { readonly kind: 'command'; readonly name: string; readonly arguments: string }
  | { readonly kind: 'shell'; readonly command: string }
);

/** An agent or a command, with what it chooses for its turns. */
export interface OfferedChoice {
  readonly name: string;
  /** `provider/model` */
  readonly model?: string;
  readonly agent?: string;
}

/** What a directory's configuration offers, without its commands. */
export interface OfferedChoices {
  /** `provider/model` of every usable model. */
  readonly models: readonly string[];
  /** Those of them whose price the server does not know. */
  readonly unpriced: readonly string[];
  readonly agents: readonly OfferedChoice[];
  /** Of a prompt that names none. */
  readonly defaultModel: string | undefined;
}

/** What became of an MCP server. */
export interface McpServerState {
  readonly status: 'connected' | 'disabled' | 'needs_login' | 'failed';
  /** Why it is not connected, where the server says. */
  readonly error?: string;
}

/** The message of a rejection tells the model why. */
export type PermissionAnswer = { readonly reply: 'once' } | { readonly reply: 'reject'; readonly message?: string };

/** Which permission request or question is answered: its id, the session that asks, and where that works. */
export interface OpenAsk {
  readonly id: string;
  readonly sessionId: string;
  readonly directory: string;
}

/** The labels chosen for each question, or none. */
export type QuestionAnswer = { readonly answers: readonly (readonly string[])[] } | { readonly reject: true };

/**
 * What is asked of one server, whatever its protocol. Every call may throw what `HttpClient.call` throws; who calls what not every protocol
 * can do (`ProtocolCapabilities`) looks first.
 */
export interface ServerCalls {
  offers(directory: string, options?: CallOptions): Promise<OfferedChoices>;
  /** Waits for the MCP servers, which give commands too. */
  commands(directory: string, options?: CallOptions): Promise<readonly OfferedChoice[]>;
  /** Answers when each MCP server has come up or has not. */
  mcpServers(directory: string, options?: CallOptions): Promise<Readonly<Record<string, McpServerState>>>;
  /** Waits until a turn in the directory is offered the tools of its MCP servers, or they have failed. Absent where each turn waits by itself. */
  ready?(directory: string, signal?: AbortSignal): Promise<void>;
  /** Names of all tools, those of the server too. Absent where no request gives them (`ProtocolCapabilities.toolFiles`). */
  toolIds?(directory: string, options?: CallOptions): Promise<readonly string[]>;
  /**
   * What the server says of plugins that it could not load; sentences that name them. Absent where the stream alone tells.
   * @param packages plugins that are installed first: they are waited for
   * @throws `REQUEST_TIMEOUT`
   */
  pluginFailures?(directory: string, packages: readonly string[], options?: CallOptions): Promise<readonly string[]>;

  /** Sessions of a directory that are not idle; an idle one is absent. */
  status(directory: string, options?: CallOptions): Promise<Readonly<Record<string, SessionStatus>>>;
  /** What is volatile in a directory, in as many reads as that takes: who is busy, who waits for the provider, what is asked. */
  snapshot(directory: string): Promise<DirectorySnapshot>;
  answerPermission(ask: OpenAsk, answer: PermissionAnswer, options?: CallOptions): Promise<void>;
  answerQuestion(ask: OpenAsk, answer: QuestionAnswer, options?: CallOptions): Promise<void>;

  createSession(
    directory: string,
    wanted: { readonly title?: string; readonly permission?: PermissionRuleset },
    options?: CallOptions,
  ): Promise<SessionInfo>;
  listSessions(directory: string, options?: CallOptions): Promise<SessionInfo[]>;
  /** Sessions of all directories of a project, its other worktrees and clones included. */
  listProjectSessions(directory: string, options?: CallOptions): Promise<SessionInfo[]>;
  /** Ends the instance of a directory, and with it its turns. */
  disposeDirectory(directory: string, options?: CallOptions): Promise<void>;
  /** Sends nothing. */
  session(id: string, directory: string): SessionCalls;
}

/** What is asked about one session. */
export interface SessionCalls {
  /** Resolves when a prompt was taken, and when a command or a shell line has ended. */
  submit(turn: TurnRequest, options?: CallOptions): Promise<void>;
  abort(options?: CallOptions): Promise<void>;
  info(options?: CallOptions): Promise<SessionInfo>;
  /** Oldest first; the newest `limit` when given. */
  messages(limit?: number, options?: CallOptions): Promise<MessageWithParts[]>;
  message(messageId: string, options?: CallOptions): Promise<MessageWithParts>;
  deleteMessage(messageId: string, options?: CallOptions): Promise<void>;
  children(options?: CallOptions): Promise<SessionInfo[]>;
  todos(options?: CallOptions): Promise<Todo[]>;
  diff(messageId: string, options?: CallOptions): Promise<FileDiff[]>;
  fork(messageId?: string, options?: CallOptions): Promise<SessionInfo>;
  revert(messageId: string, options?: CallOptions): Promise<SessionInfo>;
  unrevert(options?: CallOptions): Promise<SessionInfo>;
  rename(title: string, options?: CallOptions): Promise<SessionInfo>;
  /**
   * Resolves when the summary was tried.
   * @param model `provider/model`
   * @returns what came of it, where it does not stay among the messages when it failed
   */
  summarize(model: string, options?: CallOptions): Promise<MessageWithParts | undefined>;
  delete(options?: CallOptions): Promise<void>;
}
