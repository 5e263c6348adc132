import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { JournalLeases, type JournalEvent, type LeasedTask } from '../src/index.ts';
import type { Journal, JournalRow } from '../src/journal/events.ts';
import { added, ended } from './support/events.ts';

/** A journal in memory. */
function journalOf(...events: JournalEvent[]): Journal & { readonly rows: JournalRow[] } {
  const rows: JournalRow[] = [];
  const append = async (more: readonly JournalEvent[]) => {
    const kept = more.map((event, index) => ({ sequence: rows.length + index + 1, atMs: 0, event }));
    rows.push(...kept);
    return kept;
  };
  void append(events);
  return { rows, append, read: (after = 0) => rows.slice(after)[Symbol.iterator](), close: async () => {} };
}

const task: LeasedTask = { hash: 'h', task: { prompt: 'x' } };

function leasesOf(journal: Journal, clock: { nowMs: number }) {
  return new JournalLeases({ run: 'run', journal, tasks: new Map([['a', task]]), leaseMs: 1000, now: () => clock.nowMs });
}

const intended = (token: string, attempt: number): JournalEvent => ({
  type: 'attempt.intended',
  key: 'a',
  attempt,
  token,
  sessionId: 's',
  messageId: 'm',
  directory: '/',
});

test('a task has one lease at a time, and each has a larger token', async () => {
  const [clock, journal] = [{ nowMs: 0 }, journalOf(added('a'))];
  const leases = leasesOf(journal, clock);
  const first = await leases.take(AbortSignal.timeout(1000));
  expect(first).toMatchObject({ run: 'run', key: 'a', attempt: 1, expiresAtMs: 1000 });
  expect(await leases.take(AbortSignal.timeout(50))).toBeUndefined();
  clock.nowMs = 900;
  expect(await leases.renew(first!)).toBe(1900);
  await leases.giveBack(first!, 2000);
  expect(await leases.take(AbortSignal.timeout(50))).toBeUndefined();
  clock.nowMs = 2000;
  const second = await leases.take(AbortSignal.timeout(1000));
  expect(second!.token).toBeGreaterThan(first!.token);
});

test('what comes under an old token is refused, and recorded with what it had spent', async () => {
  const [clock, journal] = [{ nowMs: 0 }, journalOf(added('a'))];
  const leases = leasesOf(journal, clock);
  const lost = (await leases.take(AbortSignal.timeout(1000)))!;
  await leases.write(lost, [intended('1.1', 1)]);
  clock.nowMs = 1000;
  const next = (await leases.take(AbortSignal.timeout(1000)))!;
  expect(next).toMatchObject({ attempt: 2 });
  await expect(leases.write(lost, [ended('a', 1, { token: '1.1' })])).rejects.toMatchObject({ code: 'LEASE_LOST' });
  await expect(leases.renew(lost)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  await leases.write(next, [intended('2.1', 2), ended('a', 2, { token: '2.1' })]);
  await leases.finish(next);
  expect(await leases.take(AbortSignal.timeout(50))).toBeUndefined();
  expect(journal.rows.map(({ event }) => event)).toMatchObject([
    { type: 'task.added' },
    { type: 'attempt.intended', attempt: 1 },
    { type: 'attempt.ended', attempt: 1, outcome: 'interrupted', counts: 'infrastructure', final: false, error: { code: 'LEASE_LOST' } },
    { type: 'attempt.superseded', attempt: 1, token: '1.1', spent: { modelCalls: 1 } },
    { type: 'attempt.intended', attempt: 2 },
    { type: 'attempt.ended', attempt: 2, outcome: 'succeeded' },
  ]);
});

test('a task that loses its host four times has ended', async () => {
  const [clock, journal] = [{ nowMs: 0 }, journalOf(added('a'))];
  const leases = leasesOf(journal, clock);
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    const lease = (await leases.take(AbortSignal.timeout(1000)))!;
    expect(lease.attempt).toBe(attempt);
    await leases.write(lease, [intended(`${attempt}.1`, attempt)]);
    clock.nowMs += 1000;
  }
  expect(await leases.take(AbortSignal.timeout(50))).toBeUndefined();
  await sleep(0);
  expect(journal.rows.at(-1)?.event).toMatchObject({ type: 'attempt.ended', attempt: 4, final: true, outcome: 'interrupted' });
});
