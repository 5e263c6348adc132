import { describe, expect, test } from 'vitest';
import { OpencodeManagerError, toManagerError } from '@opencode-manager/core';
import {
  finalAnswer,
  isSealed,
  proofSignals,
  proveTurnEnd,
  type AssistantMessage,
  type DecodedFrame,
  type ServerEvent,
  type TurnEvidence,
  type UserMessage,
} from '@opencode-manager/core/protocol';
import { errorOfResponse } from '../src/http/response-error.ts';
import { readAnswerError } from '../src/protocol/v1/answer-error.ts';
import { decodeHistoryEntry } from '../src/protocol/v1/decode.ts';
import { decodeTurnError } from '../src/protocol/v1/turn-error.ts';
import { FrameReader, openData } from '../src/protocol/v1/frame.ts';
import { createOutputRing } from '../src/process/output-ring.ts';

const frame = (payload: unknown, directory: string | undefined = '/srv/repo') => JSON.stringify({ directory, project: 'p', payload });

/** What one record says, read by a reader of its own and opened when it is sealed. */
function decodeFrame(data: string, reader = new FrameReader()): DecodedFrame {
  const read = reader.read(data);
  if (read.kind !== 'event' || !isSealed(read.event)) return read;
  const { wireType, properties, ...head } = read.event;
  return { kind: 'event', event: { ...head, data: openData({ wireType, properties }) } as ServerEvent };
}

