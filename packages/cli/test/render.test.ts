import type { TaskResult } from '@opencode-manager/actors';
import { describe, expect, test } from 'vitest';
import { withoutRecords } from '../src/commands/events.ts';
import { patchLines, sourceLines, Tally } from '../src/batch/index.ts';
import { createProgress, formatDuration, oneLine, printable, renderTable } from '../src/render/index.ts';
import { jsonText } from '../src/render/printable.ts';
import { createTerminal } from '../src/terminal/index.ts';
import { collector } from './support/terminal.ts';

function terminalOn(options: { isTTY?: boolean; env?: NodeJS.ProcessEnv; columns?: number } = {}) {
  const [stdout, stderr] = [collector(), collector()];
  const tty = { isTTY: options.isTTY ?? false, columns: options.columns ?? 60 };
  const streams = {
    stdin: collector().stream,
    stdout: Object.assign(stdout.stream, tty),
    stderr: Object.assign(stderr.stream, tty),
    env: options.env ?? {},
  };
  return { terminal: createTerminal(streams), stdout, stderr };
}

function tellStory(terminal: ReturnType<typeof createTerminal>) {
  using progress = createProgress(terminal, { total: 2, now: () => 0 });
  progress.started('a');
  progress.started('b');
  progress.waiting('b', 'for rain');
  progress.waiting('b', 'for rain');
  progress.waiting('b', '');
  progress.waiting('b', 'for sun');
  progress.finished({ id: 'a', outcome: 'succeeded', durationMs: 1234, detail: 'fine\nreally' });
  progress.finished({ id: 'b', outcome: 'timed_out', durationMs: 61_000 });
}

describe('progress', () => {
  test('is one line a change of state without a terminal', () => {
    const { terminal, stdout, stderr } = terminalOn();
    tellStory(terminal);
    expect(stdout.text()).toBe('');
    expect(stderr.text()).toBe(
      [
        'started a',
        'started b',
        'waiting b for rain',
        'waiting b for sun',
        'finished a succeeded after 1.2 s (1/2): fine really',
        'finished b timed_out after 1 m 01 s (2/2)',
        '',
      ].join('\n'),
    );
  });

  test('redraws on a terminal and leaves the finished lines alone there', () => {
    const { terminal, stdout, stderr } = terminalOn({ isTTY: true, env: { NO_COLOR: '1' } });
    tellStory(terminal);
    expect(stdout.text()).toBe('');
    const text = stderr.text();
    expect(text).toContain(
      '✓ a  succeeded  1.2 s  fine really\n  b         0 ms  waits for sun\n1/2 tasks, 1 running, 1 succeeded\n0 ms\n\r\u001B[3A\u001B[J',
    );
    // What came within the same frame is told at the end, when the block is gone.
    expect(text.split('\r\u001B[3A\u001B[J').at(-1)).toMatch(/^\S+ b {2}timed_out .*\n$/);
  });

  test('draws ten frames a second, however much is told', () => {
    const { terminal, stderr } = terminalOn({ isTTY: true, env: { NO_COLOR: '1' } });
    let nowMs = 0;
    {
      using progress = createProgress(terminal, { total: 1000, now: () => nowMs });
      for (let n = 0; n < 1000; n += 1) {
        nowMs += 1;
        progress.note(`line ${n}`);
      }
    }
    const text = stderr.text();
    expect(text.split('\u001B[J').length - 1).toBeLessThanOrEqual(11);
    expect(text.match(/line \d+$/gm)).toHaveLength(1000);
  });

  test('fits a narrow terminal with a thousand tasks: the oldest first, then the sums, and why nothing starts', () => {
    const { terminal, stderr } = terminalOn({ isTTY: true, env: { NO_COLOR: '1' }, columns: 40 });
    let nowMs = 0;
    using progress = createProgress(terminal, { total: 1200, now: () => nowMs });
    for (let n = 0; n < 1000; n += 1) progress.started(`a task with a long name, number ${n}`);
    progress.waiting('a task with a long name, number 1', 'until the provider is asked again');
    progress.used('a task with a long name, number 2', 12_345, 0.5);
    progress.finished({ id: 'a task with a long name, number 0', outcome: 'failed', durationMs: 1, tokens: 55, costUsd: 1 });
    nowMs = 60_000;
    progress.holds(() => 'the server is being started again');
    progress.note('-');
    const [, block] = stderr.text().split('-\n').slice(-2);
    const lines = block!.trimEnd().split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40);
    expect(lines).toEqual([
      '  a task with a long …  1 m 00 s  wait…',
      '  a task with a long …  1 m 00 s',
      ...Array.from({ length: 16 }, () => '  a task with a long …  1 m 00 s'),
      '  and 981 more',
      '1/1,200 tasks, 999 running, 200 waiting',
      '1 failed',
      '1 m 00 s; 12,400 tokens; $1.50',
      '1.0 tasks a minute',
      'about 19 h 59 m left',
      'Nothing starts: the server is being st…',
    ]);
  });

  test('is not redrawn on a dumb terminal', () => {
    const { terminal, stderr } = terminalOn({ isTTY: true, env: { TERM: 'dumb' } });
    tellStory(terminal);
    expect(stderr.text()).not.toContain('\u001B');
  });
});

