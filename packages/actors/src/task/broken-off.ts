import type { MessageHistory } from '@opencode-manager/core/protocol';
import type { PortCall, ServerPort, SessionPort } from '../ports/index.ts';
import type { PriceTable } from '../session/prices.ts';
import type { TurnPlan } from '../session/turn-in-flight.ts';
import { TurnObserver } from '../session/turn-observer.ts';
import { spentOf, type Spent } from './spent.ts';

/** How deep sub-agents of sub-agents are read. */
const deepest = 8;

export interface BrokenOffTurn {
  readonly server: ServerPort;
  readonly session: SessionPort;
  readonly plan: TurnPlan;
  /** Of the session. */
  readonly history: readonly MessageHistory[];
  readonly prices: PriceTable;
}

/** What a turn has taken that nobody saw to its end, by the steps that it and its sub-agents left; of a session that cannot be read, nothing. */
export async function spentBrokenOff({ server, session, plan, history, prices }: BrokenOffTurn, call: PortCall): Promise<Spent> {
  const { messageId, kind } = plan.request;
  const observer = new TurnObserver({ messageId, kind, prices });
  observer.history(history);
  await addChildren(observer, { server, parent: session, depth: 0 }, call).catch(() => undefined);
  return spentOf(observer.summary());
}

async function addChildren(
  observer: TurnObserver,
  { server, parent, depth }: { readonly server: ServerPort; readonly parent: SessionPort; readonly depth: number },
  call: PortCall,
): Promise<void> {
  if (depth >= deepest) return;
  for (const { id, directory } of await parent.children(call)) {
    const child = server.session(id, directory);
    observer.childHistory(await child.history(call));
    await addChildren(observer, { server, parent: child, depth: depth + 1 }, call);
  }
}
