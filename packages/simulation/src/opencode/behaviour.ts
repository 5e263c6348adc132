import type { ProtocolName } from '@opencode-manager/core/protocol';
import type { RefusalScript } from '../plan/types.ts';

/** In what opencode 1.x and 2.x differ, where hosts can see it: at the ports, behind the adapter of each protocol. Times in milliseconds. */
export interface Behaviour {
  readonly version: string;
  /** A prompt is in the history once it was accepted; else once its turn begins, and until then an abort takes it back. */
  readonly storesPromptsAtOnce: boolean;
  /** The same prompt once more is taken once, so that a lost one can be sent again. */
  readonly takesPromptsOnce: boolean;
  /** A command is answered when it was accepted, and its message has an id of the server's own. */
  readonly namesCommands: boolean;
  /** A shell line is no execution: nothing else of the session concerns it. */
  readonly hasLines: boolean;
  /** A step is told when the provider is asked; else when its answer begins. */
  readonly tellsStepsWhenAsked: boolean;
  /** What a try had said stays in the message beside the next try; else that message ends with an error, and another one follows. */
  readonly keepsBrokenText: boolean;
  /** After a compaction a turn goes on under a user message of the server's own, which is told; else under the user's. */
  readonly goesOnUnderCompaction: boolean;
  /** How often a provider that refuses is asked again. */
  readonly mostRetries: number;
  retryDelayMs(attempt: number, scripted: RefusalScript): number;
  /** Events repeat an idle. */
  readonly repeatsIdle: boolean;
  /** The asks of a turn that is over stay in the lists. */
  readonly keepsAsks: boolean;
  /** What an abort takes, unless a tool ignores it. */
  readonly abortMs: readonly [number, number];
  /** An abort ends sub-agents that the turn does not wait for, too. */
  readonly abortsBackground: boolean;
  /** The end of work in the background begins a further execution, which is part of the turn. */
  readonly followsBackground: boolean;
  /** A turn that ends before its first step, or in a wait for its provider, is shown by reads with an answer of the adapter's. */
  readonly showsEndsWithoutAnswer: boolean;
  /** A session that is deleted ends its turn. */
  readonly deletesWork: boolean;
  /** Turns of a directory can be ended by a request. */
  readonly disposes: boolean;
  /** A process that is asked to end closes its steps; so does one whose manager is gone. */
  readonly endsInOrder: boolean;
  /** A message of which nothing was said is gone with its process. */
  readonly losesSilentSteps: boolean;
  /** Events that were missed come again, if they are stored. */
  readonly replays: boolean;
  /** An event may come twice. */
  readonly doublesEvents: boolean;
  /** The status shows a wait for the provider when the session was known to be at work for so long. */
  readonly retryShownAfterMs: number;
}

/** Seen at 1.18.33. */
const v1: Behaviour = {
  version: '1.18.33',
  storesPromptsAtOnce: true,
  takesPromptsOnce: false,
  namesCommands: false,
  hasLines: false,
  tellsStepsWhenAsked: false,
  keepsBrokenText: true,
  goesOnUnderCompaction: true,
  mostRetries: 5,
  retryDelayMs: (_attempt, { afterMs }) => afterMs,
  repeatsIdle: true,
  keepsAsks: true,
  abortMs: [14, 60],
  abortsBackground: true,
  followsBackground: false,
  showsEndsWithoutAnswer: false,
  deletesWork: false,
  disposes: true,
  endsInOrder: false,
  losesSilentSteps: false,
  replays: true,
  doublesEvents: true,
  retryShownAfterMs: 0,
};

/** Of 2.x, whatever a script says: 2, 4, 8, then 10 s. */
const retryDelaysMs = [2000, 4000, 8000] as const;

/** Seen at 2.0.15. */
const v2: Behaviour = {
  version: '2.0.15',
  storesPromptsAtOnce: false,
  takesPromptsOnce: true,
  namesCommands: true,
  hasLines: true,
  tellsStepsWhenAsked: true,
  keepsBrokenText: false,
  goesOnUnderCompaction: false,
  mostRetries: 10,
  retryDelayMs: (attempt) => retryDelaysMs[attempt - 1] ?? 10_000,
  repeatsIdle: false,
  keepsAsks: false,
  abortMs: [3, 160],
  abortsBackground: false,
  followsBackground: true,
  showsEndsWithoutAnswer: true,
  deletesWork: true,
  disposes: false,
  endsInOrder: true,
  losesSilentSteps: true,
  replays: false,
  doublesEvents: false,
  retryShownAfterMs: 1000,
};

/** The behaviour of each protocol's server. */
export const behaviours: Readonly<Record<ProtocolName, Behaviour>> = { v1, v2 };
