import type { CallOptions, HttpClient, ServerCredentials } from '../http/index.ts';
import type { CheckOptions, WorkspaceCheck } from '../isolation/index.ts';
import type { PermissionAnswer, ProtocolCapabilities, ProtocolName, QuestionAnswer, SessionInfo } from '../protocol/index.ts';
import type { Redactor } from '../secrets/index.ts';
import type { ConfiguredPart, PartsOptions } from './configured-parts.ts';
import type { LaunchReport } from './launch-report.ts';
import type { TurnChoices } from '../turn/index.ts';
import type { CreateSessionOptions, DirectorySnapshot, Session, SessionOperations } from '../session/types.ts';

/** Which ask is answered: its id, the session that asks (a sub-agent, maybe), and where that works; a listed request is one. */
export interface AskedRequest {
  readonly id: string;
  readonly sessionId: string;
  /** The server's own when absent. */
  readonly directory?: string;
}

/** How the server's process ended. */
export interface ServerExit {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** True when `stop()` ended it. */
  readonly expected: boolean;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** What `stop()` did and verified. */
export interface StopReport {
  readonly durationMs: number;
  /** The step of the ladder after which the server was gone. */
  readonly endedBy: 'dispose' | 'SIGTERM' | 'SIGKILL' | 'already-gone';
  /** Processes that outlived the server and were swept by the run marker. */
  readonly sweptProcesses: number;
  readonly portFree: boolean;
  readonly stateDeleted: boolean;
}

export interface ServerHealth {
  readonly version: string;
  readonly latencyMs: number;
}

/** What a directory's configuration offers; read once a directory. */
export interface Catalogue {
  /** `provider/model` of every usable model. */
  readonly models: readonly string[];
  /** Those of them whose price opencode does not know: what they cost is told as 0. */
  readonly unpriced?: readonly string[];
  readonly agents: readonly string[];
  readonly commands: readonly string[];
  /** The configuration's `model`, when it names one. */
  readonly defaultModel: string | undefined;
  /** The models and agents that commands and agents choose themselves. */
  readonly choices?: TurnChoices;
  /** Files of the workspace that define agents and commands and are not used (`projectConfig`), by the names that they would have. */
  readonly unused?: {
    readonly agents: Readonly<Record<string, string>>;
    readonly commands: Readonly<Record<string, string>>;
  };
}

/**
 * One isolated opencode server that this process started and owns.
 *
 * @example
 * await using server = await launchServer({ directory: '/srv/repo', opencodeConfig: { model: 'anthropic/claude-sonnet-5' } })
 * const session = await server.createSession()
 * console.log((await session.prompt('What does this repository do?')).text)
 * @public
 */
export interface OpencodeServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly pid: number;
  /** Version of opencode, for example `1.18.33`. */
  readonly version: string;
  /** The protocol that it speaks. */
  readonly protocol: ProtocolName;
  /** What that protocol can do; calls that need more throw `PROTOCOL_UNSUPPORTED`. */
  readonly capabilities: ProtocolCapabilities;
  /** The workspace directory (real path). */
  readonly directory: string;
  /** The private state directory. */
  readonly stateDir: string;
  /** Marks every process that descends from this server (`OPENCODE_MANAGER_RUN_ID` in its environment). */
  readonly runId: string;
  readonly profile: 'batch' | 'interactive';
  /** False when the configuration turns snapshots off: nothing can be reverted then. */
  readonly snapshots: boolean;
  /** What it uses of the user's own machine, and what was fetched for it. */
  readonly launch: LaunchReport;
  readonly client: HttpClient;
  /**
   * Knows the secrets of this server by value: its password, the keys of its configuration and auth file, the variables that were passed.
   * Errors and `output()` have gone through it; give it what you show of answers, events and messages.
   */
  readonly redactor: Redactor;
  /** Resolves when the process has ended, for whatever reason; never rejects. */
  readonly exited: Promise<ServerExit>;
  /** What another client needs to connect, for example the official SDK. */
  credentials(): ServerCredentials;
  /** The tail of what the server printed on both pipes (64 KiB at most), secrets taken out. */
  output(): string;
  /**
   * Calls back with the session of each turn whose end the server could not store, as opencode 2 on a full disk: no event tells of it. The session's messages do
   * from then on, as of a turn that failed. Gives what ends that.
   */
  onUntoldEnd(listener: (sessionId: string) => void): () => void;
  /** @throws `REQUEST_TIMEOUT` (5 s when no deadline is given: a healthy busy server can need 2 s), `CONNECTION_LOST` */
  health(options?: CallOptions): Promise<ServerHealth>;
  createSession(options?: CreateSessionOptions): Promise<Session>;
  /** All sessions of a directory (the server's own when absent), sub-agent sessions included; not cut at opencode's 100. */
  listSessions(options?: CallOptions & { readonly directory?: string }): Promise<SessionInfo[]>;
  /** `permissions` is the policy of turns that name none. @throws `NOT_FOUND`, `CONFIG_INVALID` */
  getSession(id: string, options?: CallOptions & Pick<CreateSessionOptions, 'directory' | 'permissions'>): Promise<Session>;
  deleteSession(id: string, options?: CallOptions & { readonly directory?: string }): Promise<void>;
  /** Aborts every busy session of the directories in use; resolves with their number when all are idle. */
  abortAll(options?: CallOptions): Promise<number>;

