import { describe, expect, it } from 'vitest';
import { Journal } from '../src/playground/journal.ts';

const step = (actor: string, path: string, value: number) =>
  ({
    actor,
    from: 'worker',
    to: 'session',
    type: 'moved',
    path,
    changes: [{ path: 'value', after: value }],
  }) as const;

describe('the journal of a page', () => {
  it('gives what follows a record, nothing twice and nothing left out', () => {
    const journal = new Journal({ now: () => 7 });
    for (let value = 1; value <= 5; value += 1) journal.append(step('ses_1', 'idle', value));
    expect(journal.after(0).records.map(({ seq, atMs }) => [seq, atMs])).toEqual([1, 2, 3, 4, 5].map((seq) => [seq, 7]));
    expect(journal.after(3)).toMatchObject({ complete: true, records: [{ seq: 4 }, { seq: 5 }] });
    expect(journal.after(5)).toEqual({ complete: true, records: [] });
    // A number from another run.
    expect(journal.after(99).complete).toBe(false);
  });

  it('leaves a sum of each actor behind when the oldest records are pushed out', () => {
    const journal = new Journal({ limit: 20 });
    journal.append(step('ses_1', 'active', 1));
    for (let value = 1; value <= 30; value += 1) journal.append(step('ses_2', value % 2 === 0 ? 'idle' : 'active', value));
    const { complete, records } = journal.after(0);
    expect(complete).toBe(false);
    expect(records[0]).toMatchObject({ actor: 'ses_1', path: 'active', changes: [{ path: 'value', after: 1 }], type: 'earlier' });
    expect(records.filter(({ type }) => type === 'earlier').map(({ actor }) => actor)).toEqual(['ses_1', 'ses_2']);
    expect(records.at(-1)).toMatchObject({ seq: 31, path: 'idle' });
    const seqs = records.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  });
});
