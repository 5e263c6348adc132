import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { launchServer, OpencodeManagerError, Redactor, type ServerConfig } from '@opencode-manager/core';
import { parseServerConfig } from '../src/config/index.ts';
import { learnAuth, learnConfig, learnSubstitutions, learnVariables } from '../src/secrets/index.ts';
import { failureOf } from './support/failure.ts';
import { privateRoot } from './support/private-root.ts';
import { by } from './support/tested.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const secret = 'sk-live "quoted"/+ü 1234567890';

/** Everything that an error would show, in a record or when it is printed. */
const shown = (error: Error) => JSON.stringify(error) + inspect(error, { depth: 9 }) + (error.stack ?? '');

describe('a value is found', () => {
  test.each([
    ['as it is', secret],
    ['in JSON', JSON.stringify({ key: secret })],
    ['in JSON inside JSON', JSON.stringify(JSON.stringify({ key: secret }))],
    ['in a URL', `https://example.com/?key=${encodeURIComponent(secret)}`],
    ['in a URL, in small letters', encodeURIComponent(secret).replaceAll(/%../g, (code) => code.toLowerCase())],
    ['in a form', new URLSearchParams({ key: secret }).toString().replaceAll('%22', '%22')],
    ['in base64', base64(secret)],
    ['in a Basic header', `authorization: Basic ${base64(`someone:${secret}`)}`],
    ['in a Basic header of another user', `Basic ${base64(`me:${secret}`)}`],
    ['in base64 for URLs', Buffer.from(`a:${secret}`).toString('base64url')],
  ])('%s', (_where, text) => {
    const redactor = new Redactor();
    redactor.learn(secret);
    const clean = redactor.text(`before ${text} after`);
    expect(clean).toMatch(/^before .*\[redacted\].* after$/);
    for (const piece of ['sk-live', '1234567890', base64(secret).slice(4, 14)]) expect(clean).not.toContain(piece);
    expect(redactor.replaced).toBe(1);
  });

  test('in keys, lists and causes, and the same object comes back when there is none', () => {
    const redactor = new Redactor();
    redactor.learn('hunter2-hunter2');
    const clean = { type: 'done', list: [1, null, { at: 'here' }] };
    expect(redactor.json(clean)).toBe(clean);
    expect(redactor.counted({ 'hunter2-hunter2': ['x', { deep: 'is hunter2-hunter2.' }] })).toEqual({
      value: { '[redacted]': ['x', { deep: 'is [redacted].' }] },
      redacted: 2,
    });
    const cause = Object.assign(new TypeError('hunter2-hunter2 was refused'), { code: 'EACCES' });
    const error = new OpencodeManagerError('TURN_FAILED', 'no hunter2-hunter2', {
      details: { body: { key: 'hunter2-hunter2' } },
      output: 'hunter2-hunter2\n',
      cause: new OpencodeManagerError('SERVER_ERROR', 'hunter2-hunter2', { cause }),
    });
    const redacted = redactor.error(error);
    expect(shown(redacted)).not.toContain('hunter2');
    expect(redacted).toMatchObject({
      code: 'TURN_FAILED',
      message: 'no [redacted]',
      output: '[redacted]\n',
      details: { body: { key: '[redacted]' } },
    });
    expect(redacted.cause).toMatchObject({
      code: 'SERVER_ERROR',
      cause: { name: 'TypeError', code: 'EACCES', message: '[redacted] was refused' },
    });
    expect(redactor.error(new Error('plain')).message).toBe('plain');
  });

  test('that holds itself, without an end', () => {
    const redactor = new Redactor();
    redactor.learn('hunter2-hunter2');
    const ring: Record<string, unknown> = { text: 'hunter2-hunter2' };
    ring['self'] = ring;
    expect(redactor.json(ring)).toMatchObject({ text: '[redacted]' });
  });

  test('short ones as whole words, never in the words of a record', () => {
    const redactor = new Redactor();
    redactor.learn('task');
    redactor.learn('none');
    redactor.learn('abc');
    expect(redactor.json({ type: 'task.finished', text: 'task tasks multitask none abc' })).toEqual({
      type: 'task.finished',
      text: '[redacted] tasks multitask none abc',
    });
  });
});