describe('FrameReader', () => {
  test('gives lifecycle events by our names, with session and directory', () => {
    const retry = { type: 'retry', attempt: 2, message: 'Rate limit reached', action: { label: 'Upgrade', link: 'https://x' }, next: 17 };
    const data = frame({ id: 'evt_1', type: 'session.status', properties: { sessionID: 'ses_1', status: retry } });
    expect(decodeFrame(data)).toEqual({
      kind: 'event',
      event: {
        type: 'session.status',
        plane: 'lifecycle',
        id: 'evt_1',
        directory: '/srv/repo',
        sessionId: 'ses_1',
        data: { status: { type: 'retry', attempt: 2, message: 'Rate limit reached', nextAtMs: 17, raw: retry } },
      },
    });
  });

  test('puts deltas and part updates on the stream plane', () => {
    const delta = decodeFrame(
      frame({
        id: 'evt_2',
        type: 'message.part.delta',
        properties: { sessionID: 'ses_1', messageID: 'msg_1', partID: 'prt_1', field: 'text', delta: 'Hello ' },
      }),
    );
    expect(delta).toMatchObject({
      event: { type: 'part.delta', plane: 'stream', data: { messageId: 'msg_1', partId: 'prt_1', field: 'text', delta: 'Hello ' } },
    });
  });

  test('reads id and number of a sync record without parsing what it repeats', () => {
    const data =
      '{"directory":"/d","project":"p","payload":{"type":"sync","syncEvent":{"id":"evt_3","type":"message.updated.1","seq":14,"aggregateID":"ses_1","data":{ not even JSON';
    expect(decodeFrame(data)).toEqual({ kind: 'sync', id: 'evt_3', durableSequence: 14, sessionId: 'ses_1' });
  });

  test('a text that only looks like a sync record is an event', () => {
    const text = '"payload":{"type":"sync","syncEvent":{"id":"x","type":"y","seq":1,"aggregateID":"z"';
    const data = frame({
      id: 'evt_4',
      type: 'message.part.delta',
      properties: { sessionID: 's', messageID: 'm', partID: 'p', field: 'text', delta: text },
    });
    expect(decodeFrame(data)).toMatchObject({ kind: 'event', event: { data: { delta: text } } });
  });

  test('takes a delta apart as parsing it does, whatever its text', () => {
    for (const delta of [
      '',
      ' word',
      '\n',
      '"quoted"',
      'back\\slash\\',
      '\u0000\u2028',
      'snow \u2603 \u{1F600}',
      '"}}}',
      '{"directory":"',
    ]) {
      const properties = { sessionID: 'ses_1', messageID: 'msg_1', partID: 'prt_1', field: 'text', delta };
      const data = frame({ id: 'evt_7', type: 'message.part.delta', properties });
      // Another order of keys is read by the parser.
      const parsed = frame({ type: 'message.part.delta', id: 'evt_7', properties });
      expect(decodeFrame(data)).toEqual({
        kind: 'event',
        event: {
          type: 'part.delta',
          plane: 'stream',
          id: 'evt_7',
          directory: '/srv/repo',
          sessionId: 'ses_1',
          data: { messageId: 'msg_1', partId: 'prt_1', field: 'text', delta },
        },
      });
      expect(decodeFrame(parsed)).toEqual(decodeFrame(data));
    }
  });

  test('reads the deltas of many parts by what it has seen of them, and any that differs by a character', () => {
    const reader = new FrameReader();
    for (let round = 0; round < 3; round++) {
      for (let part = 0; part < 5000; part++) {
        const directory = `/srv/${part % 3}`;
        const properties = { sessionID: `ses_${part % 7}`, messageID: 'msg_1', partID: `prt_${part}`, field: 'text', delta: `${round}` };
        const data = frame({ id: `evt_${round}_${part}`, type: 'message.part.delta', properties }, directory);
        const { sessionID: sessionId, messageID: messageId, partID: partId, field, delta } = properties;
        expect(reader.read(data)).toEqual({
          kind: 'event',
          event: {
            type: 'part.delta',
            plane: 'stream',
            id: `evt_${round}_${part}`,
            directory,
            sessionId,
            data: { messageId, partId, field, delta },
          },
        });
      }
    }
    const more = { sessionID: 'ses_1', messageID: 'msg_1', partID: 'prt_1', field: 'text', delta: '4', more: true };
    expect(reader.read(frame({ id: 'evt_x', type: 'message.part.delta', properties: more }))).toMatchObject({
      event: { data: { delta: '4' } },
    });
  });

  test('leaves what an event says sealed, and opens it whatever stands behind its properties', () => {
    const properties = {
      sessionID: 'ses_1',
      info: { id: 'msg_1', sessionID: 'ses_1', role: 'user', time: { created: 3 }, text: '"}}}' },
      more: [1],
    };
    const payload = { id: 'evt_9', type: 'message.updated', properties };
    for (const record of [payload, { ...payload, later: { a: {} } }, { later: 1, ...payload }]) {
      const data = frame(record);
      expect(decodeFrame(data)).toEqual({
        kind: 'event',
        event: {
          type: 'message.updated',
          plane: 'lifecycle',
          id: 'evt_9',
          directory: '/srv/repo',
          sessionId: 'ses_1',
          data: { message: { id: 'msg_1', sessionId: 'ses_1', role: 'user', createdAtMs: 3, raw: properties.info } },
        },
      });
    }
    const sealed = new FrameReader().read(frame(payload).replace('"user"', 'user'));
    expect(sealed).toMatchObject({ event: { type: 'message.updated', wireType: 'message.updated' } });
    expect(() => decodeFrame(frame(payload).replace('"user"', 'user'))).toThrow(SyntaxError);
  });

  test('a delta with a broken escape is malformed', () => {
    const properties = { sessionID: 's', messageID: 'm', partID: 'p', field: 'text', delta: '#' };
    const data = frame({ id: 'evt_8', type: 'message.part.delta', properties }).replace('#', String.raw`\q`);
    expect(decodeFrame(data)).toMatchObject({ kind: 'malformed' });
  });

  test('keeps what it does not know, also names of Object.prototype, and reports what it cannot read', () => {
    expect(decodeFrame(frame({ id: 'evt_5', type: 'plugin.added', properties: { id: 'x' } }))).toMatchObject({
      event: { type: 'other', data: { name: 'plugin.added', properties: { id: 'x' } } },
    });
    expect(decodeFrame(frame({ id: 'evt_6', type: 'constructor', properties: {} }))).toMatchObject({
      event: { type: 'other', data: { name: 'constructor' } },
    });
    expect(decodeFrame('{"payload":')).toMatchObject({ kind: 'malformed' });
    expect(decodeFrame('null')).toMatchObject({ kind: 'malformed' });
    expect(decodeFrame('{}')).toMatchObject({ kind: 'malformed', reason: 'the record has no payload.type' });
  });

  test('decodes stored events, whose types carry a version', () => {
    const event = decodeHistoryEntry({
      id: 'evt_7',
      aggregate_id: 'ses_9',
      seq: 3,
      type: 'session.created.1',
      data: { sessionID: 'ses_9', info: { id: 'ses_9', directory: '/d' } },
    });
    expect(event).toMatchObject({ type: 'session.created', sessionId: 'ses_9', durableSequence: 3, directory: '/d' });
  });

  test('reduces errors to name, message, status and whether a retry helps', () => {
    expect(
      decodeTurnError({
        name: 'APIError',
        data: { message: 'Rate limit reached', statusCode: 429, isRetryable: true, responseBody: 'secret' },
      }),
    ).toEqual({
      kind: 'provider',
      name: 'APIError',
      message: 'Rate limit reached',
      statusCode: 429,
      retryable: true,
    });
    expect(decodeTurnError(undefined)).toEqual({ kind: 'other', name: 'UnknownError', message: 'opencode gave no reason' });
  });
});

