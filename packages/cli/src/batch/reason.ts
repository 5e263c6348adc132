import type { TaskResult } from '@opencode-manager/actors';
import { printable } from '../render/index.ts';

/** Why a task has not succeeded. */
export function reasonOf({ outcome, error, asks, reset_at: resetAt }: TaskResult): string {
  const denied = asks.find(({ answer }) => answer === 'denied' || answer === 'unanswered');
  const reason = error ? `${error.code}: ${printable(error.message)}` : outcome;
  const ask = denied
    ? ` (an ask was ${denied.answer}: ${[denied.permission, ...(denied.patterns ?? [])].filter(Boolean).join(' ')}; see --permissions)`
    : '';
  return `${reason}${ask}${resetAt ? ` (free again at ${resetAt})` : ''}`;
}
