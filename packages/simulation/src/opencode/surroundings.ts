import type { FaultId } from '../fault-kinds.ts';
import type { Plan, Point, TurnScript } from '../plan/types.ts';
import type { VirtualClock } from '../world/clock.ts';
import type { EventQueue } from '../world/queue.ts';
import type { Randomness } from '../world/randomness.ts';
import type { Behaviour } from './behaviour.ts';
import type { Ledger } from './ledger.ts';
import type { Storage } from './storage.ts';

/** What every part of a world shares. */
export interface Surroundings {
  readonly plan: Plan;
  /** Of the opencode of this world. */
  readonly behaviour: Behaviour;
  readonly queue: EventQueue;
  readonly clock: VirtualClock;
  readonly random: Randomness;
  readonly ledger: Ledger;
  readonly storage: Storage;
  /** The turn that a model takes for a prompt. */
  readonly scriptOf: (prompt: string) => TurnScript;
  /** Writes a line of the history. */
  readonly tell: (who: string, what: string) => void;
  /** A fault happened. */
  readonly count: (fault: FaultId) => void;
  /** Something happened that plans refer to. */
  readonly hit: (point: Point) => void;
  readonly isDiskFull: () => boolean;
  /** A fresh id of a message, later than all before. */
  readonly messageId: () => string;
  /** A fresh id of anything else. */
  readonly id: (prefix: string) => string;
  /** An error as the ports throw it. */
  readonly error: (code: string, message: string) => Error;
}
