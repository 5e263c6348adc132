import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRunDirectory, openRunDirectory, type JournalEvent } from '../src/index.ts';
import { countStates, isHeld, JournalReader, readRun, resultsOf, runLayout, statusOfRun, type TaskReading } from '../src/read/index.ts';
import { locateRun, lookAtRun } from '../src/read/look.ts';
import { program, start } from './support/child.ts';
import { added, ended } from './support/events.ts';
import { facts, repository, taskLine } from './support/repository.ts';
import { scratch } from './support/scratch.ts';

const intended = (key: string, attempt: number): JournalEvent => ({
  type: 'attempt.intended',
  key,
  attempt,
  token: `${key}-${attempt}`,
  sessionId: `ses_${key}`,
  messageId: `msg_${key}`,
  directory: '/work',
});

async function told(path: string): Promise<string[]> {
  const readings: TaskReading[] = [];
  for await (const reading of resultsOf(path)) readings.push(reading);
  return readings.map((reading) => {
    const more = reading.type === 'result' ? `attempt ${reading.attempt.attempt}` : (reading.blockedBy ?? `${reading.attempts} attempts`);
    return `${reading.key}: ${reading.state}, ${more}`;
  });
}

test('a run is read while it is written and afterwards: each task once, by its newest attempt, and nothing is written', async () => {
  using place = scratch();
  const run = await createRunDirectory({ directory: repository(join(place.path, 'repo')), facts });
  const keys = ['good', 'bad', 'again', 'blocked', 'late', 'gone', 'running'];
  await run.addTasks(keys.map((key) => taskLine(key)));
  await run.journal.append([
    { type: 'run.opened', generation: 1 },
    ...keys.map((key) => added(key)),
    { type: 'task.dropped', key: 'gone' },
  ]);
  // Larger together than what is read at once.
  const large = ended('good', 1);
  await run.journal.append([
    { ...ended('again', 1, { outcome: 'failed' }), result: { ...large.result, output: 'x'.repeat(3_000_000) } },
    { ...ended('bad', 1, { outcome: 'failed' }), result: { ...large.result, output: 'y'.repeat(3_000_000) } },
    large,
    { type: 'task.skipped', key: 'blocked', blockedBy: 'bad' },
    intended('again', 2),
    ended('again', 2),
    intended('running', 1),
  ]);
  const live = await readRun(run.path, { lastRows: 2 });
  expect([live.run.id, live.tasks.get('late')?.task, live.lastRows.map(({ event }) => event.type)]).toEqual([
    run.run.id,
    { prompt: 'Task late' },
    ['attempt.ended', 'attempt.intended'],
  ]);
  expect(live.holder).toMatchObject({ standing: 'alive', holder: { pid: process.pid } });
  const ends = ['bad: failed, attempt 1', 'good: succeeded, attempt 1', 'again: succeeded, attempt 2', 'blocked: skipped, bad'];
  expect(await told(run.path)).toEqual([...ends, 'late: not_started, 0 attempts', 'running: running, 1 attempts']);

  await run.close();
  const files = readdirSync(run.path).toSorted();
  const after = await readRun(run.path);
  expect([after.holder.standing, after.history.endedBecause]).toEqual(['none', null]);
  expect(countStates(after.history.tasks, isHeld(after.holder))).toEqual({
    total: 6,
    states: { succeeded: 2, failed: 1, skipped: 1, not_started: 1, interrupted: 1 },
    dropped: 1,
  });
  expect(await told(run.path)).toEqual([...ends, 'late: not_started, 0 attempts', 'running: interrupted, 1 attempts']);
  // A reader that began before somebody goes on with the run sees what comes.
  using reader = new JournalReader(runLayout(run.path).journal);
  const before = [...reader.rows()].length;
  expect(readdirSync(run.path).toSorted()).toEqual(files);
  await using again = await openRunDirectory(run.path);
  await again.journal.append([{ type: 'run.opened', generation: 2 }]);
  expect([[...reader.rows({ after: before })].map(({ event }) => event), [...reader.rows({ key: 'again' })].length]).toEqual([
    [{ type: 'run.opened', generation: 2 }],
    4,
  ]);
});

test('a glance at a run whose process was killed does not call it running, whatever its state says', async () => {
  using place = scratch();
  const directory = repository(join(place.path, 'repo'));
  const run = await createRunDirectory({ directory, facts });
  await run.journal.append([{ type: 'run.opened', generation: 1 }, added('a')]);
  await run.close();
  const holder = start(program('hold-run.ts', run.path));
  await holder.printed(1);
  const pid = holder.process.pid!;
  writeFileSync(runLayout(run.path).state, JSON.stringify({ pid, total: 1, running: 1, ended: null }));
  const path = await locateRun(join(directory, 'src'));
  expect(await lookAtRun(path)).toMatchObject({ path: run.path, status: 'running', holder: { holder: { pid } } });
  holder.process.kill('SIGKILL');
  await holder.exited;
  expect(await lookAtRun(path)).toMatchObject({ status: 'interrupted', holder: { standing: 'gone' }, state: { running: 1 } });
  expect(await statusOfRun(path)).toBe('interrupted');
});
