import type { ProtocolName } from '@opencode-manager/core/protocol';

/** A world before it runs: plain JSON, drawn from a seed beforehand, so that whoever shrinks a failure edits data. */
export interface Plan {
  readonly version: 1;
  /** Feeds what the plan leaves open: delays within their ranges, ids. */
  readonly seed: number;
  readonly profile: string;
  /** Of opencode: that of 1.x, or of 2.x. */
  readonly protocol: ProtocolName;
  readonly pool: PoolPlan;
  readonly link: LinkPlan;
  /** Turns that a model takes; tasks name them by their index. */
  readonly scripts: readonly TurnScript[];
  readonly actions: readonly Action[];
  readonly faults: readonly Fault[];
}

/** Options of the pool, as JSON. Times in milliseconds. */
export interface PoolPlan {
  readonly maxSessions: number;
  readonly sessions?: 'new' | 'reuse';
  /** `escalate`: nobody answers. A number: a callback that allows after so many milliseconds. */
  readonly permissions: 'allow' | 'deny' | 'escalate' | number;
  readonly taskTimeoutMs?: number;
  readonly onInterrupted?: 'retry' | 'fail';
  /** The memory limit of a server, in bytes; see the fault `grows`. */
  readonly maxBytes?: number;
  readonly maxIdleDirectories?: number;
  readonly snapshots?: boolean;
}

/** What lies between manager and server. Times in milliseconds, one way; chances in [0, 1]. */
export interface LinkPlan {
  readonly delayMs: readonly [number, number];
  /** Chance of an answer that takes up to `slowMs`. */
  readonly slow: number;
  readonly slowMs: number;
  /** The request never reaches the server, and no answer comes. */
  readonly lostRequest: number;
  /** The server acts, and no answer comes. */
  readonly lostAnswer: number;
  /** The connection breaks after the server has acted. */
  readonly brokenAnswer: number;
  /** The server fails with an internal error, and does nothing. */
  readonly refusal: number;
  /** An event comes twice. */
  readonly doubled: number;
}

/** A moment: a time since the start, or a while after the nth time that something happens on the server. */
export type When = { readonly atMs: number } | { readonly point: Point; readonly nth: number; readonly afterMs: number };

export const points = [
  'accepted',
  'begun',
  'step',
  'tool',
  'ask',
  'child',
  'final',
  'ended',
  'created',
  'abort',
  'told',
  'launched',
] as const;
export type Point = (typeof points)[number];

export interface AskScript {
  readonly kind: 'permission' | 'question';
  readonly permission: string;
  readonly pattern: string;
}

export interface ToolScript {
  readonly tool: string;
  readonly input: string;
  readonly output: string;
  readonly forMs: number;
  readonly ask?: AskScript;
  /** A sub-agent that works for the tool. */
  readonly child?: TurnScript;
  /** The tool does not wait for its sub-agent. */
  readonly background?: boolean;
  /** `slow`: an abort takes 3 s. `tools`: it takes the end of the tool's processes. `never`: nothing ends it. */
  readonly ignoresAbort?: 'slow' | 'tools' | 'never';
  /** Its process is gone and opencode waits on. */
  readonly hangs?: boolean;
}

/** A provider that refuses: opencode asks again, up to five times. */
export interface RefusalScript {
  readonly statusCode: number;
  readonly message: string;
  readonly times: number;
  readonly afterMs: number;
  /** Text that had come before the stream broke off. */
  readonly brokenText?: string;
}

export interface StepScript {
  readonly thinkMs: number;
  /** At most three pieces of text. */
  readonly text: readonly string[];
  /** So many further pieces, of 100 bytes each. */
  readonly flood?: number;
  readonly tools?: readonly ToolScript[];
  readonly refusal?: RefusalScript;
  /** opencode's finish reason; null when the stream ends without one. */
  readonly finish: string | null;
  /** The provider's last word, without a retry. */
  readonly error?: { readonly name: string; readonly message: string; readonly statusCode?: number };
  /** The model says nothing more, after its text. */
  readonly hangs?: boolean;
  /** opencode compacts the history first, and goes on under a user message of its own. */
  readonly compacts?: boolean;
}

export interface TurnScript {
  /** From the acceptance to the first busy. */
  readonly beginMs: number;
  readonly steps: readonly StepScript[];
  /** After the last step comes this one again, without end. */
  readonly loopsTo?: number;
  /** It ends before it begins: an error event and no assistant message. */
  readonly unknownModel?: boolean;
  /** Nothing comes of it. */
  readonly neverBegins?: boolean;
  /** How the events tell the end: `early` before the final message, `late` once more after a while. */
  readonly idle?: 'early' | 'once' | 'never' | 'late';
}

export interface TaskPlan {
  readonly script: number;
  readonly kind?: 'prompt' | 'shell' | 'command';
  readonly provider?: 'alpha' | 'beta';
  readonly directory?: string;
  readonly timeoutMs?: number;
  /** Most steps of the model. */
  readonly steps?: number;
  readonly priority?: number;
  readonly group?: string;
  /** Whether an answer without text is good. */
  readonly emptyAnswer?: boolean;
}

/** What a user does. `key` names a task or a lease in this plan. */
export type Action = { readonly when: When } & (
  | { readonly do: 'run'; readonly key: string; readonly task: TaskPlan }
  | { readonly do: 'abort'; readonly key: string }
  | { readonly do: 'lease'; readonly key: string; readonly how: 'create' | 'idle'; readonly directory?: string }
  /** One turn of a leased session. */
  | { readonly do: 'prompt'; readonly lease: string; readonly key: string; readonly task: TaskPlan }
  | { readonly do: 'abortLease' | 'release' | 'delete' | 'alive' | 'revert'; readonly lease: string }
  | { readonly do: 'runAll'; readonly key: string; readonly tasks: readonly TaskPlan[]; readonly leaveAfter?: number }
  | { readonly do: 'drain' | 'stop' | 'rotate' | 'cleanup' }
);

/** What goes wrong with servers and streams. */
export type Fault = { readonly when: When } & (
  | { readonly what: 'wedge' | 'streamFails' | 'dispose' | 'grows' }
  /** The newest server, or the one that was there before. */
  | { readonly what: 'kill'; readonly which?: 'first' }
  /** Another client does something to a session: the one at work for longest, if absent. */
  | { readonly what: 'abortsOutside' | 'promptsOutside' | 'deletesOutside'; readonly which?: 'last' | 'idle' }
  /** No session can be made. */
  | { readonly what: 'diskFull'; readonly forMs: number }
  /** The stream breaks off; a silent cut is noticed by the watchdog alone. */
  | { readonly what: 'cut'; readonly silent: boolean; readonly forMs: number }
  /** Events come late. */
  | { readonly what: 'lag'; readonly lagMs: number; readonly forMs: number }
  /** Answers come late; events stay in time. */
  | { readonly what: 'slow'; readonly delayMs: number; readonly forMs: number }
  /** The next starts of a server fail. */
  | { readonly what: 'startFails'; readonly times: number }
);
