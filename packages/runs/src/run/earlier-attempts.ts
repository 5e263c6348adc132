import type { TaskAttempt, TaskResult } from '@opencode-manager/actors';
import type { JournalRow } from '../journal/events.ts';

interface Earlier {
  readonly attempts: readonly TaskAttempt[];
  readonly halfChanged: boolean;
}

/** What a result tells of the attempts before it that the loss of a server, or of a manager, ended. */
export class EarlierAttempts {
  readonly #byKey = new Map<string, Earlier>();

  note({ event }: JournalRow): void {
    if (event.type === 'task.added') this.#byKey.delete(event.key);
    if (event.type !== 'attempt.ended') return;
    const { key, attempt, final, billed, outcome, result, abortedBy } = event;
    if (final) return void this.#byKey.delete(key);
    const wasEnded = outcome === 'aborted' && abortedBy === 'manager';
    if (outcome !== 'interrupted' && outcome !== 'server_lost' && !wasEnded) return;
    const { attempts = [], halfChanged = false } = this.#byKey.get(key) ?? {};
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
      attempts: [...attempts, told],
      // One that was ended with its run says nothing of it itself; with a place of its own it has a base.
      halfChanged: halfChanged || result.workspace_may_be_half_changed === true || (wasEnded && billed && result.base_commit === undefined),
    });
  }

  of(key: string): Pick<TaskResult, 'attempts' | 'workspace_may_be_half_changed'> {
    const { attempts = [], halfChanged = false } = this.#byKey.get(key) ?? {};
    return { ...(attempts.length > 0 && { attempts }), ...(halfChanged && { workspace_may_be_half_changed: true }) };
  }
}
