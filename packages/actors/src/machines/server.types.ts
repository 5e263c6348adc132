import type { SerializedError } from '@opencode-manager/core';
import type { RestartLimits } from './pool.types.ts';

/** Why a server is replaced that runs. */
export type RotationReason = 'memory' | 'quarantine' | 'asked';

/** When a server's memory is too much. */
export interface MemoryLimit {
  /** Resident memory of the server's process, in bytes, above which it is replaced. */
  readonly maxBytes: number;
  /** Bytes that it may have more for each directory that it holds. Default 0. */
  readonly perDirectoryBytes?: number;
  /** Never more than this, however many directories it holds; no bound when absent. */
  readonly mostBytes?: number;
  /** A server that is younger than this is left alone, in milliseconds: a limit that every server exceeds must not keep them starting. */
  readonly minAgeMs: number;
}

/** What is noted of a server that has turns: the present one, and each that retires. */
export interface WatchedServer {
  readonly generation: number;
  /** Probes in a row without an answer, and without a byte on the event stream since the first of them. */
  readonly strikes: number;
  /** Start of the first of those probes. */
  readonly silentSinceMs: number;
  /** When its event stream was opened anew, within the window of the restart limits. */
  readonly streamRestarts: readonly number[];
  /** It is being ended. */
  readonly ending: boolean;
}

export interface ServerContext {
  /** Counts the servers that took work, from 1. */
  readonly generation: number;
  /** Since when the present generation takes work, in milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly restartLimits: RestartLimits;
  /** Whether servers may be started here: by the pool's options, and until the pool stops. */
  readonly mayStart: boolean;
  /** Servers started in place of one that was lost, and when those of the window were. */
  readonly restarts: number;
  readonly restartTimes: readonly number[];
  readonly restartDelayMs: number;
  /** Servers started in place of one that still ran. */
  readonly rotations: number;
  readonly rotationReason: RotationReason | null;
  /** Generations that take no new work and finish what they have. */
  readonly retiring: readonly number[];
  /** The present generation, and those that retire. */
  readonly watched: readonly WatchedServer[];
  readonly memory: MemoryLimit | null;
  /** Last reading of the present generation. */
  readonly rssBytes: number | null;
  /** The present generation came in the place of one that was too large, and is still too young to say whether that helped. */
  readonly replacedForMemory: boolean;
  /** No server is replaced for its memory before this, in milliseconds since the epoch: the last time freed nothing. */
  readonly memoryHeldUntilMs: number | null;
  /** Probes in a row without an answer that make a server lost. */
  readonly maxStrikes: number;
  /** Why the newest server was lost, or could not be replaced. */
  readonly error: SerializedError | null;
}

export interface ServerInput {
  readonly memory?: MemoryLimit | null;
  readonly restartLimits?: Partial<RestartLimits>;
  /** Default true. */
  readonly mayStart?: boolean;
  readonly maxStrikes?: number;
}

interface At {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Which server a fact is about; the present one when absent. */
interface Of {
  readonly generation?: number;
}

/** Everything the server machine reacts to. `jitter` is in [-1, 1]. */
export type ServerMachineEvent =
  /** A server answers, and its events arrive: it takes work from now on. */
  | ({ readonly type: 'server.ready' } & At & Of)
  /** A server ended, answers nothing, or did not start. `isExpected`: somebody stopped it, and wants none in its place. */
  | ({ readonly type: 'server.lost'; readonly error: SerializedError; readonly jitter?: number; readonly isExpected?: boolean } & At & Of)
  /** `directories`: how many it holds. */
  | ({ readonly type: 'server.memory'; readonly rssBytes: number; readonly directories?: number } & At & Of)
  /** It answered a probe, or its event stream brought something. */
  | ({ readonly type: 'probe.answered' } & Of)
  /** No answer came. `startedAtMs`: of the probe; `lastRecordAtMs`: when the newest byte came on the event stream. */
  | ({
      readonly type: 'probe.unanswered';
      readonly startedAtMs: number;
      readonly lastRecordAtMs: number | null;
      readonly output: string;
      readonly jitter?: number;
    } & At &
      Of)
  /** Nothing more will come of an event stream. */
  | ({ readonly type: 'stream.failed'; readonly error: SerializedError; readonly jitter?: number } & At & Of)
  /** The session of a turn is not used again, and the server may still work on the turn. */
  | ({ readonly type: 'turn.quarantined' } & Of)
  | { readonly type: 'rotation.wanted'; readonly reason: RotationReason }
  /** The next generation did not start: the present one goes on. */
  | ({ readonly type: 'rotation.failed'; readonly error: SerializedError; readonly jitter?: number } & At)
  /** No turn is in flight on a generation. */
  | { readonly type: 'generation.unused'; readonly generation: number }
  /** Raised by the machine itself: what a turn sends behind its end has arrived. */
  | { readonly type: 'generation.due'; readonly generation: number }
  /** A generation that was replaced has ended. */
  | { readonly type: 'generation.retired'; readonly generation: number }
  /** The pool stops: no server is started any more. */
  | { readonly type: 'restarts.forbidden' }
  | { readonly type: 'server.stop' };
