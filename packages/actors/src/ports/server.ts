import type {
  CallOptions,
  Catalogue,
  OpencodeServer,
  SerializedError,
  ServerConfig,
  ServerExit,
  TurnRequest,
} from '@opencode-manager/core';
import type { AskFacts, DirectoryFacts, MessageHistory, ProtocolName } from '@opencode-manager/core/protocol';

/** Ends the wait for an answer, not what the server does. */
export type PortCall = Pick<CallOptions, 'signal' | 'timeoutMs'>;

/** An answer to a permission or question; always for that one ask. */
export type AskAnswer =
  | { readonly type: 'allow' }
  /** With a message the model goes on; without one opencode ends the turn. */
  | { readonly type: 'deny'; readonly message?: string }
  /** One list of chosen labels a question. */
  | { readonly type: 'answer'; readonly answers: readonly (readonly string[])[] };

/** A server that a pool works on: what its hosts need, in this project's words. Errors are `OpencodeManagerError`. */
export interface ServerPort {
  /** What callers of the pool are handed; hosts do not use it. */
  readonly handle: OpencodeServer;
  readonly pid: number;
  readonly url: string;
  readonly version: string;
  readonly protocol: ProtocolName;
  readonly directory: string;
  /** False when nothing can be reverted. */
  readonly snapshots: boolean;
  /** An abort takes back a prompt whose turn has not begun; else that turn begins all the same. */
  readonly takesPromptsBack: boolean;
  /** Resolves when the process has ended, for whatever reason; never rejects. */
  readonly exited: Promise<ServerExit>;
  /** The tail of what the server printed. */
  output(): string;
  /** Calls back with the session of each turn that ended, and of whose end no event tells; gives what ends that. */
  onUntoldEnd(listener: (sessionId: string) => void): () => void;
  /** @throws `REQUEST_TIMEOUT`, `CONNECTION_LOST`, `SERVER_EXITED`; any other error is an answer, too */
  health(options: PortCall): Promise<void>;
  /** 0 when the process has ended. */
  residentBytes(): Promise<number>;
  createSession(options: { readonly directory: string; readonly title?: string } & PortCall): Promise<SessionPort>;
  /** A session that exists. */
  session(id: string, directory: string): SessionPort;
  /** Reads the status and the open asks of a directory, after the call; shared by those who ask at the same time. */
  read(directory: string, options?: PortCall): Promise<DirectoryFacts>;
  /** The real path of a directory; looks at nothing else. @throws `DIRECTORY_MISSING`, `WORKSPACE_UNREADABLE` */
  realDirectory(directory: string): Promise<string>;
  /** The real path of a directory in which sessions may work. @throws `DIRECTORY_MISSING`, `WORKSPACE_UNTRUSTED` */
  checkDirectory(directory: string): Promise<string>;
  /** The URL of a file that a task names; a relative path counts from the directory. */
  fileUrl(directory: string, path: string): string;
  catalogue(directory: string, options?: PortCall & { readonly withoutCommands?: boolean }): Promise<Catalogue>;
  /** False while a session of the directory is busy. True says that nothing of the server works there any more, whether it could forget it or not. */
  disposeDirectory(directory: string): Promise<boolean>;
  /** What tools of a directory see over all else; without variables it is taken back. A relaunched server has to be told again. */
  setToolVariables(directory: string, variables?: Readonly<Record<string, string>>): Promise<void>;
  /** @throws `NOT_FOUND` for an ask that is not open any more */
  answer(ask: AskFacts, answer: AskAnswer, options?: PortCall): Promise<void>;
  /** Ends the processes that a session's tools have started; resolves with their number. */
  endTools(sessionId: string): Promise<number>;
  /** Names the cause that lies outside a turn, such as a full disk. */
  explain(error: SerializedError): Promise<SerializedError>;
  /** Takes secrets out of plain JSON by their values, and counts them. */
  redact<Value>(value: Value): { readonly value: Value; readonly redacted: number };
  /** Another process on the same state, in the place of this one. */
  relaunch(): Promise<ServerPort>;
  /** Another process on the same state, beside this one. */
  startSuccessor(): Promise<ServerPort>;
  /** Ends this process and leaves the state to its successor. */
  retire(): Promise<void>;
  stop(): Promise<void>;
}

/** One session of a server. Each operation is one request with a deadline; who calls keeps to one turn at a time. */
export interface SessionPort {
  readonly id: string;
  readonly directory: string;
  /** Resolves when the server has taken a prompt; for a command or shell line, at its end. */
  submit(request: TurnRequest, options?: PortCall): Promise<void>;
  /** Asks for the end of what runs; says nothing of whether it ended. */
  abort(): Promise<void>;
  /** The whole history, oldest first. */
  history(options?: PortCall): Promise<readonly MessageHistory[]>;
  /** Sub-agent sessions that this one began itself. */
  children(options?: PortCall): Promise<readonly { readonly id: string; readonly directory: string }[]>;
  /** A new session with this one's history, up to a message when one is named. */
  fork(messageId?: string, options?: PortCall): Promise<SessionPort>;
  /** Takes the session and its files back to before a message. */
  revert(messageId: string, options?: PortCall): Promise<void>;
  /** Aborts what runs and resolves when the session is idle. @throws `ABORT_UNCONFIRMED` */
  settle(options?: PortCall): Promise<void>;
  /** Aborts, waits for idle, deletes. Idempotent. */
  delete(options?: PortCall): Promise<void>;
  /** Whether the server still knows the session. Never throws. */
  exists(options?: PortCall): Promise<boolean>;
}

/** Starts a server. @throws as `launchServer` */
export type LaunchPort = (config: ServerConfig) => Promise<ServerPort>;
