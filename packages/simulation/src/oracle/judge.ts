import type { SessionPool } from '@opencode-manager/actors';
import type { Users } from '../users.ts';
import type { World } from '../world/world.ts';
import { judgeCauses, judgeErrors } from './causes.ts';
import { judgeClaims } from './claims.ts';
import { judgeAborts, judgeLimits } from './limits.ts';
import { judgeFairness } from './fairness.ts';
import { judgeDelivery, judgeFollowing } from './following.ts';
import { judgeLeftovers } from './leftovers.ts';
import { judgePromptness, judgeReplacement, judgeStops } from './promptness.ts';
import { judgeServers } from './servers.ts';
import { judgeEnd } from './truth.ts';
import { judgeWaiting } from './waiting.ts';

/** A promise of the pool that a world has seen broken. */
export interface Violation {
  readonly rule: Rule;
  readonly text: string;
}

/** The promises, in the words of `docs/simulation.md`. */
export type Rule =
  | 'success-is-true'
  | 'everything-settles'
  | 'sent-once'
  | 'nothing-unfollowed'
  | 'all-given-back'
  | 'results-are-true'
  | 'no-uncaught-error'
  | 'within-limits'
  | 'providers-apart';

/** All that is judged: the server's ledger and what the users were told, never the machines. */
export interface Evidence {
  readonly world: World;
  readonly users: Users | undefined;
  readonly pool: SessionPool | undefined;
  /** What did not settle. */
  readonly hang: string | undefined;
  readonly uncaught: readonly string[];
  /** Why there is no pool. */
  readonly failure: unknown;
  /** `stop()` has resolved. */
  readonly stopped: boolean;
}

/** Notes a violation of a rule. */
export type Report = (rule: Rule, text: string) => void;

/** A violation without what differs from world to world: names of tasks, sessions and asks, times, counts, texts. */
export function kindOf({ rule, text }: Violation): string {
  const plain = text
    .replace(/^[TLA][\d.]+: /, '')
    .replaceAll(/"[^"]*"/g, '"..."')
    .replaceAll(/\b(?:ses|msg|per|que)_\w+/g, '$ID')
    .replaceAll(/\b(?:run|result|prompt) [TLA][\d.]+(?: L\d+)?(?:, )?/g, 'task ')
    .replaceAll(/\d[\d.]*/g, '#')
    .replaceAll(/(?:task )+/g, 'task ');
  return `${rule}: ${plain}`;
}

/** Compares what users were told with what truly happened. */
export function judge(evidence: Evidence): Violation[] {
  const violations: Violation[] = [];
  const report: Report = (rule, text) => void violations.push({ rule, text });
  if (evidence.hang !== undefined) report('everything-settles', `Nothing will settle ${evidence.hang || 'the world'} any more.`);
  for (const text of evidence.uncaught) report('no-uncaught-error', text);
  for (const call of evidence.users?.calls ?? []) {
    if (!call.result || call.task === undefined || call.endedAtMs === undefined) continue;
    const told = { ...call, result: call.result, task: call.task, endedAtMs: call.endedAtMs };
    judgeEnd(evidence, told, report);
    judgeClaims(evidence, told, report);
    judgeDelivery(evidence, told, report);
    judgeFollowing(evidence, told, report);
    judgeLimits(evidence, told, report);
    judgeCauses(evidence, told, report);
    judgePromptness(evidence, told, report);
    judgeReplacement(evidence, told, report);
  }
  judgeErrors(evidence, report);
  judgeStops(evidence, report);
  judgeAborts(evidence, report);
  judgeFairness(evidence, report);
  judgeServers(evidence, report);
  judgeWaiting(evidence, report);
  judgeLeftovers(evidence, report);
  return violations;
}
