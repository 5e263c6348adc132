import type { HttpClient } from '../http/index.ts';
import type { ServerCalls, ServerSurroundings, UntoldEnd } from './calls.ts';
import type { ProtocolConfiguration } from './configuration.ts';
import type { ServerEvent, ServerEventType } from './events.ts';
import type { ArrivedEvent, RecordReader, SealedEvent } from './records.ts';
import type { AnswerErrorReader, RequestSpec } from './request.ts';

/** The protocols that this manager speaks. */
export type ProtocolName = 'v1' | 'v2';

/** What one protocol offers and another may not. */
export interface ProtocolCapabilities {
  /** A session's list of things to do. */
  readonly todos: boolean;
  /** Stored events are sent again after a gap of the stream; without it the sessions are read. */
  readonly replay: boolean;
  /** The instance of a directory can be ended by itself, and with it its turns. */
  readonly dispose: boolean;
  /** A prompt names a model and an agent for its own turn. */
  readonly modelPerPrompt: boolean;
  /** A prompt may hold parts that begin a sub-agent. */
  readonly subtasks: boolean;
  /** The server runs without snapshots of the files. */
  readonly snapshotsOff: boolean;
  /** A single message can be taken out of a session. */
  readonly removableMessages: boolean;
  /** Files in the `tool` directories of the configuration give tools, and the server tells their names. */
  readonly toolFiles: boolean;
  /** An abort takes back a prompt whose turn has not begun; else that turn begins all the same. */
  readonly takesPromptsBack: boolean;
}

/** What a server is told at its start beyond the environment that isolation gives every server. */
export interface ProcessSettings {
  readonly configFile: string;
  /** In the place of the configuration that an administrator of the machine gives every opencode. */
  readonly managedDirectory: string;
  readonly projectConfig: 'instructions' | 'all' | 'none';
  /** Log-ins by OAuth, which come with opencode's default plugins. */
  readonly allowOAuth: boolean;
  /** Agents may ask the user. */
  readonly questions: boolean;
  /** An empty catalogue of models, where nothing of opencode's own can be used. */
  readonly noModelsFile: string | undefined;
  /** ripgrep is on its PATH. */
  readonly hasRipgrep: boolean;
  readonly username: string;
  readonly password: string;
}

/** What opencode's own interface is opened with. */
interface AttachSettings {
  readonly url: string;
  readonly directory: string;
  readonly sessionId: string | undefined;
  readonly username: string;
  readonly password: string;
}

/** How a server's process is started, recognised as ready, and ended. */
export interface ProtocolProcess {
  readonly username: string;
  arguments(hostname: string, port: number): readonly string[];
  /** `pipe`: the server ends, in an orderly way, when its standard input does, and so with whoever holds that. */
  readonly input: 'ignore' | 'pipe';
  /** Its first group is the URL. */
  readonly readyLine: RegExp;
  /** What the output of a server holds whose port was taken. */
  readonly portTaken: string;
  /** What a line of its log tells of an end that is told nowhere else. Absent where each end is told. */
  untoldEnd?(line: string): UntoldEnd | undefined;
  environment(settings: ProcessSettings): Readonly<Record<string, string>>;
  /** How opencode's own interface is opened on a server. The password goes by environment: arguments can be read by every user of the machine. */
  attach(to: AttachSettings): { readonly arguments: readonly string[]; readonly environment: Readonly<Record<string, string>> };
  /** Variables of {@link ProtocolProcess.environment} that are the server's own: an opencode that a tool starts is another one. */
  readonly ownVariables: readonly string[];
  /** Aborts all turns and frees what the server holds, before its process is told to end. Undefined when there is no such request. */
  end(): RequestSpec | undefined;
}

/** How it is made sure that a running server uses what was written for it. */
export interface ProtocolConfirmation {
  version(): RequestSpec<{ readonly version: string }>;
  readonly configuration: {
    request(directory: string): RequestSpec;
    /** Under the names of {@link EffectiveConfig.config}. */
    decode(answer: unknown): Readonly<Record<string, unknown>>;
  };
  readonly providers: {
    request(directory: string): RequestSpec;
    /** Their ids. */
    decode(answer: unknown): readonly string[];
    /** Whether a directory is met; until then others may be told, or none. Absent where a server answers when it has met it. */
    readonly ready?: {
      request(directory: string): RequestSpec;
      decode(answer: unknown): boolean;
    };
  };
  /** Fields of the configuration that have to be as they were written. */
  readonly compared: readonly string[];
  /** What the server printed of values in its configuration files that it left out, by their places in them. Absent where it refuses such a file itself. */
  complaints?(
    output: string,
    configFiles: readonly string[],
  ): {
    /** Of a wrong form. */
    readonly invalid: readonly string[];
    /** Of another version. */
    readonly unsupported: readonly string[];
  };
  /** How a version that was not tested shows that it has all that is used. Absent where each version of the range is taken. */
  readonly untested?: {
    request(): RequestSpec;
    /** What it lacks. */
    missing(answer: unknown): readonly string[];
  };
}

/** What the event stream says, and how what was missed of it is caught up. The stream's thread has it by the protocol's name. */
export interface ProtocolStream {
  /** The endless stream of the events of all directories. */
  request(): RequestSpec<never>;
  createReader(): RecordReader;
  /** Our name of one of opencode's types of events. */
  typeOf(wireType: string): ServerEventType;
  /** Our data of a sealed event. @throws SyntaxError when its properties are no JSON */
  open(event: Pick<SealedEvent, 'wireType' | 'properties'>): ServerEvent['data'];
  /** Types that are stored, so that a record with their number follows. */
  readonly storedTypes: readonly ServerEventType[];
  /** Stored events after a number of each session. Absent where nothing is sent again: then a gap leaves the sessions to be read. */
  readonly replay?: {
    request(after: Readonly<Record<string, number>>): RequestSpec<readonly unknown[]>;
    decode(entry: unknown): ServerEvent;
    /** An event as it came from the stream, where that says it shorter: an open one holds the server's record beside what it says. */
    readonly seal: (event: ServerEvent) => ArrivedEvent;
  };
  /**
   * A request about a session that does not exist, which changes nothing and is announced on the stream: it proves that the connection is
   * subscribed. Absent where a connection is subscribed when it is greeted.
   */
  readonly probe?: (sessionId: string, directory: string) => RequestSpec;
}

/**
 * Forms of ids: one that is of another form is refused here, by its name. Ids of messages grow as texts in the order in which they are sent, and an answer's
 * `parentId` is the user's message before it: by that, messages belong to a turn (`answersTurn`). A protocol whose records say it otherwise makes it so.
 */
interface ProtocolIds {
  isSession(id: string): boolean;
  isMessage(id: string): boolean;
}

/**
 * All that differs between versions of opencode. Chosen once, by the version of the binary; whoever has it asks it, and knows no path, name
 * or shape of the wire.
 */
export interface Protocol {
  readonly name: ProtocolName;
  /** Versions of opencode that speak it. */
  readonly versions: {
    readonly min: string;
    readonly below: string;
    /** Those that the tests of this project run with. */
    readonly tested: readonly string[];
  };
  readonly capabilities: ProtocolCapabilities;
  readonly ids: ProtocolIds;
  readonly process: ProtocolProcess;
  readonly configuration: ProtocolConfiguration;
  readonly confirmation: ProtocolConfirmation;
  readonly stream: ProtocolStream;
  readonly readError: AnswerErrorReader;
  /** Sends nothing by itself. */
  calls(client: HttpClient, surroundings?: ServerSurroundings): ServerCalls;
}
