import type { Clock } from '@opencode-manager/actors/hosts';
import type { writeTranscript } from './transcripts.ts';

/** All that the host of a run knows of the world, besides its pool and its store. */
export interface RunPorts {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Process id of this manager. */
  readonly pid: number;
  readonly hasDirectory: (path: string) => boolean;
  readonly writeTranscript: typeof writeTranscript;
}