describe('colours', () => {
  test('are off for a file and under NO_COLOR, on for a terminal', () => {
    expect(terminalOn().terminal.colors.red('x')).toBe('x');
    expect(terminalOn({ isTTY: true, env: { NO_COLOR: '1' } }).terminal.colors.red('x')).toBe('x');
    expect(terminalOn({ isTTY: true }).terminal.colors.red('x')).toBe('\u001B[31mx\u001B[39m');
  });
});

test('a table is as wide as its cells', () => {
  expect(
    renderTable(
      [{ title: 'ID' }, { title: 'TIME', align: 'right' }],
      [
        ['first', '1'],
        ['x', '12345'],
      ],
    ),
  ).toEqual(['ID      TIME', 'first      1', 'x      12345']);
});

test('what a model says cannot steer the terminal', () => {
  expect(printable('a\u001B[2Jb\u0007\r\nc\td\u009B31m')).toBe('a␛[2Jb␇\nc\td\uFFFD31m');
  expect(oneLine('a\n\n b   c', 5)).toBe('a b c');
  expect(oneLine('abcdef', 5)).toBe('abcd…');
});

test.each([
  [0.4, '0 ms'],
  [999, '999 ms'],
  [1250, '1.3 s'],
  [185_000, '3 m 05 s'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

const tallyOf = (results: readonly object[]) => new Tally(results.map((result) => ({ usage: {}, ...result }) as unknown as TaskResult));

test('that no task changed a file is said only when each was looked at', () => {
  const lines = (...results: object[]) =>
    patchLines({ tally: tallyOf(results), patches: ['p'] } as unknown as Parameters<typeof patchLines>[0]);
  expect(lines({ base_commit: 'a', files_changed: 0 })).toEqual(['Patches: none, no task changed a file']);
  expect(lines({ base_commit: 'a', files_changed: 0 }, { error: { code: 'WORKSPACE_CAPTURE_FAILED' } })).toEqual(['Patches: none']);
});

test('groups are counted where there are two or more', () => {
  const tally = tallyOf([
    { outcome: 'succeeded', group: 'a' },
    { outcome: 'failed', group: 'a' },
    { outcome: 'succeeded', group: 'b' },
  ]);
  expect(tally.groups([{ group: 'a' }, { group: 'a' }, { group: 'b', repeat: 2 }, {}])).toEqual([
    { group: 'a', total: 2, succeeded: 1 },
    { group: 'b', total: 2, succeeded: 1 },
  ]);
  expect(tally.groups([{ group: 'a' }, {}])).toEqual([]);
});

test('what changed in the repository itself is told once, whoever worked there', () => {
  const results = [{ source_changes: ['refs/heads/x', 'config'] }, { source_changes: ['config'] }, {}];
  expect(sourceLines({ tally: tallyOf(results) } as unknown as Parameters<typeof sourceLines>[0])).toEqual([
    'Changed in the repository itself while the tasks ran: config, refs/heads/x',
  ]);
});

test('the line of an event leaves out the record of the server, and nothing that a tool calls raw', () => {
  const part = { type: 'tool', input: { raw: true }, raw: { state: { input: { raw: true } } } };
  expect(JSON.stringify(withoutRecords({ part, field: 'text' }))).toBe('{"part":{"type":"tool","input":{"raw":true}},"field":"text"}');
});

test('JSON holds no control character, and says the same', () => {
  const value = { text: 'a\u001b[2J\u009b31m\u007f', more: ['\u0085'] };
  const json = jsonText(value);
  // oxlint-disable-next-line no-control-regex -- that there are none is the point
  expect(json).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  expect(JSON.parse(json)).toEqual(value);
});
