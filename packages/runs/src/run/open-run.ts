import { createSessionPool, type SessionPool } from '@opencode-manager/actors';
import { prepareRun } from './prepare-run.ts';
import type { ResumeOptions, Run, RunOptions } from './types.ts';

/**
 * Begins a run: makes its directory, starts an isolated server whose state lies there, and carries the tasks to their end. What an attempt will send is
 * in the journal before it goes out, and what became of it before anybody is told; a run whose manager dies is taken up with {@link resumeRun}.
 * @throws OpencodeManagerError before anything is started: `TASK_DUPLICATE`, `TASK_INVALID`, `TASK_ORDER_INVALID`, `RUN_DIRECTORY_UNSAFE`,
 * `RUN_EXISTS`, `RUN_STORAGE_FULL`, and what `launchServer` throws
 * @example
 * await using run = await openRun({ directory: '.', tasks: [{ id: 'a', prompt: 'Fix the test' }], server: { opencodeConfig: './opencode.json' } })
 * for await (const { key, outcome } of run.results()) console.log(key, outcome)
 * @public
 */
export function openRun(options: RunOptions): Promise<Run> {
  return begin(options);
}

/**
 * Takes a run up whose manager has ended, however: what had succeeded is used again, what was in flight is looked for in its session first, and the
 * rest runs. See `RunOptions.tasks`: the source is read again, and a task that asks for something else is refused by its name, unless `changed` says otherwise.
 * @throws OpencodeManagerError before anything is started: `RUN_UNREADABLE`, `RUN_LOCKED`, `TASKS_CHANGED`, and as {@link openRun}
 * @public
 */
export function resumeRun(options: ResumeOptions): Promise<Run> {
  return begin(options);
}

async function begin(options: RunOptions | ResumeOptions): Promise<Run> {
  // What is not started leaves nothing.
  await using prepared = await prepareRun(options);
  if (prepared.isDone) return prepared.finish();
  const pool: SessionPool = await createSessionPool(prepared.pool);
  return await prepared.start({ pool });
}
