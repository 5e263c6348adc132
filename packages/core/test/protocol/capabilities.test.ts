import { expect, test } from 'vitest';
import { Redactor } from '@opencode-manager/core/secrets';
import { protocolNamed } from '@opencode-manager/core/protocol';
import { createHttpClient } from '../../src/http/index.ts';
import { createOperations } from '../../src/session/index.ts';
import { failureOf } from '../support/failure.ts';

test('what a protocol cannot do is refused by its name, before anything is sent', async () => {
  const protocol = protocolNamed('v1');
  // Nobody listens there: a request would fail as CONNECTION_LOST.
  const client = createHttpClient(
    { url: 'http://127.0.0.1:9', authorization: 'Basic none' },
    { redactor: new Redactor(), readError: protocol.readError },
  );
  try {
    const withoutTodos = { ...protocol, capabilities: { ...protocol.capabilities, todos: false } };
    const operations = createOperations({ protocol: withoutTodos, calls: protocol.calls(client), beginTurn: async () => {} }, 'ses_1', '/');
    const error = await failureOf(operations.todos());
    expect(error).toMatchObject({ code: 'PROTOCOL_UNSUPPORTED', details: { protocol: 'v1', capability: 'todos' } });
    expect(error.message).toMatch(/^todos\(\): opencode from 1\.18\.0 to below 2\.0\.0 \(protocol v1\) cannot do this/);
    const able = createOperations({ protocol, calls: protocol.calls(client), beginTurn: async () => {} }, 'ses_1', '/');
    expect((await failureOf(able.todos())).code).not.toBe('PROTOCOL_UNSUPPORTED');
  } finally {
    await client.close();
  }
});