  /** Creates a session and gives its bare operations; for hosts that keep their own queue and watch events. */
  createOperations(options?: CreateSessionOptions): Promise<SessionOperations>;
  /**
   * Bare operations of a session that exists, in its own directory (the server's when absent). A turn elsewhere is refused before it is sent:
   * `DIRECTORY_MISMATCH`.
   */
  operations(id: string, directory?: string): SessionOperations;
  /**
   * Status, permissions and questions of a directory, read after the call. Calls that come while a read is in flight
   * share the next one, so any number of sessions cost at most two reads at a time.
   */
  snapshot(directory?: string, options?: CallOptions): Promise<DirectorySnapshot>;
  /**
   * The real path of a directory in which sessions of this server may work. Nothing is sent.
   * @throws as {@link OpencodeServer.checkWorkspace}
   */
  checkDirectory(directory: string): Promise<string>;
  /**
   * Looks at all that opencode would load as code or configuration for a turn in a directory: `opencode.json(c)` and what stands
   * below `.opencode`, there and above it up to the root of its repository. The first look decides what is trusted; what
   * differs from it later is refused, and accepted with `acceptChanges`. Each turn does this by itself, before anything is sent.
   * @throws `DIRECTORY_MISSING`, `WORKSPACE_UNTRUSTED`, `WORKSPACE_CHANGED`, `WORKSPACE_UNREADABLE`
   */
  checkWorkspace(directory: string, options?: CheckOptions): Promise<WorkspaceCheck>;
  /**
   * What failed or was left out so far: at the start (a plugin, a proxy), of the configuration (a variable that is not set, a FIFO) and of
   * workspaces (their own configuration, a link that leads out of the repository, a file that is too large); sentences.
   */
  notes(): readonly string[];
  /**
   * Providers, agents, MCP servers, plugins and custom tools that are configured for the server's own directory, each with whether it works
   * and why not. opencode goes on without what fails. An MCP server that has not come up yet is `starting`, unless `settled` waits for it.
   *
   * @example
   * const missing = (await server.parts({ settled: true })).filter(({ status }) => status === 'failed')
   */
  parts(options?: PartsOptions): Promise<readonly ConfiguredPart[]>;
  /**
   * Models, agents and commands of a directory; cached. The same for all directories unless `projectConfig` is `all`. The commands wait for
   * MCP servers, 30 s for one that hangs; with `withoutCommands` nothing waits, and the list is empty.
   */
  catalogue(directory?: string, options?: CallOptions & { readonly withoutCommands?: boolean }): Promise<Catalogue>;
  /**
   * Lets the server forget what it keeps of a directory: some 13 MB with the `batch` profile, and the MCP and language servers
   * that it runs there. Sessions and their history stay; the next turn there meets it anew, which takes half a second. Gives false, and
   * does nothing, while a session of the directory is busy, and where the protocol has no such request (`capabilities.dispose`). See to it that no turn begins there meanwhile: opencode would abort it.
   */
  disposeDirectory(directory: string, options?: CallOptions): Promise<boolean>;
  /**
   * Variables that the tools and shell lines of all sessions of a directory see, sub-agents' too, over all others; in place of those given
   * before. Without variables they are taken back. MCP servers and the shell parts of command templates do not see them; after
   * {@link OpencodeServer.relaunch} they have to be given again.
   * @param directory Its real path.
   * @throws `CONFIG_INVALID` for a variable that isolation rests on
   *
   * @example
   * await server.setToolVariables('/srv/work/1', { PORT: '4100' })
   */
  setToolVariables(directory: string, variables?: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Answers a permission request that a policy left open (`escalate`); `getState()` and `snapshot()` list them. The server's own directory
   * counts where the request names none.
   * @throws `NOT_FOUND`
   */
  answerPermission(request: AskedRequest, answer: PermissionAnswer, options?: CallOptions): Promise<void>;
  /** Answers a question that a policy left open. @throws `NOT_FOUND` */
  answerQuestion(request: AskedRequest, answer: QuestionAnswer, options?: CallOptions): Promise<void>;

  /**
   * Starts a new process on the same state directory and gives its handle, which replaces this one: another url, password
   * and client, the same sessions. What is left of the old process (tools too) is ended first; its turns are interrupted.
   * For recovery after `exited`, or of a server that no longer answers. `stop()` of either handle ends the run. May be
   * called again when it failed. @throws as {@link launchServer} after its checks; `SERVER_EXITED` when the run was stopped
   */
  relaunch(): Promise<OpencodeServer>;
  /**
   * Starts another process on the same state directory beside this one, which goes on with its turns: another url, password
   * and client, the same sessions. A session must have its turns on one of them at a time. For the replacement of a server
   * that has grown too large; end this one with {@link OpencodeServer.retire} when its turns are over.
   * @throws as {@link launchServer} after its checks; `SERVER_EXITED` when the run was stopped
   */
  startSuccessor(): Promise<OpencodeServer>;
  /**
   * Ends this process and its tools, as `stop()` does, and leaves the run and its state to the successor. What it still
   * worked on is aborted. Idempotent. @throws `SERVER_STOP_INCOMPLETE`
   */
  retire(): Promise<void>;
  /** Resident memory of the server's process in bytes; 0 when it has ended. Its tools are not counted. */
  residentBytes(): Promise<number>;
  /**
   * Ends the processes that a session's tools and shell lines have started and that still run, with SIGKILL; resolves with
   * their number. For a turn that no abort ends. Needs no answer of the server.
   */
  endTools(sessionId: string): Promise<number>;
  /**
   * Ends the server and everything that descends from it: dispose request, SIGTERM, SIGKILL, sweep by run marker; then
   * checks that nothing is left and the port is free, and removes the state when that was wished. Idempotent; all its waits take
   * 5 s at most. @throws `SERVER_STOP_INCOMPLETE`; lock, record, state and guard are still there then, and it may be called again
   */
  stop(): Promise<StopReport>;
}
