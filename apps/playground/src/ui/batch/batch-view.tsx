import { useMemo, useState, useSyncExternalStore } from 'react';
import type { BatchRow } from '../../batch/format.ts';
import { matching, ordered, totalsOf, withUsage, type BatchCriteria } from '../../batch/order.ts';
import type { BatchMoment, BatchStore } from '../../batch/store.ts';
import type { PoolSays } from '../../batch/why.ts';
import { useCalmMoment, usePage } from '../hooks.ts';
import { BatchHeader } from './batch-header.tsx';
import { useNow } from './now.ts';
import { TaskPanel } from './task-panel.tsx';
import { TaskTable } from './task-table.tsx';

/** The tasks of a run: what stands in the way first, and the conversation of the one that was chosen. */
export function BatchView({ batch }: { readonly batch: BatchStore }) {
  const moment = useSyncExternalStore(batch.subscribe, () => batch.moment());
  const { choice } = usePage();
  const { view } = useCalmMoment();
  const [criteria, setCriteria] = useState<BatchCriteria>({ text: '', state: null });
  const isLive = moment.head?.standing === 'live';
  const nowMs = useNow(isLive);
  const asking = [...view.sessions.values()].filter(({ path }) => path === 'active.awaitingInput').map(({ id }) => id);
  const rows = useOrdered(moment, asking.join(' '));
  const shown = useMemo(() => matching(rows, criteria), [rows, criteria]);
  const ended = useMemo(() => totalsOf(rows), [rows]);
  const totals = withUsage(
    ended,
    sessionsInFlight(rows).map((id) => view.sessions.get(id)?.usage),
  );
  const chosen = choice.task === null ? undefined : moment.rows.get(choice.task);
  return (
    <main className="batch" id="view" data-chosen={chosen !== undefined}>
      <BatchHeader moment={moment} totals={totals} pool={poolSays(view.pool)} nowMs={nowMs} criteria={criteria} onCriteria={setCriteria} />
      <TaskTable
        rows={shown}
        all={moment.rows}
        isWhole={moment.head !== undefined}
        isLive={isLive}
        nowMs={nowMs}
        chosen={choice.task}
        criteria={criteria}
      />
      <TaskPanel row={chosen} isLive={isLive} nowMs={nowMs} />
    </main>
  );
}

/** Sorted again only when a row, or who asks, has changed: 10,000 rows take some milliseconds. */
function useOrdered({ rows, version }: BatchMoment, asking: string) {
  return useMemo(() => {
    const sessions = new Set(asking.split(' '));
    const keys = [...rows.values()].filter(({ sessionId }) => sessionId !== null && sessions.has(sessionId)).map(({ key }) => key);
    return ordered(rows.values(), new Set(keys));
  }, [rows, version, asking]);
}

/** Those in flight come first. */
function sessionsInFlight(rows: readonly BatchRow[]): readonly string[] {
  const end = rows.findIndex(({ state }) => state !== 'running');
  return rows.slice(0, end === -1 ? rows.length : end).flatMap(({ sessionId }) => sessionId ?? []);
}

function poolSays(pool: ReturnType<typeof useCalmMoment>['view']['pool']): PoolSays | undefined {
  return pool && { ...(pool.context as Omit<PoolSays, 'path'> | undefined), path: pool.path };
}
