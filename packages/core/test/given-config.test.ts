import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { agentFileAt, readGivenConfig, resolveConfig, type ServerConfig } from '../src/config/index.ts';
import { copyConfigDirectory } from '../src/isolation/index.ts';
import { protocolNamed } from '../src/protocol/index.ts';
import { failureOf } from './support/failure.ts';
import { privateRoot } from './support/private-root.ts';

async function place(files: Readonly<Record<string, string | Buffer>>) {
  const root = await privateRoot();
  const at = (path: string) => join(root.path, path);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), content);
  }
  return { at, [Symbol.asyncDispose]: () => root[Symbol.asyncDispose]() };
}

async function given(config: ServerConfig) {
  return readGivenConfig(await resolveConfig(config));
}

async function effective(config: ServerConfig) {
  const resolved = await resolveConfig(config);
  return protocolNamed('v1').configuration.effective({ ...resolved, runId: 'run', modelsInFiles: [] }, await readGivenConfig(resolved));
}

/** What plain opencode waits for without end, or breaks on; the rest stands in fidelity.test.ts. */
describe('what cannot be read is refused at once', () => {
  test.each([
    ['a configuration that is a FIFO', 'c', '{}', 'is not a regular file (FIFO)'],
    ['a file of it that is a FIFO', 'f', '{"agent":{"a":{"prompt":"{file:./f}"}}}', 'is not a regular file (FIFO)'],
    ['a file of it that is a device', '', '{"agent":{"a":{"prompt":"{file:/dev/zero}"}}}', 'is not a regular file (device)'],
  ])('%s', async (_what, fifo, text, why) => {
    await using files = await place({ 'opencode.json': text });
    if (fifo !== '') await execa('mkfifo', [files.at(fifo)]);
    const error = await failureOf(given({ opencodeConfig: files.at(fifo === 'c' ? 'c' : 'opencode.json') }));
    expect([error.code, error.message]).toEqual(['OPENCODE_CONFIG_INVALID', expect.stringContaining(why)]);
  });

  test('UTF-16, by its name', async () => {
    await using files = await place({ 'opencode.json': Buffer.from('\uFEFF{}', 'utf16le') });
    expect((await failureOf(given({ opencodeConfig: files.at('opencode.json') }))).message).toContain('is UTF-16');
  });

  test('a place in a broken text, and nothing of what was put in', async () => {
    const config = { opencodeConfig: '', env: { HIDDEN_KEY: 'hidden-value-0123' } };
    await using files = await place({ 'opencode.json': '{\n  "a": "{env:HIDDEN_KEY}" "b"\n}' });
    const error = await failureOf(given({ ...config, opencodeConfig: files.at('opencode.json') }));
    expect(error.message).toMatch(/is not JSONC: CommaExpected at line 2, column \d+\.$/);
    expect(JSON.stringify(error)).not.toContain('hidden-value-0123');
  });
});

describe('a variable that is not set', () => {
  const keyed = (model: string) => ({
    model,
    provider: { one: { options: { apiKey: '{env:NOT_SET_ONE}' } }, two: { options: { apiKey: '{env:NOT_SET_TWO}' } } },
  });

  test('is refused as the key of the model that answers, by name', async () => {
    const error = await failureOf(effective({ opencodeConfig: keyed('two/m') }));
    expect([error.code, error.details]).toEqual(['CREDENTIALS_MISSING', { variable: 'NOT_SET_TWO', field: 'provider.two.options.apiKey' }]);
  });

  test("counts for the default agent's own model", async () => {
    const config = { ...keyed('one/m'), default_agent: 'a', agent: { a: { model: 'two/m' } } };
    expect((await failureOf(effective({ opencodeConfig: config }))).details).toMatchObject({ variable: 'NOT_SET_TWO' });
  });

  test('is told elsewhere, and may be set to nothing', async () => {
    const { notes } = await effective({ opencodeConfig: keyed('three/m'), env: { NOT_SET_TWO: '' } });
    expect(notes).toEqual([
      'opencodeConfig: {env:NOT_SET_ONE} in provider.one.options.apiKey is not set; it counts as an empty text, as in opencode',
    ]);
    await expect(effective({ opencodeConfig: keyed('two/m'), env: { NOT_SET_TWO: '' } })).resolves.toMatchObject({ model: 'two/m' });
  });
});

test('an object that is handed over in code: its paths count from the workspace', async () => {
  await using files = await place({ 'p.txt': 'from the workspace\n' });
  const opencodeConfig = { agent: { a: { prompt: '{file:p.txt}', 'b{env:KEY_NAME}': '{env:QUOTED}' } } };
  const { config } = await given({ directory: files.at('.'), opencodeConfig, env: { KEY_NAME: 'x', QUOTED: 'a "b"\n' } });
  expect(config).toEqual({ agent: { a: { prompt: 'from the workspace', bx: 'a "b"\n' } } });
});

test('an agent in markdown may have rules in the form of opencode 2: ~ in them is the home of the user', () => {
  const file = (home: string) => `---
permissions:
  - action: external_directory
    resource: "${home}/notes/*"
    effect: allow
  - { action: edit, resource: ${home}/src/*, effect: deny }
  - resource: ${home}
    action: read
---
resource: ~/stays as it is`;
  expect([file('~'), file('$HOME')].map((text) => agentFileAt(text, '/home/me'))).toEqual([file('/home/me'), file('/home/me')]);
});

test('a copy of a directory follows links, leaves out what nobody can read, and forgets what was removed', async () => {
  await using files = await place({
    'source/agent/a.md': 'A.',
    'source/plugins/run.sh': 'x',
    'elsewhere/b.md': 'B.',
    'source/opencode.json': '{}',
  });
  await symlink('../../elsewhere/b.md', files.at('source/agent/b.md'));
  await symlink('nowhere', files.at('source/agent/c.md'));
  await symlink('..', files.at('source/agent/up'));
  await execa('mkfifo', [files.at('source/agent/d.md')]);
  await chmod(files.at('source/plugins/run.sh'), 0o500);
  await mkdir(files.at('target/agent'), { recursive: true });
  await writeFile(files.at('target/agent/old.md'), 'Old.');
  const { notes } = await copyConfigDirectory(files.at('source'), files.at('target'));
  const source = files.at('source/agent');
  expect(notes.toSorted()).toEqual([
    `opencodeConfigDir: ${source}/c.md is a link to nothing; it was left out`,
    `opencodeConfigDir: ${source}/d.md is not a regular file (FIFO); it was left out`,
    `opencodeConfigDir: ${source}/up leads back to a directory above it; it was left out`,
  ]);
  const { stdout } = await execa('find', ['.', '-type', 'f', '-printf', '%P %m\n'], { cwd: files.at('target') });
  expect(stdout.split('\n').toSorted()).toEqual(['agent/a.md 600', 'agent/b.md 600', 'plugins/run.sh 700']);
  expect(await readFile(files.at('target/agent/b.md'), 'utf8')).toBe('B.');
});
