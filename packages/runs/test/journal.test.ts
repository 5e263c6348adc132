import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { loadSqlite } from '@opencode-manager/workspaces/keep';
import { createJournal, openJournal, type JournalRow } from '../src/index.ts';
import { program, start } from './support/child.ts';
import { added, ended } from './support/events.ts';
import { scratch } from './support/scratch.ts';

const named = (rows: Iterable<JournalRow>) => [...rows].map(({ sequence, event }) => [sequence, 'key' in event ? event.key : event.type]);

const namespace = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mayMount = spawnSync('unshare', [...namespace, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

/** Reads a journal, and checks that it has no gap and every line that its writer had printed before. */
async function readChecked(path: string, readOnly: boolean, told: readonly string[]): Promise<void> {
  const journal = openJournal(path, { readOnly });
  const rows = named(journal.read());
  await journal.close();
  expect(rows.map(([sequence]) => sequence)).toEqual(rows.map((_, index) => index + 1));
  const there = new Set(rows.map((row) => row.join(' ')));
  expect(told.filter((line) => !there.has(line))).toEqual([]);
}

/** Kills a writer at a moment by chance, again and again; reads while it writes, and after its death as a reader and as the next writer. */
async function killWriters(path: string, name: string, kills: number): Promise<number> {
  await createJournal(path).close();
  const told: string[] = [];
  for (let round = 0; round < kills; round += 1) {
    const child = start(program('append-rows.ts', path, `${name}${round}`));
    await child.printed(1 + Math.floor(Math.random() * 40));
    if (round % 3 === 0) await readChecked(path, true, [...told, ...child.lines()]);
    else await sleep(Math.random() * 8);
    child.process.kill('SIGKILL');
    await child.exited;
    expect(child.errors()).toBe('');
    told.push(...child.lines());
    await readChecked(path, round % 2 === 0, told);
  }
  return told.length;
}

test('what was told is there after 20 kills of its writer, without a gap', async () => {
  using directory = scratch();
  const lanes = ['a', 'b'].map((name) => killWriters(join(directory.path, `${name}.sqlite`), name, 10));
  const told = await Promise.all(lanes);
  for (const count of told) expect(count).toBeGreaterThan(10);
});

test('appends of one tick are one transaction, and each resolves when a reader sees its rows', async () => {
  using directory = scratch();
  const path = join(directory.path, 'journal.sqlite');
  const journal = createJournal(path);
  const reader = openJournal(path, { readOnly: true });
  const written = async (work: () => Promise<unknown>) => {
    const before = statSync(`${path}-wal`).size;
    await work();
    return statSync(`${path}-wal`).size - before;
  };
  const together = await written(() => Promise.all(Array.from({ length: 50 }, (_, n) => journal.append([added(`together-${n}`)]))));
  expect(named(reader.read())).toEqual(Array.from({ length: 50 }, (_, n) => [n + 1, `together-${n}`]));
  const apart = await written(async () => {
    for (let n = 0; n < 50; n += 1) {
      const [row] = await journal.append([added(`apart-${n}`)]);
      expect(named(reader.read(row!.sequence - 1))).toEqual([[row!.sequence, `apart-${n}`]]);
    }
  });
  // Each transaction writes a page of 4 KB at least.
  expect(apart).toBeGreaterThan(50 * 4096);
  expect(together).toBeLessThan(apart / 5);
  await reader.close();
  await journal.close();
});

test('an event that is no JSON fails its own call alone, and no number is lost', async () => {
  using directory = scratch();
  const journal = createJournal(join(directory.path, 'journal.sqlite'));
  const bad = { ...added('bad'), retries: 1n } as unknown as ReturnType<typeof added>;
  const [first, failed, last] = await Promise.allSettled([
    journal.append([added('first')]),
    journal.append([bad]),
    journal.append([added('last')]),
  ]);
  expect([first.status, failed.status, last.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await journal.append([])).toEqual([]);
  expect(named(journal.read())).toEqual([
    [1, 'first'],
    [2, 'last'],
  ]);
  await journal.close();
});

test('rows come back as they were given, with their time; what waits is written by close', async () => {
  using directory = scratch();
  const path = join(directory.path, 'journal.sqlite');
  const before = Date.now();
  const journal = createJournal(path);
  const event = ended('ä\u0000"\n', 2, { final: false, outcome: 'failed' });
  const waiting = journal.append([event]);
  await journal.close();
  await journal.close();
  const [row] = await waiting;
  expect(row).toEqual({ sequence: 1, atMs: row!.atMs, event });
  expect(row!.atMs).toBeGreaterThanOrEqual(before);
  const again = openJournal(path);
  expect([...again.read()]).toEqual([row]);
  await again.close();
  await expect(again.append([event])).rejects.toThrow('is closed');
  expect(() => [...again.read()]).toThrow('is closed');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('secrets are taken out before anything is written', async () => {
  using directory = scratch();
  const path = join(directory.path, 'journal.sqlite');
  const redact = <Value>(value: Value) => JSON.parse(JSON.stringify(value).replaceAll('sk-secret', '[redacted]')) as Value;
  const journal = createJournal(path, { redact });
  const [row] = await journal.append([added('with sk-secret')]);
  expect(named([row!])).toEqual([[1, 'with [redacted]']]);
  expect(named(journal.read())).toEqual([[1, 'with [redacted]']]);
  await journal.close();
});

test('10,000 rows are read in well under a second', async () => {
  using directory = scratch();
  const path = join(directory.path, 'journal.sqlite');
  const journal = createJournal(path);
  await journal.append(Array.from({ length: 10_000 }, (_, n) => ended(`task-${n}`, 1)));
  await journal.close();
  // Of the processor: others may keep it busy.
  const before = process.cpuUsage();
  const again = openJournal(path);
  expect([...again.read()]).toHaveLength(10_000);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(500);
  expect([...again.read(9_990)].map(({ sequence }) => sequence)).toEqual([9991, 9992, 9993, 9994, 9995, 9996, 9997, 9998, 9999, 10_000]);
  await again.close();
});

test('a reader may not append; a second writer is refused at its first row, and the first goes on', async () => {
  using directory = scratch();
  const path = join(directory.path, 'journal.sqlite');
  const first = createJournal(path);
  expect(() => createJournal(path)).toThrow(expect.objectContaining({ code: 'RUN_LOCKED' }));
  const second = openJournal(path);
  const reader = openJournal(path, { readOnly: true });
  await first.append([added('first')]);
  await expect(second.append([added('second')])).rejects.toMatchObject({ code: 'RUN_LOCKED' });
  await expect(reader.append([added('reader')])).rejects.toThrow('open for reading alone');
  await first.append([added('next')]);
  expect(named(reader.read())).toEqual([
    [1, 'first'],
    [2, 'next'],
  ]);
  for (const journal of [reader, second, first]) await journal.close();
});

test('the database refuses to change, remove or skip a row', async () => {
  using directory = scratch();
  const path = join(directory.path, 'journal.sqlite');
  const journal = createJournal(path);
  await journal.append([added('a'), added('b')]);
  await journal.close();
  const database = new (loadSqlite().DatabaseSync)(path);
  expect(() => database.exec("UPDATE journal SET event = '{}'")).toThrow('rows are only appended');
  expect(() => database.exec('DELETE FROM journal')).toThrow('rows are only appended');
  expect(() => database.exec("INSERT INTO journal VALUES (4, 0, 'x', NULL, '{}')")).toThrow('a row out of order');
  expect(() => database.exec("INSERT INTO journal VALUES (3, 'soon', 'x', NULL, '{}')")).toThrow('cannot store TEXT value in INTEGER');
  database.close();
});

test('what is no whole journal of this version is refused by name, and stays as it is', async () => {
  using directory = scratch();
  const make = async (name: string, harm: (path: string) => unknown) => {
    const path = join(directory.path, name);
    const journal = createJournal(path);
    await journal.append(Array.from({ length: 300 }, (_, n) => added(`task-${n}`)));
    await journal.close();
    await harm(path);
    return path;
  };
  const changed = (path: string, line: string) => {
    const database = new (loadSqlite().DatabaseSync)(path);
    database.exec(line);
    database.close();
  };
  const missing = join(directory.path, 'missing');
  const cases: [path: string, says: RegExp][] = [
    [missing, /missing is missing/],
    [await make('newer', (path) => changed(path, 'PRAGMA user_version = 7')), /newer version \(schema 7; this one reads up to 1\)/],
    [await make('other', (path) => changed(path, 'PRAGMA application_id = 1')), /is not the journal of a run/],
    [await make('gap', (path) => changed(path, 'DROP TRIGGER journal_kept; DELETE FROM journal WHERE sequence = 5')), /1 rows are missing/],
    [await make('text', (path) => writeFileSync(path, 'not a database, but long enough to be looked at'.repeat(30))), /is damaged/],
    [await make('empty', (path) => writeFileSync(path, '')), /is not the journal of a run/],
    [await make('torn', (path) => writeFileSync(path, Buffer.alloc(8192, 255), { flag: 'r+' })), /is damaged/],
    [
      await make('directory', (path) => {
        rmSync(path);
        mkdirSync(path);
      }),
      /is missing/,
    ],
  ];
  for (const [path, says] of cases) {
    for (const readOnly of [true, false]) {
      const refused = expect.objectContaining({ code: 'RUN_UNREADABLE', message: expect.stringMatching(says) as string }) as Error;
      expect(() => openJournal(path, { readOnly }), path).toThrow(refused);
    }
  }
  expect(statSync(missing, { throwIfNoEntry: false })).toBeUndefined();
});

test('a row that is no JSON is named when it is read', async () => {
  using directory = scratch();
  const path = join(directory.path, 'journal.sqlite');
  await createJournal(path).close();
  const database = new (loadSqlite().DatabaseSync)(path);
  database.exec("INSERT INTO journal VALUES (1, 0, 'task.added', NULL, '{')");
  database.close();
  const journal = openJournal(path, { readOnly: true });
  expect(() => [...journal.read()]).toThrow(expect.objectContaining({ code: 'RUN_UNREADABLE', message: expect.stringContaining('row 1') }));
  await journal.close();
});

test('a journal that is removed or replaced under its writer ends with RUN_GONE', async () => {
  using directory = scratch();
  const path = join(directory.path, 'run', 'journal.sqlite');
  mkdirSync(join(directory.path, 'run'));
  const journal = createJournal(path);
  await journal.append([added('a')]);
  renameSync(join(directory.path, 'run'), join(directory.path, 'away'));
  await expect(journal.append([added('b')])).rejects.toMatchObject({ code: 'RUN_GONE' });
  mkdirSync(join(directory.path, 'run'));
  writeFileSync(path, '');
  await expect(journal.append([added('b')])).rejects.toMatchObject({ code: 'RUN_GONE' });
  await journal.close();
});

test.skipIf(!mayMount)(
  'on a full file system nothing of a call is kept, and it goes on when there is room (needs the right to mount)',
  async () => {
    using directory = scratch();
    const line = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"';
    const child = start(['unshare', ...namespace, 'sh', '-c', line, directory.path, ...program('fill-journal.ts', directory.path)]);
    expect(await child.exited, child.errors()).toBe(0);
    expect(JSON.parse(child.lines()[0]!)).toEqual({
      before: '1,2',
      meanwhile: ['RUN_STORAGE_FULL', 'RUN_STORAGE_FULL'],
      after: '3,4',
      keys: ['before', 'before', 'after-', 'after'],
    });
  },
);
