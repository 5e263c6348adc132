import type { ProtocolName } from '@opencode-manager/core/protocol';
import type { Fault, LinkPlan, PoolPlan, TurnScript, When } from '../plan/types.ts';

/**
 * How far an append to the journal has come. `asked`: the host has asked for it. `torn`: its first row is written. `written`: all rows are, and
 * none is synced. `synced`: they survive everything, and nobody knows it. `acknowledged`: the host has done what waited for them.
 */
const stages = ['asked', 'torn', 'written', 'synced', 'acknowledged'] as const;
export type Stage = (typeof stages)[number];

/**
 * The end of a manager. `kill`: what it had written stays. `power`: what was not synced goes, or a part of it, and the server ends at the same
 * instant.
 */
export type ManagerKill = { readonly how: 'kill' | 'power' } & (
  | {
      /** The nth append of the run, whoever makes it. */
      readonly append: number;
      readonly stage: Stage;
    }
  | { readonly when: When }
);

/** The answer that fits no schema, and how often a task is told so, as a run has it. */
export const unfitAnswer = 'unfit';
export const mostCorrections = 2;

export interface RunTaskPlan {
  readonly key: string;
  readonly after: readonly string[];
  readonly retries: number;
  readonly timeoutMs?: number;
  readonly directory?: string;
  /** Its answer is held against a schema; `unfit` is the one that does not fit. */
  readonly hasSchema?: true;
  /** The account that it asks. */
  readonly provider: 'alpha' | 'beta';
  /** Each turn takes the next one, once a turn before it has come to its own end; the last one repeats. */
  readonly scripts: readonly number[];
}

/** A world of a run before it runs: plain JSON. */
export interface RunPlan {
  readonly version: 1;
  readonly seed: number;
  readonly profile: string;
  readonly protocol: ProtocolName;
  readonly concurrency: number;
  readonly pool: PoolPlan;
  readonly link: LinkPlan;
  readonly scripts: readonly TurnScript[];
  readonly tasks: readonly RunTaskPlan[];
  /** Of servers, streams and the way to them. */
  readonly faults: readonly Fault[];
  readonly disk: {
    /** How long a sync takes, in milliseconds. */
    readonly syncMs: readonly [number, number];
    /** When there is no room on it, and for how long. */
    readonly full: readonly { readonly when: When; readonly forMs: number }[];
  };
  readonly kills: readonly ManagerKill[];
  /** What the owner of the run wishes of the manager of the moment. */
  readonly wishes: readonly { readonly when: When; readonly wish: 'abort' | 'drain' }[];
}
