import { describe, expect, test, vi } from 'vitest';
import { runHere } from './support/terminal.ts';

const commands = [
  'demo',
  'run',
  'resume',
  'enqueue',
  'worker',
  'runs',
  'status',
  'results',
  'show',
  'diff',
  'export',
  'wait',
  'serve',
  'attach',
  'sessions',
  'events',
  'prompt',
  'command',
  'shell',
  'revert',
  'abort',
  'session',
  'doctor',
  'clean',
  'mock-model',
  'playground',
  'completion',
];

describe('help', () => {
  test('of the program', async () => {
    const { exitCode, stdout, stderr } = await runHere('--help');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatchSnapshot();
    for (const command of commands) expect(stdout).toMatch(new RegExp(` {2}${command} +\\w`));
    // One screen.
    const lines = stdout.trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test.each(commands)('of %s', async (command) => {
    const { exitCode, stdout, stderr } = await runHere(command, '--help');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatchSnapshot();
    expect(await runHere('help', command)).toEqual({ exitCode, stdout, stderr });
  });

  test.each([
    ['model', 'mock-model'],
    ['exec', 'command'],
  ])('%s, the name of before, takes what %s takes and is not listed', async (before, name) => {
    const [old, now] = [await runHere(before, '--help'), await runHere(name, '--help')];
    expect(old).toEqual({ ...now, stdout: now.stdout.replace(`ocm ${name}`, `ocm ${before}`) });
    expect((await runHere('--help')).stdout).not.toMatch(new RegExp(` {2}${before} {2}`));
  });

  test('without a command goes to stderr, as a usage error', async () => {
    const { exitCode, stdout, stderr } = await runHere();
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('Usage: ocm');
  });
});

describe('short flags', () => {
  test.each([
    [['run', '-c', '0', '-m', 'a/b', '-o', 'x', '-d', '.', '-j', '--prompt', 'hi'], 'USAGE'],
    [['sessions', '-j'], 'MANAGER_NOT_FOUND'],
  ])('%j', async (args, code) => {
    vi.stubEnv('TMPDIR', '/nonexistent');
    const { exitCode, stdout } = await runHere(...args);
    vi.unstubAllEnvs();
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', error: { code } });
  });

  test('are no options of commands that pass words on', async () => {
    expect((await runHere('shell', 'new', 'ls', '-d')).stderr).toContain("error: unknown option '-d'");
  });
});

describe('did you mean', () => {
  test.each([
    [['rnu'], "error: unknown command 'rnu'\n(Did you mean run?)"],
    [['sesions'], "error: unknown command 'sesions'\n(Did you mean sessions?)"],
    [['session', 'delte'], "error: unknown command 'delte'\n(Did you mean delete?)"],
    [['run', '--josn'], "error: unknown option '--josn'\n(Did you mean --json?)"],
    [['run', '--concurency', '3'], "error: unknown option '--concurency'\n(Did you mean --concurrency?)"],
    [['serve', '--directroy', '.'], "error: unknown option '--directroy'\n(Did you mean --directory?)"],
  ])('%j', async (args, message) => {
    const { exitCode, stdout, stderr } = await runHere(...args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(message);
  });
});