describe('proveTurnEnd', () => {
  const at = (atMs: number, source: 'events' | 'snapshot' = 'events') => ({ atMs, source });
  const whole: TurnEvidence = {
    messageId: 'msg_1',
    finalMessage: { ...at(10), id: 'msg_2', finish: 'stop', failed: false },
    idle: at(11),
    childrenQuiet: at(11),
    noPendingAsk: at(11),
  };

  test('needs all four signals: every subset that misses one is not over, and names it', () => {
    const keys = ['finalMessage', 'idle', 'childrenQuiet', 'noPendingAsk'] as const;
    for (let subset = 0; subset < 16; subset += 1) {
      const evidence = Object.fromEntries(
        Object.entries(whole).filter(([key]) => key === 'messageId' || subset & (1 << keys.indexOf(key as 'idle'))),
      ) as unknown as TurnEvidence;
      const end = proveTurnEnd(evidence);
      const missing = keys.flatMap((_, index) => (subset & (1 << index) ? [] : [proofSignals[index]]));
      expect(end).toEqual(missing.length > 0 ? { over: false, missing } : expect.objectContaining({ over: true, finalMessageId: 'msg_2' }));
    }
  });

  test('an idle from before the final message does not count', () => {
    expect(proveTurnEnd({ ...whole, idle: at(9) })).toEqual({ over: false, missing: ['session_idle'] });
  });

  test.each([['tool-calls'], [undefined]])('with finish %s only a snapshot proves idle', (finish) => {
    const finalMessage = { ...at(10), id: 'msg_2', failed: false, ...(finish !== undefined && { finish }) };
    expect(proveTurnEnd({ ...whole, finalMessage }).over).toBe(false);
    expect(proveTurnEnd({ ...whole, finalMessage, idle: at(12, 'snapshot') }).over).toBe(true);
  });

  test('a failed message is final whatever its finish', () => {
    expect(proveTurnEnd({ ...whole, finalMessage: { ...at(10), id: 'msg_2', failed: true } }).over).toBe(true);
  });
});

test('finalAnswer takes the newest answer to our message, and only when it is finalised', () => {
  const answer = (id: string, parentId: string, createdAtMs: number, completedAtMs?: number) =>
    ({ role: 'assistant', id, parentId, createdAtMs, completed: completedAtMs !== undefined }) as AssistantMessage;
  expect(finalAnswer([answer('a', 'ours', 1, 2), answer('b', 'ours', 3), answer('c', 'other', 9, 9)], 'ours')).toBeUndefined();
  expect(finalAnswer([answer('b', 'ours', 3, 4), answer('a', 'ours', 1, 2), { role: 'user', id: 'ours' } as UserMessage], 'ours')?.id).toBe(
    'b',
  );
});

