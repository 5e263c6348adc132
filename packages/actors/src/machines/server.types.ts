import type { SerializedError } from '@opencode-manager/core';

/** Why a server is replaced that runs. */
export type RotationReason = 'memory' | 'quarantine' | 'asked';

/** When a server's memory is too much. */
export interface MemoryLimit {
  /** Resident memory of the server's process, in bytes, above which it is replaced. */
  readonly maxBytes: number;
  /** A server that is younger than this is left alone, in milliseconds: a limit that every server exceeds must not keep them starting. */
  readonly minAgeMs: number;
}

export interface ServerContext {
  /** Counts the servers that took work, from 1. */
  readonly generation: number;
  /** Since when the present generation takes work, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** Servers started in place of one that was lost. */
  readonly restarts: number;
  /** Servers started in place of one that still ran. */
  readonly rotations: number;
  readonly rotationReason: RotationReason | null;
  /** Generations that take no new work and finish what they have. */
  readonly retiring: readonly number[];
  readonly memory: MemoryLimit | null;
  /** Last reading of the present generation. */
  readonly rssBytes: number | null;
  /** Why the newest server was lost, or could not be replaced. */
  readonly error: SerializedError | null;
}

export interface ServerInput {
  readonly memory?: MemoryLimit | null;
}

/** Everything the server machine reacts to. */
export type ServerMachineEvent =
  /** A server answers, and its events arrive: it takes work from now on. */
  | { readonly type: 'server.ready'; readonly atMs: number }
  /** The present generation ended or answers nothing. */
  | { readonly type: 'server.lost'; readonly error: SerializedError }
  /** It is not started again: the pool's restart budget is spent, or it is not for the pool to restart. */
  | { readonly type: 'server.given_up'; readonly error: SerializedError }
  | { readonly type: 'server.memory'; readonly rssBytes: number; readonly atMs: number }
  | { readonly type: 'rotation.wanted'; readonly reason: RotationReason }
  /** The next generation did not start: the present one goes on. */
  | { readonly type: 'rotation.failed'; readonly error: SerializedError; readonly atMs: number }
  /** A generation that was replaced has finished its turns and ended. */
  | { readonly type: 'generation.retired'; readonly generation: number }
  | { readonly type: 'server.stop' };
