import type { TaskAttempt, TaskLimits, TaskResult } from '@opencode-manager/actors';
import type { AttemptEnded, JournalRow } from '../journal/events.ts';
import { addSpent, nothingSpent, takenBy, type Taken } from '../machine/index.ts';

interface Earlier {
  /** What they have taken of the task's budget. */
  readonly steps: number;
  readonly spent: Taken;
  /** Of these what the newest told. */
  readonly newest: { readonly steps: number; readonly spent: Taken };
  readonly attempts: readonly TaskAttempt[];
  readonly halfChanged: boolean;
}

const nothing = { steps: 0, spent: nothingSpent };
const none: Earlier = { ...nothing, newest: nothing, attempts: [], halfChanged: false };

/** What a result tells of the attempts before it that the loss of a server, or of a manager, ended. */
export class EarlierAttempts {
  readonly #byKey = new Map<string, Earlier>();

  note({ event }: JournalRow): void {
    if (event.type === 'task.added') this.#byKey.delete(event.key);
    if (event.type !== 'attempt.ended') return;
    const { key, final, result } = event;
    if (final) return void this.#byKey.delete(key);
    const known = this.#byKey.get(key) ?? none;
    const newest = { steps: result.model_calls, spent: takenBy(result) };
    // One that goes on in a session tells the parts before it again.
    const again = event.continues === undefined ? none : known.newest;
    this.#byKey.set(key, {
      ...known,
      steps: known.steps + newest.steps - again.steps,
      spent: addSpent(known.spent, { tokens: newest.spent.tokens - again.spent.tokens, usd: newest.spent.usd - again.spent.usd }),
      newest,
    });
    this.#noteBroken(event);
  }

  #noteBroken({ key, attempt, billed, outcome, result, abortedBy }: AttemptEnded): void {
    const wasEnded = outcome === 'aborted' && abortedBy === 'manager';
    if (outcome !== 'interrupted' && outcome !== 'server_lost' && !wasEnded) return;
    const known = this.#byKey.get(key)!;
    const { attempts, halfChanged } = known;
    const { session_id: session, message_id: message, model_calls: calls, ref, patch } = result;
    const told: TaskAttempt = {
      attempt,
      session_id: session ?? '',
      message_id: message ?? '',
      outcome: billed ? 'interrupted' : 'never_started',
      model_calls: calls,
      ...(ref !== undefined && { ref }),
      ...(patch !== undefined && { patch }),
    };
    this.#byKey.set(key, {
      ...known,
      attempts: [...attempts, told],
      // One that was ended with its run says nothing of it itself; with a place of its own it has a base.
      halfChanged: halfChanged || result.workspace_may_be_half_changed === true || (wasEnded && billed && result.base_commit === undefined),
    });
  }

  /** What is left of a task's budgets, which are for all of its attempts. One that is spent lets no more than one step be. */
  left(key: string, limits: TaskLimits): TaskLimits {
    const earlier = this.#byKey.get(key);
    if (!earlier) return limits;
    const { steps, tokens, usd } = limits;
    return {
      ...limits,
      ...(steps !== undefined && { steps: Math.max(1, steps - earlier.steps) }),
      ...(tokens !== undefined && { tokens: Math.max(1, tokens - earlier.spent.tokens) }),
      ...(usd !== undefined && { usd: Math.max(Number.EPSILON, usd - earlier.spent.usd) }),
    };
  }

  of(key: string): Pick<TaskResult, 'attempts' | 'workspace_may_be_half_changed'> {
    const { attempts = [], halfChanged = false } = this.#byKey.get(key) ?? {};
    return { ...(attempts.length > 0 && { attempts }), ...(halfChanged && { workspace_may_be_half_changed: true }) };
  }
}