describe('errors', () => {
  const failed = (statusCode: number, body: unknown, contentType = 'application/json') =>
    errorOfResponse(
      { statusCode, contentType, text: typeof body === 'string' ? body : JSON.stringify(body), label: 'GET /x' },
      readAnswerError,
    );

  test.each([
    [400, { name: 'BadRequest', data: { message: 'Missing key\n  at ["parts"]', kind: 'Payload' } }, 'BAD_REQUEST', /Missing key/],
    [400, { _tag: 'BadRequest' }, 'BAD_REQUEST', /400 BadRequest/],
    [
      400,
      { _tag: 'InvalidRequestError', message: 'Invalid session ID', field: 'sessionID' },
      'BAD_REQUEST',
      /\(sessionID\) Invalid session ID/,
    ],
    [401, '', 'UNAUTHORIZED', /401 with an empty body/],
    [404, { name: 'NotFoundError', data: { message: 'Session not found: ses_1' } }, 'NOT_FOUND', /Session not found: ses_1/],
    [404, { _tag: 'SessionNotFoundError' }, 'NOT_FOUND', /SessionNotFoundError/],
    [404, { _tag: 'PermissionNotFoundError' }, 'NOT_FOUND', /PermissionNotFoundError/],
    [409, { _tag: 'SessionBusyError', sessionID: 'ses_1', message: 'Session is busy: ses_1' }, 'SESSION_BUSY', /Session is busy/],
    [500, { name: 'UnknownError', data: { message: 'Unexpected server error.', ref: 'err_1' } }, 'SERVER_ERROR', /Unexpected server error/],
    [
      400,
      { name: 'ConfigInvalidError', data: { path: '/c.json', issues: [{ path: ['model'], message: 'Expected string, got 5' }] } },
      'OPENCODE_CONFIG_INVALID',
      /\(\/c\.json\) model: Expected string, got 5/,
    ],
    [400, { name: 'ConfigJsonError', data: { path: '/c.json', message: 'bad comma' } }, 'OPENCODE_CONFIG_INVALID', /bad comma/],
    [502, '<html>bad gateway</html>', 'SERVER_ERROR', /502/],
  ])('an answer %i %j is %s', (status, body, code, message) => {
    const error = failed(status, body);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test('cross JSON with code, details, output and causes', () => {
    const error = new OpencodeManagerError('SERVER_EXITED', 'gone', {
      details: { signal: 'SIGKILL' },
      output: 'tail',
      cause: new OpencodeManagerError('CONNECTION_LOST', 'reset', { cause: new TypeError('inner') }),
    });
    const restored = OpencodeManagerError.from(JSON.parse(JSON.stringify(error)) as ReturnType<OpencodeManagerError['toJSON']>);
    expect(restored.toJSON()).toEqual(error.toJSON());
    expect((restored.cause as OpencodeManagerError).code).toBe('CONNECTION_LOST');
  });
});

test.each<[string, unknown]>([
  ['an object without a prototype', Object.create(null)],
  [
    'an object that refuses to be a text',
    {
      toString() {
        throw new Error('no');
      },
    },
  ],
  [
    'an error whose message cannot be read',
    Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('no');
      },
    }),
  ],
])('whatever is thrown becomes an error of ours: %s', (_what, thrown) => {
  const error = toManagerError(thrown);
  expect(error).toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('something that cannot be read') as string });
  expect(error.toJSON().cause).toMatchObject({ message: 'something that cannot be read' });
});

test('the output ring keeps the newest text in bounded memory and never shows a secret', () => {
  const ring = createOutputRing(100, (text) => text.replaceAll('password-123', '[redacted]'));
  for (let index = 0; index < 1000; index += 1) ring.push(`line ${index}\n`);
  ring.push('the password-123 is here\n');
  expect(ring.read().length).toBeLessThanOrEqual(100);
  expect(ring.read()).toMatch(/line 999\nthe \[redacted\] is here\n$/);
});
