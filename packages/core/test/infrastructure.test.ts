import { describe, expect, test } from 'vitest';
import { isInfrastructureFault, OpencodeManagerError, toManagerError } from '@opencode-manager/core';

const system = (code: string, message = `${code}: said by the system`) => Object.assign(new Error(message), { code });
const caused = (cause: unknown) => new OpencodeManagerError('CONNECTION_LOST', 'GET /session: the connection failed.', { cause });

describe('a fault of the machine', () => {
  test.each([
    ['a full disk that was explained', new OpencodeManagerError('STATE_DIRECTORY_FULL', 'full')],
    ['spent resources', new OpencodeManagerError('RESOURCES_EXHAUSTED', 'no descriptors')],
    ['the same as JSON', new OpencodeManagerError('RESOURCES_EXHAUSTED', 'no descriptors').toJSON()],
    ["the system's own error", system('ENOSPC')],
    ['a full quota', system('EDQUOT')],
    ['no descriptors behind a connection', caused(system('EMFILE', 'connect EMFILE 127.0.0.1:4000'))],
    [
      'the same when the cause has crossed a file',
      OpencodeManagerError.from(caused(system('EMFILE', 'connect EMFILE 127.0.0.1:1')).toJSON()),
    ],
    ['one of several addresses', caused(Object.assign(new AggregateError([system('ENFILE')]), { code: 'ECONNREFUSED' }))],
    ['a process that could not be started', system('EAGAIN', 'spawn /bin/sh EAGAIN')],
    ['no memory', system('ENOMEM')],
    ["a database of opencode's that cannot be written", new OpencodeManagerError('TURN_FAILED', 'Failed to execute statement')],
  ])('%s', (_what, error) => {
    expect(isInfrastructureFault(error)).toBe(true);
  });
});

describe('no fault of the machine', () => {
  test.each([
    ['nothing', undefined],
    ['a turn that failed', new OpencodeManagerError('TURN_FAILED', 'EMFILE: the model talks of it')],
    ['a turn that failed of another database', new OpencodeManagerError('TURN_FAILED', 'Failed to execute statement 7')],
    ['a server that is gone', caused(system('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1'))],
    ['a file that is not there', system('ENOENT')],
    ['a read that is to be tried later', system('EAGAIN', 'EAGAIN: resource temporarily unavailable, read')],
    ['a word of somebody', 'ENOSPC'],
  ])('%s', (_what, error) => {
    expect(isInfrastructureFault(error)).toBe(false);
  });
});

test('unknown errors keep the code of what the system lacks', () => {
  expect(toManagerError(system('EMFILE')).code).toBe('RESOURCES_EXHAUSTED');
  expect(toManagerError(Object.assign(new Error('gone'), { syscall: 'uv_cwd' })).code).toBe('DIRECTORY_MISSING');
  expect(toManagerError(new Error('whatever')).code).toBe('INTERNAL');
});
