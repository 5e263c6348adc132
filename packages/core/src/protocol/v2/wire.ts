// What opencode 2 says on the wire, as far as it is read here. Everything may be absent in a record of another 2.x: readers are lenient.

export interface WireModel {
  readonly id: string;
  readonly providerID: string;
}

export interface WireError {
  /** `provider.auth`, `aborted`, `tool.execution` ... */
  readonly type?: string;
  readonly message?: string;
  /** Of the provider's answer. */
  readonly status?: number;
}

export interface WireTokens {
  readonly input?: number;
  readonly output?: number;
  readonly reasoning?: number;
  readonly cache?: { readonly read?: number; readonly write?: number };
}

/** opencode waits before it asks the provider again; the first failure is followed by attempt 2. */
export interface WireRetry {
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly error?: WireError;
}

export interface WireSession {
  readonly id: string;
  readonly title?: string;
  readonly parentID?: string;
  readonly projectID?: string;
  readonly agent?: string;
  readonly model?: WireModel;
  readonly location?: { readonly directory: string };
  readonly time?: { readonly created?: number; readonly updated?: number; readonly idle?: number };
  readonly revert?: { readonly messageID: string };
}

export interface WireFile {
  /** Base64. */
  readonly data: string;
  readonly mime: string;
  readonly name?: string;
  readonly source?: { readonly type: 'uri'; readonly uri: string } | { readonly type: 'inline' };
}

export interface WireToolState {
  readonly status: 'streaming' | 'running' | 'completed' | 'error';
  /** A text while it comes in. */
  readonly input?: unknown;
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly error?: WireError;
}

export type WireContent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string; readonly time?: { readonly completed?: number } }
  | {
      readonly type: 'tool';
      readonly id: string;
      readonly name: string;
      readonly state: WireToolState;
      readonly time?: { readonly created?: number; readonly ran?: number; readonly completed?: number };
    };

export interface WireAssistant {
  readonly type: 'assistant';
  readonly id: string;
  readonly agent?: string;
  readonly model?: WireModel;
  readonly content?: readonly WireContent[];
  readonly snapshot?: { readonly start?: string; readonly end?: string; readonly files?: readonly string[] };
  readonly finish?: string;
  readonly error?: WireError;
  readonly retry?: WireRetry;
  readonly cost?: number;
  readonly tokens?: WireTokens;
  readonly time?: { readonly created?: number; readonly streamed?: number; readonly completed?: number };
}

interface Timed {
  readonly id: string;
  readonly time?: { readonly created?: number; readonly completed?: number };
}

export type WireMessage =
  | (Timed & { readonly type: 'user'; readonly text: string; readonly files?: readonly WireFile[] })
  | WireAssistant
  | (Timed & { readonly type: 'idle'; readonly outcome?: 'succeeded' | 'failed' | 'interrupted' })
  | (Timed & {
      readonly type: 'shell';
      readonly command: string;
      readonly status?: string;
      readonly exit?: number;
      readonly output?: { readonly output?: string };
    })
  | (Timed & {
      readonly type: 'synthetic';
      readonly text: string;
      /** `shellID` or `childID` of the work in the background that it tells the end of. */
      readonly metadata?: Readonly<Record<string, unknown>>;
    })
  | (Timed & {
      readonly type: 'compaction';
      readonly status?: 'running' | 'completed' | 'failed';
      readonly reason?: string;
      readonly summary?: string;
      readonly text?: string;
      readonly model?: WireModel;
      readonly error?: WireError;
      readonly cost?: number;
      readonly tokens?: WireTokens;
    })
  | (Timed & { readonly type: 'system' | 'skill' | 'agent-switched' | 'model-switched' | 'location-switched' });

export interface WirePermission {
  readonly id: string;
  readonly sessionID: string;
  readonly action: string;
  readonly resources?: readonly string[];
  readonly save?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly source?: { readonly type: string; readonly messageID?: string; readonly id?: string };
}

export interface WireForm {
  readonly id: string;
  readonly sessionID: string;
  readonly title?: string;
  readonly metadata?: { readonly kind?: string; readonly tool?: { readonly messageID?: string; readonly id?: string } };
  readonly fields?: readonly {
    readonly key: string;
    readonly title?: string;
    readonly description?: string;
    /** `string` takes one answer, `multiselect` a list. */
    readonly type?: string;
    readonly options?: readonly { readonly value?: string; readonly label: string; readonly description?: string }[];
    readonly custom?: boolean;
  }[];
}

export interface WireShell {
  readonly id: string;
  readonly status: string;
  readonly command: string;
  readonly exit?: number;
  readonly metadata?: { readonly sessionID?: string };
  readonly time?: { readonly started?: number; readonly completed?: number };
}

export interface WireAgent {
  readonly id: string;
  readonly mode?: string;
  readonly model?: WireModel;
}

export interface WireModelInfo {
  readonly id: string;
  readonly providerID: string;
  readonly cost?: readonly { readonly input?: number; readonly output?: number }[];
}

export interface WireMcpServer {
  readonly name: string;
  readonly status?: { readonly status?: string; readonly error?: string };
}

export interface WirePlugin {
  readonly id?: string;
  /** `target`: a package with its version. */
  readonly source?: { readonly type: string; readonly path?: string; readonly target?: string };
  /** `ref`: of the record in the log that tells why. */
  readonly state?: { readonly status: string; readonly error?: string; readonly ref?: string };
}

/** A configuration file as opencode has read it, in the form of 2.x. */
export type WireDocument =
  | { readonly type: 'document'; readonly path?: string; readonly info: Readonly<Record<string, unknown>> }
  | { readonly type: 'directory'; readonly path: string };

/** Most answers have their data in an envelope. */
export interface Enveloped<Data> {
  readonly data: Data;
  readonly cursor?: { readonly previous?: string | null; readonly next?: string | null };
}
