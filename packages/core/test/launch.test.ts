import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBinary, findMarkedProcesses, launchServer, type ServerConfig } from '@opencode-manager/core';
import { markName } from '../src/isolation/mark.ts';
import { putEarlierState } from './support/earlier-state.ts';
import { failureOf } from './support/failure.ts';
import { opencode2 } from './support/opencode-2.ts';
import { privateRoot } from './support/private-root.ts';
import { by, isV2 } from './support/tested.ts';

let root: Awaited<ReturnType<typeof privateRoot>>;
beforeEach(async () => {
  root = await privateRoot();
});
afterEach(async () => {
  await root[Symbol.asyncDispose]();
});

const inside = (...path: string[]) => join(root.path, ...path);

async function put(path: string, text: string, mode = 0o644): Promise<string> {
  await mkdir(dirname(inside(path)), { recursive: true });
  await writeFile(inside(path), text, { mode });
  return inside(path);
}

/** A workspace that is a repository of its own, so that nothing above it counts. */
async function workspace(): Promise<string> {
  await put('work/.git/HEAD', 'ref: refs/heads/main\n');
  for (const name of ['objects', 'refs']) await mkdir(inside('work', '.git', name), { recursive: true });
  return inside('work');
}

const attempt = async (config: ServerConfig) => failureOf(launchServer({ directory: await workspace(), ...config }));

