import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createHttpClient } from '../../src/http/index.ts';
import { protocolNamed } from '../../src/protocol/index.ts';
import { operationsUsed } from '../../src/protocol/v2/operations-used.ts';
import { causeOfFailure, causeOfPlugin, configurationComplaints } from '../../src/protocol/v2/server-log.ts';
import { Redactor } from '../../src/secrets/index.ts';
import { confirmConfiguration } from '../../src/server/confirm.ts';
import { failureOf } from '../support/failure.ts';

/** A description with every operation that is used, ids under names of its own. */
function describedOperations(): Record<string, Record<string, object>> {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operationsUsed({})) {
    const [method, path] = operation.split(' ') as [string, string];
    (paths[path.replaceAll('{id}', '{sessionID}')] ??= {})[method.toLowerCase()] = {};
  }
  return paths;
}

/** What a server of an untested 2.x is confirmed as. @param unmet so many looks find its directory not built yet */
async function confirm(paths: object, unmet = 0) {
  let looks = 0;
  const answers: Readonly<Record<string, unknown>> = {
    '/api/info': { version: '2.1.0' },
    '/api/config': [],
    '/openapi.json': { paths },
  };
  const server = createServer(({ url = '' }, response) => {
    const path = url.split('?', 1)[0]!;
    if (path === '/api/plugin') looks += 1;
    const isMet = looks > unmet;
    // Until then, opencode offers providers of its own that it is going to refuse.
    const ofDirectory = {
      '/api/plugin': { data: isMet ? [{ id: 'own' }] : [] },
      '/api/provider': { data: isMet ? [] : [{ id: 'opencode' }] },
    };
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...answers, ...ofDirectory }[path]));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const redactor = new Redactor();
  const credentials = { url: `http://127.0.0.1:${port}`, username: 'opencode', password: 'x', authorization: 'Basic x' };
  const client = createHttpClient(credentials, { redactor, readError: protocolNamed('v2').readError });
  try {
    return await confirmConfiguration({
      protocol: protocolNamed('v2'),
      client,
      directory: '/work',
      configFiles: ['/state/opencode.json'],
      effective: {
        config: {},
        inOlderForm: {},
        providers: [],
        model: undefined,
        referencedVariables: [],
        notes: [],
        snapshots: true,
      } as never,
      expectedVersion: '2.1.0',
      deadlineAtMs: Date.now() + 10_000,
      output: () => '',
      redactor,
      installs: false,
    });
  } finally {
    await client.close();
    server.close();
  }
}

describe('an opencode 2 that was not tested', () => {
  test('is taken with all operations that are used, whatever the names of ids', async () => {
    expect(await confirm(describedOperations())).toMatchObject({ version: '2.1.0' });
  });

  test('is not judged by the providers that it offers before it has built the directory', async () => {
    expect(await confirm(describedOperations(), 3)).toMatchObject({ version: '2.1.0' });
  });

  test('is refused by the name of the one that it lacks', async () => {
    const { '/api/session/{sessionID}/interrupt': _, ...rest } = describedOperations();
    const error = await failureOf(confirm(rest));
    expect([error.code, error.message]).toEqual([
      'VERSION_UNSUPPORTED',
      expect.stringMatching(
        /^opencode 2\.1\.0 is not one of the tested .* lacks what this manager uses: POST \/api\/session\/\{id\}\/interrupt\./,
      ),
    ]);
  });

  test('is refused when its path is there with another method', () => {
    const paths = describedOperations();
    paths['/api/session/{sessionID}/interrupt'] = { get: {} };
    expect(operationsUsed({ paths })).toEqual(['POST /api/session/{id}/interrupt']);
    expect(operationsUsed(undefined).length).toBeGreaterThan(30);
  });
});