describe('what counts as a secret', () => {
  test.each<[string, object, readonly string[], readonly string[]]>([
    [
      'keys of providers',
      { provider: { x: { options: { apiKey: 'abcd', baseURL: 'https://x.example/v1' } } } },
      ['abcd'],
      ['https://x.example/v1', 'provider'],
    ],
    [
      'headers',
      { provider: { x: { options: { headers: { Authorization: 'Bearer abcdef', 'X-Title': 'My own program' } } } } },
      ['abcdef'],
      ['Bearer', 'My own program'],
    ],
    ['logins in URLs', { mcp: { db: { command: ['db', 'postgres://me:pa%24s@host/db'] } } }, ['pa$s', 'pa%24s'], ['host']],
    ['tokens in URLs', { mcp: { x: { url: 'https://x.example/?api_key=qwerty&page=first' } } }, ['qwerty'], ['first']],
    [
      'options of a command',
      { mcp: { x: { command: ['srv', '--token', 'first-one', '--api-key=second', '--name', 'third'] } } },
      ['first-one', 'second'],
      ['third'],
    ],
    [
      'variables of a server',
      { mcp: { x: { environment: { OWN: 'some-value-of-mine', HOME_DIR: '/home/somebody/here', SHORT: 'x11' } } } },
      ['some-value-of-mine'],
      ['/home/somebody/here', 'x11'],
    ],
    ['a key that is the name of its provider', { provider: { scripted: { options: { apiKey: 'scripted' } } } }, [], ['scripted']],
  ])('%s', (_what, config, secrets, harmless) => {
    const redactor = new Redactor();
    learnConfig(redactor, config);
    for (const one of secrets) expect(redactor.text(`it is ${one} here`)).toBe('it is [redacted] here');
    for (const one of harmless) expect(redactor.text(`it is ${one} here`)).toBe(`it is ${one} here`);
  });

  test('what variables and files put in, by what they are', () => {
    const put = (kind: 'env' | 'file', target: string, field: string, value: string) => ({ kind, target, field, value });
    const key = JSON.stringify({ type: 'service', private_key: 'line-one-of-it\nline-two-of-it', note: 'short' }, null, 2);
    const redactor = new Redactor();
    learnSubstitutions(redactor, [
      put('env', 'MY_TOKEN', 'a', 't0ken'),
      put('env', 'WHERE', 'a', '/usr/share/somewhere'),
      put('env', 'WHAT', 'b', 'twelve-chars'),
      put('env', 'MODEL', 'b', 'anthropic/claude-sonnet-5'),
      put('env', 'SITE', 'b', 'https://a.example/b'),
      put('file', '/keys/key.json', 'key', key),
      put('file', '/prompts/prompt.md', 'prompt', 'You are a helpful reviewer.'),
    ]);
    const text =
      't0ken /usr/share/somewhere twelve-chars anthropic/claude-sonnet-5 https://a.example/b line-two-of-it You are a helpful reviewer.';
    expect(redactor.text(text)).toBe(
      '[redacted] /usr/share/somewhere [redacted] anthropic/claude-sonnet-5 https://a.example/b [redacted] You are a helpful reviewer.',
    );
  });

  test('passed variables by their names, and all of an auth file but its kinds', () => {
    const redactor = new Redactor();
    learnVariables(redactor, { X_API_KEY: 'k3y5', MAX_TOKENS: '4096', NODE_OPTIONS: 'short' }, [
      'X_API_KEY',
      'MAX_TOKENS',
      'NODE_OPTIONS',
      'GONE',
    ]);
    learnAuth(redactor, JSON.stringify({ x: { type: 'api', key: 'from-auth' } }));
    expect(redactor.text('k3y5 4096 short from-auth api')).toBe('[redacted] 4096 short [redacted] api');
  });
});

test.each<[string, unknown]>([
  ['a list of variables', { env: ['MY_KEY=hidden-value-1'] }],
  ['a text in their place', { env: 'MY_KEY=hidden-value-1' }],
  ['a value among the names', { passEnv: ['MY_KEY=hidden-value-1'] }],
  ['a configuration that is none', { opencodeConfig: ['hidden-value-1'] }],
  ['options that are none', 'hidden-value-1'],
])('an option that is refused is not repeated: %s', (_what, config) => {
  expect(() => parseServerConfig(config)).toThrow(expect.toSatisfy((error: Error) => !shown(error).includes('hidden-value-1')));
});

describe('on the real server', () => {
  const hidden = { env: 'env-secret-0123456789', quoted: 'quo"ted-secret-9876', file: 'file-secret-abcdef', short: 'pw42' };

  test('a refusal of opencode that repeats what was put in tells none', async () => {
    await using root = await privateRoot();
    execFileSync('git', ['init', '-q', join(root.path, 'work')]);
    const file = join(root.path, 'key');
    await writeFile(file, `${hidden.file}\n`);
    const config: ServerConfig = {
      directory: join(root.path, 'work'),
      env: { FIRST: hidden.env, SECOND: hidden.quoted },
      opencodeConfig: {
        model: 'x/y',
        provider: { x: { options: { apiKey: '{env:FIRST}', other: '{env:SECOND}', token: `{file:${file}}`, password: hidden.short } } },
        command: { a: { template: ['{env:FIRST}', '{env:SECOND}', `{file:${file}}`] } },
      },
    };
    const error = await failureOf(launchServer(config));
    expect(error.code).toBe('OPENCODE_CONFIG_INVALID');
    for (const value of Object.values(hidden)) expect(shown(error)).not.toContain(value);
    // opencode 2 names the place alone.
    expect(error.message).toContain(by({ v1: '[redacted]', v2: 'opencode cannot use what stands in command.a' }));
  });
});