describe('refused before anything is started', () => {
  test('an unknown option names its nearest neighbour', async () => {
    const error = await attempt({ opencodConfig: {} } as ServerConfig);
    expect([error.code, error.message]).toEqual([
      'CONFIG_KEY_UNKNOWN',
      'Option opencodConfig does not exist. Did you mean opencodeConfig?',
    ]);
  });

  test('a wrong value names the option and what was received', async () => {
    expect((await attempt({ port: 70_000 })).message).toMatch(/^Option port: .*received 70000/);
    expect((await attempt({ hostname: '0.0.0.0' as never })).message).toMatch(/^Option hostname: .*received "0.0.0.0"/);
    expect((await attempt({ env: { HOME: '/elsewhere' } })).message).toMatch(/^Option env: HOME cannot be set/);
    expect((await attempt({ passEnv: ['XDG_DATA_HOME'] })).code).toBe('CONFIG_INVALID');
  });

  test('a missing directory, and a file in its place', async () => {
    expect((await attempt({ directory: inside('nowhere') })).code).toBe('DIRECTORY_MISSING');
    expect((await attempt({ directory: await put('file', '') })).message).toContain('is not a directory');
    expect((await attempt({ opencodeConfigDir: inside('nowhere') })).code).toBe('DIRECTORY_MISSING');
  });

  test('a binary that is named but missing is never passed over', async () => {
    const error = await attempt({ binary: inside('nowhere', 'opencode') });
    expect(error.code).toBe('BINARY_NOT_FOUND');
    expect(error.message).toContain(`binary: ${inside('nowhere', 'opencode')} does not exist`);
    expect((await failureOf(findBinary({ environment: { OPENCODE_BIN: inside('gone') } }))).message).toContain('OPENCODE_BIN');
  });

  test('a binary that does not say its version, and one of an unsupported major', async () => {
    expect((await attempt({ binary: await put('bin/mute', '#!/bin/sh\nexit 3\n', 0o755) })).code).toBe('BINARY_UNUSABLE');
    const error = await attempt({ binary: await put('bin/three', '#!/bin/sh\necho 3.1.0\n', 0o755) });
    expect([error.code, error.message]).toEqual([
      'VERSION_UNSUPPORTED',
      expect.stringMatching(
        /^opencode 3\.1\.0 .* speaks 1\.18\.0 up to, not including, 2\.0\.0 .* and 2\.0\.0 up to, not including, 3\.0\.0/,
      ),
    ]);
  });

  test('a configuration file that is missing, or is not JSONC, with its place', async () => {
    expect((await attempt({ opencodeConfig: inside('none.json') })).code).toBe('OPENCODE_CONFIG_INVALID');
    const error = await attempt({ opencodeConfig: await put('broken.json', '{\n  "model": "a/b",\n  oops\n}\n') });
    expect([error.code, error.message]).toEqual([
      'OPENCODE_CONFIG_INVALID',
      expect.stringMatching(/is not JSONC: \w+ at line 3, column 3\./),
    ]);
  });

  test('an auth file that is missing, broken, or holds OAuth; its content is never repeated', async () => {
    expect((await attempt({ authFile: inside('none.json') })).code).toBe('AUTH_FILE_INVALID');
    const broken = await attempt({ authFile: await put('auth.json', '{"anthropic": "sk-very-secret"') });
    expect(broken.code).toBe('AUTH_FILE_INVALID');
    expect(JSON.stringify(broken)).not.toContain('sk-very-secret');
    const oauth = await attempt({
      authFile: await put(
        'oauth.json',
        JSON.stringify({ anthropic: { type: 'oauth', refresh: 'rt-secret' }, openai: { type: 'api', key: 'k' } }),
      ),
    });
    expect([oauth.code, oauth.message]).toEqual([
      'AUTH_OAUTH_REFUSED',
      expect.stringContaining('OAuth credentials for anthropic. Their refresh tokens rotate'),
    ]);
    expect(JSON.stringify(oauth)).not.toContain('rt-secret');
  });

  test.each([
    ['a plugin file', '.opencode/plugin/x.js', 'export const X = async () => ({})'],
    ['a TypeScript plugin', '.opencode/plugins/x.ts', 'export {}'],
    ['a plugins key', 'opencode.json', '{ "plugins": ["./x.js"] }'],
    ['a plugin key in JSONC', 'opencode.jsonc', '{ /* mine */ "plugin": ["some-package"] }'],
    ['a plugin key below .opencode', '.opencode/opencode.json', '{ "plugin": ["some-package"] }'],
  ])('a workspace with %s, in it or above it in its repository', async (_, file, text) => {
    await put(`work/${file}`, text);
    await put('work/deep/er/file.txt', '');
    expect((await attempt({})).code).toBe('WORKSPACE_UNTRUSTED');
    const below = await attempt({ directory: inside('work', 'deep', 'er') });
    expect([below.code, below.message]).toEqual(['WORKSPACE_UNTRUSTED', expect.stringContaining(file)]);
  });

  test('a plugin above the repository does not count; outside git it does', async () => {
    await put('.opencode/plugin/planted.js', '');
    expect((await attempt({ binary: inside('none') })).code).toBe('BINARY_NOT_FOUND');
    await mkdir(inside('bare'));
    expect((await attempt({ directory: inside('bare') })).message).toContain('planted.js');
  });

  test("a state directory inside the user's own directories, also through a link", async () => {
    expect((await attempt({ stateDir: join(homedir(), '.config', 'opencode', 'state') })).code).toBe('STATE_DIRECTORY_UNSAFE');
    expect((await attempt({ stateDir: homedir() })).code).toBe('STATE_DIRECTORY_UNSAFE');
    await symlink(homedir(), inside('home-link'));
    const error = await attempt({ stateDir: inside('home-link', '.local', 'share', 'opencode') });
    expect(error.code).toBe('STATE_DIRECTORY_UNSAFE');
    await expect(stat(join(homedir(), '.config', 'opencode', 'state'))).rejects.toThrow(/ENOENT/);
  });

  test('a state directory that others may write, and one that cannot be made', async () => {
    await put('open/file', '');
    await chmod(inside('open'), 0o777);
    expect((await attempt({ stateDir: inside('open') })).message).toContain('may be written by others');
    expect((await attempt({ stateDir: join(await put('plain', ''), 'below') })).code).toBe('STATE_DIRECTORY_UNWRITABLE');
  });

  test('a port in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const { port } = holder.address() as { port: number };
    const error = await attempt({ port });
    expect([error.code, error.message]).toEqual(['PORT_IN_USE', `port: ${port} is taken. Name another port, or 0 for a free one.`]);
    await new Promise((resolve) => holder.close(resolve));
  });
});

