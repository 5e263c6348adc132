import { useEffect, useState } from 'react';
import type { BatchAttempt, BatchRow, BatchTask } from '../../batch/format.ts';
import { readTask } from '../../batch/store.ts';
import { plain } from '../../batch/words.ts';
import { formatAge, formatCost, formatCount, formatTook } from '../format.ts';
import { useController, usePage } from '../hooks.ts';
import { Conversation, LiveConversation } from './conversation.tsx';

/** Somebody who goes from row to row does not have each of them read. */
const restMs = 120;

interface TaskPanelProps {
  readonly row: BatchRow | undefined;
  readonly isLive: boolean;
  readonly nowMs: number;
}

/** The task that was chosen: its attempts, its answer, and what was said and done. */
export function TaskPanel({ row, isLive, nowMs }: TaskPanelProps) {
  const controller = useController();
  if (!row)
    return (
      <section className="panel task-panel" aria-label="Task">
        <p className="empty">Choose a task to read its answer and its conversation.</p>
      </section>
    );
  return (
    <section className="panel task-panel" aria-label={`Task ${row.key}`} data-testid="task">
      <div className="panel-head">
        <h2>{row.key}</h2>
        <span className="spacer" />
        {row.sessionId !== null && isLive && controller.state.info.mode === 'live' && (
          <button type="button" onClick={() => controller.choose({ view: 'sessions', actor: row.sessionId!, centre: 'session' })}>
            Its session
          </button>
        )}
        <button type="button" onClick={() => controller.choose({ task: null })}>
          Close
        </button>
      </div>
      <TaskDetails key={row.key} row={row} nowMs={nowMs} />
    </section>
  );
}

function TaskDetails({ row, nowMs }: { readonly row: BatchRow; readonly nowMs: number }) {
  const [wanted, setWanted] = useState<number | undefined>(undefined);
  const { task, problem } = useTask(row, wanted);
  const { info } = usePage();
  if (problem !== null) return <p className="empty">{problem}</p>;
  if (!task) return <p className="empty">Reading …</p>;
  const inFlight = task.attempts.at(-1)?.outcome === null ? task.attempts.at(-1)!.attempt : 0;
  const shown = wanted ?? (row.state === 'running' ? inFlight : task.attempt);
  return (
    <div className="task-details" tabIndex={0} role="region" aria-label="What was said and done">
      {row.error?.message !== undefined && row.state !== 'running' && <p className="problem">{row.error.message}</p>}
      <Attempts task={task} shown={shown} nowMs={nowMs} onChoose={setWanted} />
      {!info.content && <p className="empty">Prompts and answers are shown with --content.</p>}
      {info.content && shown === inFlight && row.sessionId !== null && <LiveConversation sessionId={row.sessionId} />}
      {info.content && shown !== inFlight && <Conversation task={task} />}
    </div>
  );
}

/** Read again when the task has moved on; what is there stays until then. */
function useTask({ key, state, attempt }: BatchRow, wanted: number | undefined) {
  const [read, setRead] = useState<{ readonly task: BatchTask | undefined; readonly problem: string | null }>({
    task: undefined,
    problem: null,
  });
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      readTask(key, wanted, stop.signal)
        .then((task) => setRead({ task, problem: null }))
        .catch((error: Error) => stop.signal.aborted || setRead({ task: undefined, problem: error.message }));
    }, restMs);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [key, state, attempt, wanted]);
  return read;
}

interface AttemptsProps {
  readonly task: BatchTask;
  /** Number of the attempt that is shown. */
  readonly shown: number;
  readonly nowMs: number;
  readonly onChoose: (attempt: number) => void;
}

function Attempts({ task: { attempts }, shown, nowMs, onChoose }: AttemptsProps) {
  if (attempts.length === 0) return <p className="muted">It has not begun.</p>;
  return (
    <ol className="attempts" aria-label="Attempts">
      {attempts.map((one) => (
        <li key={one.attempt}>
          <button type="button" aria-pressed={one.attempt === shown} onClick={() => onChoose(one.attempt)}>
            Attempt {one.attempt}
          </button>{' '}
          <span>{attemptText(one, nowMs)}</span>
        </li>
      ))}
    </ol>
  );
}

function attemptText({ outcome, startedAtMs, durationMs, tokens, costUsd, error }: BatchAttempt, nowMs: number): string {
  if (outcome === null) return startedAtMs === null ? 'no end is known' : `begun ${formatAge(nowMs - startedAtMs)} ago`;
  const used = tokens === 0 ? [] : [`${formatCount(tokens)} tokens`, formatCost(costUsd)];
  const parts = [plain(outcome), ...(durationMs === null ? [] : [formatTook(durationMs)]), ...used, ...(error ? [error.code] : [])];
  return parts.join(' · ');
}
