import type { TaskResult } from '@opencode-manager/actors';
import type { AssistantMessageFacts } from '@opencode-manager/core/protocol';
import type { LedgerTurn } from '../opencode/ledger.ts';
import type { StoredMessage } from '../opencode/storage.ts';
import type { Call } from '../users.ts';
import type { World } from '../world/world.ts';
import type { Evidence } from './judge.ts';

/** A task whose result was told. */
export type Told = Call & { readonly task: string; readonly result: TaskResult; readonly endedAtMs: number };

/** The turn that a result is about, as the server had it. */
export function turnOf({ world }: Evidence, { result }: Told): LedgerTurn | undefined {
  return result.message_id === null ? undefined : world.ledger.turnOf(result.message_id);
}

/** Turns of sub-agents that began for a turn, before it was told. */
export function childrenOf(world: World, turn: LedgerTurn, untilMs: number): LedgerTurn[] {
  const next = nextOf(world, turn);
  return world.ledger.turns.filter(
    (other) =>
      other.rootId === turn.sessionId &&
      other.sessionId !== turn.sessionId &&
      other.deliveredAtMs >= turn.deliveredAtMs &&
      other.deliveredAtMs <= untilMs &&
      (next === undefined || other.deliveredAtMs < next.deliveredAtMs),
  );
}

/** How often a turn has asked its provider, its sub-agents included. */
export function callsOf(world: World, turn: LedgerTurn, untilMs: number): number {
  return [turn, ...childrenOf(world, turn, untilMs)].reduce((sum, { modelCalls }) => sum + modelCalls, 0);
}

/** The turn of the same session that came after. */
function nextOf({ ledger }: World, turn: LedgerTurn): LedgerTurn | undefined {
  return ledger.turns.find(
    (other) => other.sessionId === turn.sessionId && other.deliveredAtMs > turn.deliveredAtMs && other.how !== 'merged',
  );
}

export type Answer = StoredMessage & { readonly message: AssistantMessageFacts };

/** The assistant messages of a turn, as they stand now: those between its prompt and the next one, whatever their ids. */
export function answersOf(world: World, turn: LedgerTurn): Answer[] {
  const { messages = [] } = world.storage.sessions.get(turn.sessionId) ?? {};
  const prompts = new Map(world.ledger.turns.filter(({ how }) => how !== 'merged').map(({ promptId, messageId }) => [promptId, messageId]));
  const answers: Answer[] = [];
  let owner: string | undefined;
  for (const stored of messages) {
    owner = prompts.get(stored.message.id) ?? owner;
    if (owner === turn.messageId && isAnswer(stored)) answers.push(stored);
  }
  return answers;
}

function isAnswer(stored: StoredMessage): stored is Answer {
  return stored.message.role === 'assistant';
}

/** Milliseconds since the start, for reports. */
export function since({ queue, clock }: World, atMs: number): string {
  return `${((atMs - (queue.nowMs - clock.elapsed())) / 1000).toFixed(3)} s`;
}

/** Whether something was wrong with servers or streams within a while. */
export function wasTroubled({ ledger }: World, fromMs: number, toMs: number): boolean {
  return (
    ledger.losses.some((atMs) => atMs >= fromMs - 60_000 && atMs <= toMs) ||
    ledger.darkness.some((dark) => dark.fromMs <= toMs && (dark.toMs ?? Infinity) >= fromMs)
  );
}
