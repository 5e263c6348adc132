import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  createRunDirectory,
  findRuns,
  networkFileSystem,
  newestUnfinished,
  openRunDirectory,
  readState,
  readTaskLines,
  runHolder,
  runLayout,
  type RunDirectory,
} from '../src/index.ts';
import { program, start } from './support/child.ts';
import { added, ended } from './support/events.ts';
import { facts, repository, taskLine } from './support/repository.ts';
import { scratch } from './support/scratch.ts';

const namespace = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mayMount = spawnSync('unshare', [...namespace, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

const modeOf = (path: string) => statSync(path).mode & 0o777;
const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const results = (run: { readonly path: string }) => linesOf(runLayout(run.path).results).map((line) => JSON.parse(line) as { seq: number });

/** Ends attempts of tasks, one row for each, and writes their results. */
async function finish(run: RunDirectory, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await run.addResults(await run.journal.append([added(key), ended(key, 1)]));
}

describe('the place of a run', () => {
  test('is beside the outermost repository, for its user alone, and is found from below', async () => {
    using directory = scratch();
    const top = repository(join(directory.path, 'repo'));
    const nested = repository(join(top, 'vendor', 'nested'));
    const run = await createRunDirectory({ directory: join(nested, 'src'), title: 'My tasks.jsonl', facts });
    expect(dirname(run.path)).toBe(`${top}.ocm`);
    expect(basename(run.path)).toMatch(/^\d{8}T\d{6}Z-my-tasks-jsonl-[0-9a-f]{4}$/);
    expect(run.run).toMatchObject({ id: basename(run.path), directory: join(nested, 'src'), host: { hostname: hostname() } });
    expect([modeOf(run.path), modeOf(`${top}.ocm`), modeOf(runLayout(run.path).runFile)]).toEqual([0o700, 0o700, 0o600]);
    await run.close();
    const [found] = await findRuns(join(top, 'src'));
    expect(found).toEqual({ path: run.path, name: run.run.id, run: run.run, error: undefined });
  });

  test('outside git is beside the directory, and where the user wants it', async () => {
    using directory = scratch();
    const plain = join(directory.path, 'plain');
    mkdirSync(plain);
    const beside = await createRunDirectory({ directory: plain, facts });
    expect(dirname(beside.path)).toBe(`${plain}.ocm`);
    await beside.close();
    const named = join(directory.path, 'somewhere', 'else');
    mkdirSync(named, { recursive: true, mode: 0o755 });
    const run = await createRunDirectory({ directory: plain, runDir: named, facts });
    expect([run.path, modeOf(named)]).toEqual([named, 0o700]);
    await run.close();
    const again = await openRunDirectory(named);
    expect(again.run).toEqual(run.run);
    await again.close();
  });

  test('is refused where others write, in the repository, or where something is; nothing is left then', async () => {
    using directory = scratch();
    const top = repository(join(directory.path, 'repo'));
    const refusal = (runDir?: string) =>
      createRunDirectory({ directory: top, facts, ...(runDir !== undefined && { runDir }) }).then(
        () => 'made',
        ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
      );
    const open = join(directory.path, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    const filled = join(directory.path, 'filled');
    mkdirSync(filled);
    writeFileSync(join(filled, 'mine.txt'), '');
    const taken = join(directory.path, 'taken');
    expect(await refusal(join(open, 'run'))).toMatch(
      /^RUN_DIRECTORY_UNSAFE: .*everybody can write into .*\/open\. Name another .*--run-dir DIR/,
    );
    expect(await refusal(join(top, 'run'))).toMatch(/^RUN_DIRECTORY_UNSAFE: .*lie in each other/);
    expect(await refusal(directory.path)).toMatch(/^RUN_DIRECTORY_UNSAFE: .*lie in each other/);
    expect(await refusal(filled)).toMatch(/^RUN_DIRECTORY_UNSAFE: .*it holds something already \(mine\.txt\)/);
    expect(await refusal(join(filled, 'mine.txt'))).toMatch(/^RUN_DIRECTORY_UNSAFE: .*EEXIST/);
    await (await createRunDirectory({ directory: top, runDir: taken, facts })).close();
    const before = readdirSync(taken).toSorted();
    expect(await refusal(taken)).toMatch(/^RUN_EXISTS: --run-dir: .*ocm resume/);
    expect(readdirSync(taken).toSorted()).toEqual(before);
    chmodSync(directory.path, 0o777);
    expect(await refusal()).toMatch(/^RUN_DIRECTORY_UNSAFE: .*everybody can write into /);
    chmodSync(directory.path, 0o700);
    expect(readdirSync(directory.path).toSorted()).toEqual(['filled', 'open', 'repo', 'taken']);
    expect([readdirSync(open), readdirSync(top).toSorted()]).toEqual([[], ['.git', 'src']]);
  });

  test('network file systems are known by their types, with and without a sign', () => {
    expect([0x6969, 0xff534d42, 0xff534d42 | 0, 0x01021997].map(networkFileSystem)).toEqual(['NFS', 'CIFS', 'CIFS', '9P']);
    // ext4, tmpfs, btrfs, xfs, overlayfs
    expect([0xef53, 0x01021994, 0x9123683e, 0x58465342, 0x794c7630].map(networkFileSystem)).toEqual(Array(5).fill(undefined));
  });
});

describe('the files of a run', () => {
  test('tasks, results, state and artifacts come back, also after the run is opened again', async () => {
    using directory = scratch();
    const made = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    await made.addTasks([taskLine('a'), taskLine('b')]);
    await finish(made, 'a');
    made.tellState(() => ({ counts: { succeeded: 1 } }));
    const artifacts = await made.makeArtifacts('A/b c', 2);
    expect([artifacts.slice(made.path.length), modeOf(artifacts)]).toEqual([
      expect.stringMatching(/^\/artifacts\/a-b-c-[0-9a-f]{8}\/2$/),
      0o700,
    ]);
    await made.close();
    await using run = await openRunDirectory(made.path);
    expect(run.repaired).toEqual({ was: 'whole', lines: 0 });
    await run.addTasks([taskLine('c', 2)]);
    await finish(run, 'b');
    expect(await run.readTasks()).toEqual([taskLine('a'), taskLine('b'), taskLine('c', 2)]);
    const { result } = ended('a', 1);
    expect(results(run)).toEqual([
      { seq: 2, final: true, ...result },
      { seq: 4, final: true, ...ended('b', 1).result },
    ]);
    expect(await readState(runLayout(run.path).state)).toEqual({ counts: { succeeded: 1 } });
  });

  test('state.json is written at most once a second, newest last, and has at most 4 KB', async () => {
    using directory = scratch();
    await using run = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    const { state } = runLayout(run.path);
    run.tellState(() => ({ n: 0 }));
    await expect.poll(() => readState(state)).toEqual({ n: 0 });
    const first = statSync(state);
    for (let n = 1; n <= 20; n += 1) run.tellState(() => ({ n }));
    await sleep(300);
    expect(statSync(state).ino).toBe(first.ino);
    await expect.poll(() => readState(state), { timeout: 3000 }).toEqual({ n: 20 });
    expect(statSync(state).mtimeMs - first.mtimeMs).toBeGreaterThan(900);
    run.tellState(() => ({ running: Array(500).fill('a task with a name'), counts: { succeeded: 3 } }));
    await run.close();
    expect(await readState(state)).toEqual({ counts: { succeeded: 3 }, omitted: ['running'] });
    expect(existsSync(`${state}.new`)).toBe(false);
  });

  test('secrets are in none of them', async () => {
    using directory = scratch();
    const redact = <Value>(value: Value) => JSON.parse(JSON.stringify(value).replaceAll('sk-secret', '[redacted]')) as Value;
    const options = { directory: repository(join(directory.path, 'repo')), redact };
    const run = await createRunDirectory({ ...options, facts: { ...facts, argv: ['--key', 'sk-secret'] } });
    await run.addTasks([{ ...taskLine('a'), task: { prompt: 'use sk-secret' } }]);
    const end = ended('a', 1);
    await run.addResults(await run.journal.append([{ ...end, result: { ...end.result, output: 'it is sk-secret' } }]));
    run.tellState(() => ({ last: 'sk-secret' }));
    await run.close();
    const files = readdirSync(run.path);
    expect(files.toSorted()).toEqual(['journal.sqlite', 'lock', 'results.jsonl', 'run.json', 'state.json', 'tasks.jsonl']);
    for (const name of files) expect(readFileSync(join(run.path, name), 'latin1'), name).not.toContain('sk-secret');
    for (const name of files.filter((one) => one !== 'lock'))
      expect(readFileSync(join(run.path, name), 'latin1'), name).toContain('[redacted]');
  });

  test('calls that come together are all written, in their order', async () => {
    using directory = scratch();
    await using run = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    await Promise.all(Array.from({ length: 200 }, (_, n) => run.addTasks([taskLine(`t${n}`)])));
    expect((await run.readTasks()).map(({ key }) => key)).toEqual(Array.from({ length: 200 }, (_, n) => `t${n}`));
  });

  test('a run whose directory is removed ends with RUN_GONE, and makes none anew', async () => {
    using directory = scratch();
    const run = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    await finish(run, 'a');
    rmSync(run.path, { recursive: true });
    await expect(run.journal.append([added('b')])).rejects.toMatchObject({ code: 'RUN_GONE' });
    await expect(run.addTasks([taskLine('b')])).rejects.toMatchObject({ code: 'RUN_GONE' });
    await expect(run.addResults([{ sequence: 9, atMs: 0, event: ended('b', 1) }])).rejects.toMatchObject({ code: 'RUN_GONE' });
    await expect(run.makeArtifacts('b', 1)).rejects.toMatchObject({ code: 'RUN_GONE' });
    await run.close();
    expect(existsSync(run.path)).toBe(false);
  });

  test.skipIf(!mayMount)(
    'on a full file system no half line stays, and what was missed comes in its place (needs the right to mount)',
    async () => {
      using directory = scratch();
      const line = 'mount -t tmpfs -o size=2m,mode=700 tmpfs "$0" && exec "$@"';
      const child = start(['unshare', ...namespace, 'sh', '-c', line, directory.path, ...program('fill-run.ts', directory.path)]);
      expect(await child.exited, child.errors()).toBe(0);
      expect(JSON.parse(child.lines()[0]!)).toEqual({
        before: 'done',
        meanwhile: ['RUN_STORAGE_FULL', 'RUN_STORAGE_FULL'],
        still: 'RUN_STORAGE_FULL',
        whole: [true, true],
        another: 'RUN_STORAGE_FULL',
        runs: 1,
        after: ['done', 'done'],
        ids: ['a', 'b', 'c', 'd'],
        keys: ['y'],
      });
    },
  );
});

test('results.jsonl tells what the journal tells, whatever became of it, and what is finished is not written anew', async () => {
  const harms: [what: string, harm: (path: string) => void, was: string, lines: number][] = [
    ['whole', () => {}, 'whole', 0],
    ['missing', (path) => rmSync(path), 'rebuilt', 3],
    ['torn in its last line', (path) => truncateSync(path, statSync(path).size - 10), 'rebuilt', 3],
    ['without its last newline', (path) => truncateSync(path, statSync(path).size - 1), 'rebuilt', 3],
    ['full of zeros', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size)), 'rebuilt', 3],
    ['with a line that the journal does not know', (path) => appendFileSync(path, '{"seq":99}\n'), 'rebuilt', 3],
    ['without a line in its middle', (path) => writeFileSync(path, `${linesOf(path).toSpliced(1, 1).join('\n')}\n`), 'rebuilt', 3],
    ['without its last lines', (path) => truncateSync(path, linesOf(path)[0]!.length + 1), 'completed', 2],
    ['empty', (path) => truncateSync(path, 0), 'completed', 3],
  ];
  using directory = scratch();
  const made = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
  await finish(made, 'a', 'b', 'ü');
  await made.close();
  const { results: path } = runLayout(made.path);
  const text = readFileSync(path, 'utf8');
  for (const [what, harm, was, lines] of harms) {
    const { ino } = statSync(path);
    harm(path);
    const run = await openRunDirectory(made.path);
    expect(run.repaired, what).toEqual({ was, lines });
    await run.close();
    expect(readFileSync(path, 'utf8'), what).toBe(text);
    if (was !== 'rebuilt') expect(statSync(path).ino, what).toBe(ino);
  }
});

describe('a run that is there', () => {
  test('is refused by the name of what is missing or damaged, and never begun anew', async () => {
    using directory = scratch();
    const run = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    await finish(run, 'a');
    await run.close();
    const { runFile, journal, tasks } = runLayout(run.path);
    const good = readFileSync(runFile, 'utf8');
    const refusal = () =>
      openRunDirectory(run.path).then(
        async (opened) => {
          await opened.close();
          return 'opened';
        },
        ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
      );
    for (const path of [runFile, journal, tasks]) {
      renameSync(path, `${path}.away`);
      expect(await refusal()).toMatch(new RegExp(`^RUN_UNREADABLE: ${path} (is missing|cannot be read: ENOENT)`));
      expect(existsSync(path)).toBe(false);
      renameSync(`${path}.away`, path);
    }
    const damages: [text: string, says: RegExp][] = [
      [good.slice(0, 50), /run\.json is damaged: /],
      [good.replace('"schema_version": 1', '"schema_version": 2'), /newer version \(schema 2; this one reads up to 1\)/],
      [good.replace('"argv"', '"arguments"'), /run\.json is damaged: argv: /],
      ['null', /run\.json is damaged: its content: /],
    ];
    for (const [text, says] of damages) {
      writeFileSync(runFile, text);
      expect(await refusal()).toMatch(says);
      expect(await findRuns(join(directory.path, 'repo'))).toMatchObject([{ run: undefined, error: { code: 'RUN_UNREADABLE' } }]);
    }
    writeFileSync(runFile, good);
    expect(await refusal()).toBe('opened');
    await expect(openRunDirectory(join(directory.path, 'nowhere'))).rejects.toMatchObject({ code: 'RUN_UNREADABLE' });
  });

  test('has its tasks, without a line that was cut off; a damaged one is named', async () => {
    using directory = scratch();
    const made = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    await made.addTasks([taskLine('a'), taskLine('b')]);
    await made.close();
    const { tasks } = runLayout(made.path);
    appendFileSync(tasks, '{"generation":2,"key":"half');
    expect((await readTaskLines(tasks)).map(({ key }) => key)).toEqual(['a', 'b']);
    const run = await openRunDirectory(made.path);
    await run.addTasks([taskLine('c', 2)]);
    expect((await run.readTasks()).map(({ key }) => key)).toEqual(['a', 'b', 'c']);
    await run.close();
    writeFileSync(tasks, readFileSync(tasks, 'utf8').replace('"key":"b"', '"key":""'));
    await expect(readTaskLines(tasks)).rejects.toMatchObject({
      code: 'RUN_UNREADABLE',
      message: expect.stringContaining('tasks.jsonl is damaged in line 2: key: ') as string,
    });
  });

  test('is held by one process, which is named, and free when that is killed', async () => {
    using directory = scratch();
    const made = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    expect(await runHolder(made.path)).toMatchObject({ pid: process.pid, host: hostname() });
    await expect(openRunDirectory(made.path)).rejects.toMatchObject({ code: 'RUN_LOCKED' });
    await made.close();
    expect(await runHolder(made.path)).toBeUndefined();
    const child = start(program('hold-run.ts', made.path));
    await child.printed(1);
    expect(child.lines(), child.errors()).toEqual(['held']);
    expect(await runHolder(made.path)).toMatchObject({ pid: child.process.pid });
    await expect(openRunDirectory(made.path)).rejects.toMatchObject({
      code: 'RUN_LOCKED',
      message: expect.stringContaining(`process ${child.process.pid} on ${hostname()} (since `) as string,
    });
    child.process.kill('SIGKILL');
    await child.exited;
    expect(await runHolder(made.path)).toBeUndefined();
    expect(await newestUnfinished(join(directory.path, 'repo'))).toMatchObject({ path: made.path, holder: undefined });
    await (await openRunDirectory(made.path)).close();
  });

  test('that another machine did not let go of is refused with its name, unless it is taken over', async () => {
    using directory = scratch();
    const made = await createRunDirectory({ directory: repository(join(directory.path, 'repo')), facts });
    const { lockNote } = runLayout(made.path);
    const note = JSON.parse(readFileSync(lockNote, 'utf8')) as object;
    await made.close();
    writeFileSync(lockNote, JSON.stringify({ ...note, host: 'other', boot_id: 'another' }));
    await expect(openRunDirectory(made.path)).rejects.toMatchObject({
      code: 'RUN_LOCKED',
      message: expect.stringMatching(/process \d+ on other .*--take-over/) as string,
    });
    await (await openRunDirectory(made.path, { takeOver: true })).close();
    expect(existsSync(lockNote)).toBe(false);
    // The same machine after a start, and a container that was started again.
    for (const same of [{ boot_id: 'another' }, { host: 'other' }]) {
      writeFileSync(lockNote, JSON.stringify({ ...note, ...same }));
      await (await openRunDirectory(made.path)).close();
    }
  });
});

test('runs are found newest first, and of those the newest that is not done', async () => {
  using directory = scratch();
  const top = repository(join(directory.path, 'repo'));
  expect([await findRuns(top), await newestUnfinished(top)]).toEqual([[], undefined]);
  const made: RunDirectory[] = [];
  for (const title of ['z', 'y', 'x']) {
    made.push(await createRunDirectory({ directory: top, title, facts }));
    // Their times count in milliseconds.
    await sleep(2);
  }
  const [first, second, third] = made as [RunDirectory, RunDirectory, RunDirectory];
  mkdirSync(join(`${top}.ocm`, 'templates'));
  const begun = join(`${top}.ocm`, '20990101T000000Z-begun-0000');
  mkdirSync(begun);
  writeFileSync(join(begun, 'lock'), '');
  expect((await findRuns(join(top, 'src'))).map(({ path }) => path)).toEqual([third.path, second.path, first.path]);
  const newest = async () => (await newestUnfinished(top))?.path;
  expect(await newestUnfinished(top)).toMatchObject({ path: third.path, holder: { pid: process.pid } });
  await third.journal.append([{ type: 'run.ended', reason: 'drained' }]);
  await second.journal.append([{ type: 'run.ended', reason: 'done' }]);
  expect(await newest()).toBe(third.path);
  await third.journal.append([
    { type: 'run.opened', generation: 2 },
    { type: 'run.ended', reason: 'done' },
  ]);
  expect(await newest()).toBe(first.path);
  await first.journal.append([{ type: 'run.ended', reason: 'done' }]);
  expect(await newest()).toBeUndefined();
  await third.journal.append([{ type: 'run.opened', generation: 3 }]);
  expect(await newest()).toBe(third.path);
  for (const run of made) await run.close();
  rmSync(runLayout(third.path).journal);
  expect(await newestUnfinished(top)).toMatchObject({ path: third.path, error: { code: 'RUN_UNREADABLE' } });
});
