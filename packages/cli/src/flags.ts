/** The flags of all commands, as they were given: `program/` states each to the command line, `commands/` reads it. */

/** Flags that say which server is started and with what; the same on every command that starts one. */
export interface ServerFlags {
  readonly directory?: string;
  readonly opencodeConfig?: string;
  readonly opencodeConfigDir?: string;
  readonly config?: string;
  readonly binary?: string;
  readonly stateDir?: string;
  readonly port?: string;
  readonly profile?: string;
  readonly projectConfig?: string;
  readonly authFile?: string;
  readonly allowOauth?: boolean;
  readonly passEnv?: string[];
  readonly passProviderKeys?: boolean;
  readonly toolHome?: string;
  readonly git?: string;
  readonly offline?: boolean;
  readonly strict?: boolean;
  readonly startupTimeout?: string;
}

/** Flags of the sessions that work on the server. */
export interface TurnFlags {
  readonly concurrency?: string;
  readonly model?: string;
  readonly agent?: string;
  readonly timeout?: string;
  readonly permissions?: string;
  readonly maxAnswer?: string;
  readonly maxServerMemory?: string;
  readonly maxIdleDirectories?: string;
}

/** A queue in place of what lies on this machine. */
export interface QueueFlags {
  readonly queue?: string;
}

export interface JsonFlag {
  readonly json?: boolean;
}

/** Which of several running managers is meant. */
export interface ManagerFlag {
  readonly manager?: string;
}

/** Flags of a page beside a run. */
export interface PageFlags {
  readonly playground?: boolean;
  readonly allowControl?: boolean;
  readonly content?: boolean;
  readonly open?: boolean;
}

export interface WorkspaceFlags {
  readonly workspace?: string;
  readonly patches?: string;
  readonly root?: string;
  readonly setup?: string;
  readonly setupTimeout?: string;
  readonly ready?: string;
  readonly readyTimeout?: string;
  readonly include?: string[];
  readonly lfs?: boolean;
  readonly yes?: boolean;
  readonly keep?: string | boolean;
}

/** What a run, and each of its tasks, may take. */
export interface LimitFlags {
  readonly maxTime?: string;
  readonly maxTokens?: string;
  readonly maxUsd?: string;
  readonly taskWorking?: string;
  readonly taskStall?: string;
  readonly taskSteps?: string;
  readonly taskTokens?: string;
  readonly taskUsd?: string;
  readonly prices?: string;
  readonly allowUnpriced?: boolean;
}

export interface DemoFlags extends JsonFlag, PageFlags {
  readonly binary?: string;
}

/** Flags of `ocm run`. */
export interface RunFlags extends ServerFlags, TurnFlags, LimitFlags, JsonFlag, PageFlags, WorkspaceFlags {
  readonly prompt?: string[];
  /** `NAME` or `NAME=FILE`. */
  readonly reporter?: string[];
  readonly out?: string;
  readonly append?: boolean | undefined;
  readonly overwrite?: boolean;
  /** false: nothing is kept. */
  readonly runDir?: string | false;
  readonly filter?: string[];
  readonly limit?: string;
  /** Refuses fields that a task does not have. */
  readonly strictFields?: boolean;
  readonly retries?: string;
  /** true, or `now`. */
  readonly failFast?: string | boolean;
  readonly maxFailures?: string;
  /** `wait`, `fail` or `fallback:PROVIDER/MODEL`. */
  readonly onQuota?: string;
  readonly onDone?: string;
  readonly transcripts?: boolean;
  readonly dryRun?: boolean;
  /** Goes on with the newest run of the same file. */
  readonly resume?: boolean;
  readonly detach?: boolean;
  /** Process id of an `ocm serve` that carries the run out. */
  readonly on?: string;
  /** URL of a queue whose workers carry the run out, and the name of the run there. */
  readonly queue?: string;
  readonly run?: string;
  /** Directory that this host and the workers see. */
  readonly artifacts?: string;
}

