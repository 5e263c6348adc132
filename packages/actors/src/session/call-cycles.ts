import type { PartFacts } from '@opencode-manager/core/protocol';

type ToolFacts = Extract<PartFacts, { type: 'tool' }>;

/** Longest cycle that is looked for, in calls. */
const longestPeriod = 8;

/**
 * Notices that a turn makes the same tool calls again and again: a cycle of up to eight calls whose inputs and results are equal. Polling
 * whose result changes is none. A call costs a hash of its input and result, and eight comparisons.
 */
export class CallCycles {
  readonly #counted = new Set<string>();
  /** The newest calls, the newest one last. */
  readonly #recent: string[] = [];
  /** For each period: how many calls in a row were equal to the one a period before. */
  readonly #equal = Array.from({ length: longestPeriod }, () => 0);

  /** Counts a call once it has its result. */
  add({ id, tool, status, input, output }: ToolFacts): void {
    if ((status !== 'completed' && status !== 'failed') || this.#counted.has(id)) return;
    this.#counted.add(id);
    const call = `${tool} ${status} ${hash(JSON.stringify(input) ?? '')} ${hash(output)}`;
    for (const [index, run] of this.#equal.entries()) this.#equal[index] = this.#recent.at(-index - 1) === call ? run + 1 : 0;
    this.#recent.push(call);
    if (this.#recent.length > longestPeriod) this.#recent.shift();
  }

  /** The cycle that was repeated most often: the newest calls are so many whole repetitions of it. */
  get longest(): { readonly repetitions: number; readonly period: number } {
    let best = { repetitions: 0, period: 1 };
    if (this.#counted.size === 0) return best;
    for (const [index, run] of this.#equal.entries()) {
      const period = index + 1;
      const repetitions = Math.floor(run / period) + 1;
      if (repetitions > best.repetitions) best = { repetitions, period };
    }
    return best;
  }
}

/** FNV-1a in two halves with the length: outputs of megabytes are compared without being kept. */
function hash(text: string): string {
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ (code + index), 0x85ebca6b);
  }
  return `${text.length}.${(low >>> 0).toString(36)}.${(high >>> 0).toString(36)}`;
}