describe('starts that fail leave nothing behind', () => {
  const script = (body: string) => put('bin/opencode', `#!/bin/sh\nif [ "$1" = --version ]; then echo 1.18.33; exit; fi\n${body}\n`, 0o755);

  async function leavesNothing(config: ServerConfig) {
    const stateDir = inside('state');
    const error = await attempt({ stateDir, deleteStateOnExit: true, ...config });
    await expect(stat(stateDir)).rejects.toThrow(/ENOENT/);
    return error;
  }

  test('a server that ends at once: phase, exit code and the tail of its output', async () => {
    const error = await leavesNothing({ binary: await script('echo "file is not a database" >&2; exit 7') });
    expect(error.code).toBe('SERVER_START_FAILED');
    expect(error.details).toMatchObject({ phase: 'ready line', exitCode: 7 });
    expect(error.message).toContain('Its last line: file is not a database');
    expect(error.output).toContain('file is not a database');
  });

  test('a server that never says that it listens', async () => {
    const error = await leavesNothing({ binary: await script('echo starting; exec sleep 60'), startupTimeoutMs: 1000 });
    expect([error.code, error.details['phase']]).toEqual(['SERVER_START_TIMEOUT', 'ready line']);
  });

  test('a server that listens and never answers', async () => {
    const error = await leavesNothing({
      binary: await script('echo "opencode server listening on http://127.0.0.1:1"; exec sleep 60'),
      startupTimeoutMs: 2000,
    });
    expect([error.code, error.details['phase']]).toEqual(['SERVER_START_FAILED', 'version']);
  });

  test('the real server with a configuration that its schema refuses', async () => {
    const error = await leavesNothing({ opencodeConfig: { model: 'scripted/model', mcp: { broken: 5 } } });
    expect([error.code, error.details['phase']]).toEqual(['OPENCODE_CONFIG_INVALID', 'configuration']);
    expect(error.message).toContain(by({ v1: 'ConfigInvalidError', v2: 'opencode cannot use what stands in mcp.broken' }));
  });

  test('an abort by the caller', async () => {
    const error = await leavesNothing({ binary: await script('exec sleep 60'), signal: AbortSignal.timeout(300) });
    expect(error.code).toBe('REQUEST_ABORTED');
  });
});

describe('one manager holds one state directory', () => {
  /** The real one, at whose first start the port is taken between our look and the bind. */
  async function unluckyBinary(attempts: string): Promise<string> {
    const { path, version } = await findBinary();
    const taken = by({ v1: 'Error: Unexpected error\\n\\nServeError\\n', v2: 'Failed to start server. Is port 1 in use?\\n' });
    return put(
      'bin/opencode',
      `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; exit; fi\necho try >> ${attempts}\n[ "$(wc -l < ${attempts})" -gt 1 ] && exec ${path} "$@"\nprintf '${taken}' >&2\nexit 1\n`,
      0o755,
    );
  }

  test('a port that is taken at the last moment is changed; a second manager is refused; the state stays for the next, and credentials are closed to others', async () => {
    const stateDir = inside('state');
    // By its mark the second start knows what the first one took over.
    await putEarlierState(stateDir);
    const authFile = await put('auth.json', JSON.stringify({ scripted: { type: 'api', key: 'sk-test-key' } }), 0o644);
    const attempts = inside('attempts');
    const first = await launchServer({ directory: await workspace(), stateDir, authFile, binary: await unluckyBinary(attempts) });
    expect((await readFile(attempts, 'utf8')).trim().split('\n')).toHaveLength(2);
    expect((await first.health()).version).toBe((await findBinary()).version);
    expect((await stat(stateDir)).mode & 0o777).toBe(0o700);
    expect(JSON.parse(await readFile(join(stateDir, markName), 'utf8'))).toEqual({
      product: 'opencode-manager',
      layout: 1,
      protocol: by({ v1: 'v1', v2: 'v2' }),
    });
    expect((await stat(join(stateDir, 'data', 'opencode', 'auth.json'))).mode & 0o777).toBe(0o600);
    const session = await first.createSession({ title: 'kept' });
    if (!isV2 && opencode2 !== undefined) expect((await attempt({ stateDir, binary: opencode2 })).code).toBe('STATE_DIRECTORY_PROTOCOL');
    const refused = await attempt({ stateDir });
    expect([refused.code, refused.details['pid']]).toEqual(['STATE_DIRECTORY_LOCKED', process.pid]);
    await first.stop();
    expect(await findMarkedProcesses(first.runId)).toEqual([]);
    await writeFile(join(stateDir, 'manager.lock'), JSON.stringify({ pid: process.pid, startTime: 'another', runId: 'gone' }));
    await using second = await launchServer({ directory: await workspace(), stateDir });
    expect((await second.listSessions()).map(({ id }) => id)).toEqual([session.id]);
    expect(await readdir(stateDir)).not.toContain('manager.lock.stale');
    expect(JSON.parse(await readFile(join(stateDir, 'manager.lock'), 'utf8'))).toMatchObject({ pid: process.pid, runId: second.runId });
  });
});

test('behind the script that a package manager puts on PATH, the native binary is found', async () => {
  const shim = await findBinary({ environment: { PATH: fileURLToPath(new URL('../node_modules/.bin', import.meta.url)) } });
  expect(shim.source).toBe('PATH');
  expect(shim).toEqual({ ...(await findBinary({ environment: {} })), source: 'PATH' });
  expect(shim.path).toMatch(/opencode-\w+-\w+(-\w+)?\/bin\/opencode$/);
});