/** Flags of `ocm worker`. */
export interface WorkerFlags
  extends ServerFlags, Pick<TurnFlags, 'concurrency' | 'maxServerMemory' | 'maxIdleDirectories' | 'maxAnswer'>, JsonFlag, QueueFlags {
  readonly model?: string;
  /** Providers that tasks may name. */
  readonly provider?: string[];
  readonly prices?: string;
  /** How long a task is held without a sign of its host. */
  readonly lease?: string;
  /** `[HOST:]PORT` of the page that says whether it is alive and ready. */
  readonly health?: string;
  readonly artifacts?: string;
  /** Where clones and workspaces lie. */
  readonly root?: string;
}

/** Flags of `ocm resume`: what is not given is as it was. */
export interface ResumeFlags extends Omit<
  RunFlags,
  'runDir' | 'root' | 'patches' | 'workspace' | 'resume' | 'append' | 'overwrite' | 'prompt'
> {
  readonly explain?: boolean;
  readonly retryErrors?: string | true;
  readonly redo?: string[];
  readonly changed?: string;
  readonly takeOver?: boolean;
  /** The task file, where it is now. */
  readonly tasks?: string;
}

export interface RunsFlags extends JsonFlag, QueueFlags {
  readonly directory?: string;
}

export interface ResultsFlags extends JsonFlag, QueueFlags {
  readonly failed?: boolean;
}

export interface ShowFlags extends JsonFlag {
  readonly attempt?: string;
}

export interface ExportFlags {
  readonly format: 'junit' | 'swebench';
  readonly out?: string;
  readonly overwrite?: boolean;
}

export interface WaitFlags extends JsonFlag {
  readonly timeout?: string;
}

export interface ServeFlags extends ServerFlags, TurnFlags, PageFlags, JsonFlag {}

export interface ClientFlags extends ManagerFlag, JsonFlag {}

export interface TurnClientFlags extends ClientFlags {
  readonly timeout?: string;
  readonly directory?: string;
}

/** Flags of `ocm prompt`. */
export interface PromptFlags extends TurnClientFlags {
  readonly stream?: boolean;
  /** false: what the model thinks is left out. */
  readonly reasoning?: boolean;
}

export interface EventsFlags extends ClientFlags {
  readonly session?: string[];
  readonly type?: string[];
  readonly directory?: string;
  readonly plane?: string;
  readonly limit?: string;
}

export interface AttachFlags extends ManagerFlag {
  readonly session?: string;
  readonly binary?: string;
}

export interface RevertFlags extends ClientFlags {
  readonly undo?: boolean;
  readonly force?: boolean;
}

export interface DoctorFlags extends JsonFlag, ServerFlags, QueueFlags {
  readonly reap?: boolean;
}

export interface CleanFlags extends JsonFlag, QueueFlags {
  readonly directory?: string;
  readonly dryRun?: boolean;
  readonly keepResults?: boolean;
  readonly unfinished?: boolean;
}

export interface MockModelFlags extends JsonFlag {
  readonly script: string;
  readonly port?: string;
}

export interface PlaygroundFlags extends JsonFlag, ManagerFlag {
  readonly port?: string;
  readonly open?: boolean;
  readonly simulate?: boolean;
  readonly run?: string;
  readonly allowControl?: boolean;
  readonly content?: boolean;
}

export interface CtlCancelFlags extends JsonFlag, QueueFlags {
  readonly drain?: boolean;
}

export interface CtlTaskFlags extends JsonFlag, QueueFlags {
  readonly run?: string;
}

export interface CtlListFlags extends CtlTaskFlags {
  readonly state?: string[];
}

export interface CtlRequeueFlags extends CtlTaskFlags {
  readonly force?: boolean;
}

export interface CtlEventsFlags extends CtlTaskFlags {
  readonly follow?: boolean;
  readonly since?: string;
}

export interface CtlConfigFlags extends CtlTaskFlags {
  readonly enforce?: boolean;
}
