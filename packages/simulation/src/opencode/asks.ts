import type { AskFacts } from '@opencode-manager/core/protocol';
import type { AskScript } from '../plan/types.ts';
import type { AskAnswer } from '../ports.ts';
import type { LedgerAsk } from './ledger.ts';
import type { StoredSession } from './storage.ts';
import type { Surroundings } from './surroundings.ts';

interface Entry {
  readonly facts: AskFacts;
  readonly record: LedgerAsk;
  /** Undefined once nobody waits any more. */
  onAnswer: ((answer: AskAnswer) => void) | undefined;
}

/** The open permissions and questions of one process. They go with it, and stay when their turn is aborted, but for 2.x. */
export class Asks {
  readonly #world: Surroundings;
  readonly #open = new Map<string, Entry>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  open(session: StoredSession, { kind, permission, pattern }: AskScript, onAnswer: (answer: AskAnswer) => void): AskFacts {
    const { queue, ledger, id: fresh, count } = this.#world;
    const id = fresh(kind === 'permission' ? 'per' : 'que');
    const record = { id, sessionId: session.id, rootId: session.rootId, kind, permission, pattern, openedAtMs: queue.nowMs };
    const asked = { kind, id, sessionId: session.id, directory: session.directory };
    const facts: AskFacts =
      kind === 'permission'
        ? { ...asked, permission, patterns: [pattern] }
        : { ...asked, questions: [{ question: pattern, options: ['yes', 'no'] }] };
    ledger.asks.push(record);
    this.#open.set(id, { facts, record, onAnswer });
    count(kind === 'permission' ? 'ask-permission' : 'ask-question');
    if (session.parentId !== undefined) count('child-asks');
    return facts;
  }

  list(kind: AskFacts['kind'], directory: string): AskFacts[] {
    return [...this.#open.values()].map(({ facts }) => facts).filter((ask) => ask.kind === kind && ask.directory === directory);
  }

  /** False for one that is not open. */
  answer(id: string, answer: AskAnswer): boolean {
    const entry = this.#open.get(id);
    if (!entry) return false;
    this.#open.delete(id);
    entry.record.closedAtMs = this.#world.queue.nowMs;
    entry.record.answer = answer.type;
    entry.onAnswer?.(answer);
    return true;
  }

  /** The turn that waits is over: the ask stays in the list, and nobody waits. */
  abandon(id: string): void {
    const entry = this.#open.get(id);
    if (!entry?.onAnswer) return;
    entry.onAnswer = undefined;
    entry.record.staleAtMs = this.#world.queue.nowMs;
    if (!this.#world.behaviour.keepsAsks) return void this.#open.delete(id);
    this.#world.count('ask-stale');
  }

  /** The process is gone. */
  drop(): void {
    for (const { record } of this.#open.values()) record.staleAtMs ??= this.#world.queue.nowMs;
    this.#open.clear();
  }
}
