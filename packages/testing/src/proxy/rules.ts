import { matchesRequest } from './request-head.ts';
import { checkRule } from './schema.ts';
import type { FaultRule, NetworkFault, RemoveRule, RequestHead } from './types.ts';

/** What a rule does to one request. */
export interface ChosenFaults {
  readonly rule: string;
  readonly faults: readonly NetworkFault[];
}

interface ActiveRule {
  readonly name: string;
  readonly rule: FaultRule;
  matched: number;
  applied: number;
}

/** The rules in the order of their adding. Counts are kept per rule, so equal requests get equal faults. */
export class RuleSet {
  #rules: ActiveRule[] = [];
  #added = 0;

  add(rule: FaultRule): RemoveRule {
    checkRule(rule);
    this.#added += 1;
    const active = { name: rule.name ?? `rule ${this.#added}`, rule, matched: 0, applied: 0 };
    this.#rules.push(active);
    const remove = () => {
      this.#rules = this.#rules.filter((other) => other !== active);
    };
    return Object.assign(remove, { [Symbol.dispose]: remove });
  }

  clear(): void {
    this.#rules = [];
  }

  /** The first rule that applies to this request; each call counts as a request. */
  choose(head: RequestHead): ChosenFaults | undefined {
    const active = this.#rules.find((candidate) => takes(candidate, head));
    return active && { rule: active.name, faults: [active.rule.fault].flat() };
  }
}

function takes(active: ActiveRule, head: RequestHead): boolean {
  const { when = {}, nth, times = Infinity } = active.rule;
  if (active.applied >= times || !matchesRequest(when, head)) return false;
  active.matched += 1;
  if (!isInRange(active.matched, nth)) return false;
  active.applied += 1;
  return true;
}

function isInRange(count: number, nth: FaultRule['nth']): boolean {
  if (nth === undefined) return true;
  const { from = 1, to = Infinity } = typeof nth === 'number' ? { from: nth, to: nth } : nth;
  return count >= from && count <= to;
}