test('a system text stands before the prompt where opencode has no route for it, and that is noted', async () => {
  const prompts: unknown[] = [];
  const notes: string[] = [];
  const server = createServer(({ url = '', method }, response) => {
    const isPrompt = url.endsWith('/prompt');
    if (isPrompt) response.req.setEncoding('utf8').on('data', (text: string) => prompts.push((JSON.parse(text) as { text: unknown }).text));
    response.statusCode = url.includes('/instructions/') ? 404 : 200;
    response.setHeader('content-type', 'application/json');
    const answer = url.endsWith('/inbox') ? { data: [] } : { data: { id: 'ses_1', agent: 'build' } };
    response.req.on('end', () => response.end(method === 'DELETE' ? '' : JSON.stringify(answer))).resume();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { url, username: 'opencode', password: 'x', authorization: 'Basic x' };
  const client = createHttpClient(credentials, { redactor: new Redactor(), readError: protocolNamed('v2').readError });
  try {
    const session = protocolNamed('v2')
      .calls(client, { onNote: (note) => notes.push(note) })
      .session('ses_1', '/work');
    const parts = [{ type: 'text', text: 'Hello.' }] as const;
    await session.submit({ kind: 'prompt', messageId: 'msg_1', agent: 'build', system: 'Be brief.', parts });
    expect(prompts).toEqual(['Be brief.\n\nHello.']);
    expect(notes).toEqual([expect.stringContaining('it stands before the text of the prompt')]);
  } finally {
    server.close();
  }
});

describe('the log of opencode 2', () => {
  const record = (text: string) => `timestamp=2026-11-29T01:50:11.826Z level=WARN run=d798e0d5 ${text} http.span=4368 role=server`;

  test('tells values of a configuration file that are left out, each once; those of other files are not ours', () => {
    const diagnostic = (source: string, path: string, kind: string) =>
      record(`message="configuration normalization diagnostic" source=${source} path=${path} kind=${kind} action="left out"`);
    const output = [
      diagnostic('/state/opencode.json', '$.mcp.broken', 'invalid'),
      diagnostic('/state/opencode.json', '$.mcp.broken', 'invalid'),
      diagnostic('/state/opencode.json', '$.tui', 'unsupported'),
      diagnostic('/elsewhere/opencode.json', '$.theirs', 'invalid'),
      record('message="something else" path=$.no kind=invalid'),
    ].join('\n');
    expect(configurationComplaints(output, ['/state/opencode.json'])).toEqual({ invalid: ['mcp.broken'], unsupported: ['tui'] });
    expect(configurationComplaints('', ['/state/opencode.json'])).toEqual({ invalid: [], unsupported: [] });
  });

  test('tells why a turn of a session failed before it asked the model: the newest cause, without its stack', () => {
    const failed = (sessionId: string, cause: string) =>
      record(`message="turn failed" sessionID=${sessionId} cause=${JSON.stringify(cause)}`).replace('level=WARN', 'level=ERROR');
    const output = [
      failed('ses_1', 'ModelError: the first'),
      failed('ses_1', 'Model.Unavailable: Model unavailable: "a/b"\n    at resolve (chunk.js:1)'),
      failed('ses_2', 'ModelError: of another'),
    ].join('\n');
    expect(causeOfFailure(output, 'ses_1')).toBe('Model unavailable: "a/b"');
    expect(causeOfFailure(output, 'ses_3')).toBeUndefined();
    expect(causeOfFailure(record('sessionID=ses_1 cause="cut off').replace('level=WARN', 'level=ERROR'), 'ses_1')).toBeUndefined();
  });

  test.each([
    ['NpmInstallFailedError (cause: $_: 404 Not Found - GET http://127.0.0.1:1/x)', 'Fail', '404 Not Found - GET http://127.0.0.1:1/x'],
    ['Error: broken (on purpose)', 'Die', 'broken (on purpose)'],
    ["ResolveMessage: Cannot find package 'x' imported from /a.js", 'Die', "Cannot find package 'x' imported from /a.js"],
  ])('tells why a plugin could not be loaded: %s', (cause, kind, says) => {
    const output = record(`message="failed to load plugin" target=x ref=err_1 cause=${JSON.stringify(`Cause([${kind}(${cause})])`)}`);
    expect(causeOfPlugin(output, 'err_1')).toBe(says);
    expect(causeOfPlugin(output, 'err_2')).toBeUndefined();
  });
});
