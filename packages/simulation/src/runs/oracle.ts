import type { Driver } from '../world/driver.ts';
import type { World } from '../world/world.ts';
import type { SimulatedDisk } from './disk.ts';
import { judgeCounts, judgeTold } from './judge-counts.ts';
import { judgeDeaths } from './judge-deaths.ts';
import { judgeParks, judgeProviders } from './judge-parks.ts';
import { judgeDeletions, judgeOutcomes, judgePrompts, judgeWishes } from './judge-prompts.ts';
import { judgeRows } from './judge-rows.ts';
import type { Manager } from './manager.ts';
import type { RunPlan } from './plan.ts';
import type { Witness } from './witness.ts';

/** The promises of a run, in the words of `docs/simulation.md`. */
export type RunRule =
  | 'one-end-each'
  | 'counts-add-up'
  | 'tries-are-apart'
  | 'old-tokens-count-for-nothing'
  | 'parked-goes-on'
  | 'providers-are-apart'
  | 'prompted-once'
  | 'intent-first'
  | 'ended-is-ended'
  | 'told-is-durable'
  | 'success-is-true'
  | 'as-without-kills'
  | 'wishes-are-heard'
  | 'suspects-run-alone'
  | 'restarts-are-limited'
  | 'one-append-at-a-time'
  | 'everything-settles'
  | 'all-given-back'
  | 'no-uncaught-error';

/** What the owner of a run wished of a manager. */
export interface HeardWish {
  readonly wish: 'abort' | 'drain';
  readonly atMs: number;
  readonly manager: number;
}

export interface RunViolation {
  readonly rule: RunRule;
  readonly text: string;
}

/** All that is judged: the server's ledger, the durable rows, and what users were told; never a machine. */
export interface RunEvidence {
  readonly plan: RunPlan;
  readonly world: World;
  readonly disk: SimulatedDisk;
  readonly witness: Witness;
  readonly driver: Driver;
  readonly managers: readonly Manager[];
  /** The script of each turn that was sent, in the order of the ledger. */
  readonly scripts: readonly number[];
  readonly wishes: readonly HeardWish[];
}

export type RunReporter = (rule: RunRule, text: string) => void;

/** A violation without what differs from world to world. */
export function runKindOf({ rule, text }: RunViolation): string {
  const plain = text
    .replaceAll(/\bt\d+\b/g, 'task')
    .replaceAll(/\b(?:ses|msg)_\w+/g, '$ID')
    .replaceAll(/\d[\d.]*/g, '#');
  return `${rule}: ${plain}`;
}

/** Compares what became of a run with what truly happened. */
export function judgeRun(evidence: RunEvidence): { violations: readonly RunViolation[]; outcomes: ReadonlyMap<string, string> } {
  const { driver, witness } = evidence;
  const violations: RunViolation[] = [...witness.violations];
  const report: RunReporter = (rule, text) => void violations.push({ rule, text });
  if (driver.hang !== undefined) report('everything-settles', `Nothing will settle ${driver.hang} any more.`);
  for (const text of driver.uncaught) report('no-uncaught-error', text);
  const outcomes = judgeRows(evidence, report);
  judgePrompts(evidence, report);
  judgeDeletions(evidence, report);
  judgeParks(evidence, report);
  judgeProviders(evidence, report);
  judgeWishes(evidence, report);
  judgeDeaths(evidence, report);
  judgeOutcomes(evidence, report);
  judgeCounts(evidence, outcomes, report);
  judgeTold(evidence, report);
  if (driver.hang === undefined) judgeRest(evidence, report);
  return { violations, outcomes };
}

function judgeRest({ world }: RunEvidence, report: RunReporter): void {
  const left = (text: string) => report('all-given-back', text);
  if (world.clock.liveTimers > 0) left(`${world.clock.liveTimers} timers are still set.`);
  for (const { name, state } of world.processes) if (state !== 'ended') left(`${name} still runs.`);
  for (const [index, { state }] of world.streams.entries())
    if (state !== 'closed' && state !== 'failed') left(`Stream ${index + 1} is still ${state}.`);
}
