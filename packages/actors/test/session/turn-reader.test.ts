import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { expect, test } from 'vitest';
import type { Clock, PortCall, ServerPort, SessionPort } from '../../src/ports/index.ts';
import { TurnObserver } from '../../src/session/turn-observer.ts';
import { readTurn } from '../../src/session/turn-reader.ts';

/** A server whose history may be late, or gone. */
function targetOf(history: SessionPort['history'], childHistory = history) {
  let now = 1000;
  const clock = { now: () => (now += 0.001) } as Clock;
  // The reader of a directory counts whole milliseconds.
  const facts = { status: { sinceMs: 1000, value: {} }, asks: { sinceMs: 1000, value: [] } };
  const session = { id: 'ses_root', directory: '/work', history } as unknown as SessionPort;
  const child = { ...session, history: childHistory } as unknown as SessionPort;
  const server = { read: () => Promise.resolve(facts), session: () => child } as unknown as ServerPort;
  return {
    session,
    server,
    clock,
    messageId: 'msg_10',
    observer: new TurnObserver({ messageId: 'msg_10', kind: 'prompt' }),
    children: new Set(['ses_child']),
    adoptChild: () => {},
    onAsk: () => {},
    signal: new AbortController().signal,
  };
}

async function read(...args: Parameters<typeof readTurn>) {
  const reading = await readTurn(...args);
  if (reading === 'deleted') throw new Error('The session is deleted.');
  return reading;
}

const late = (code: 'REQUEST_TIMEOUT' | 'NOT_FOUND' | 'SERVER_ERROR') => Promise.reject(new OpencodeManagerError(code, 'no'));

test('what was asked for after the history is later than it, also within one millisecond', async () => {
  const target = targetOf(() => Promise.resolve([]));
  const { clock } = target;
  const toldMs = clock.now();
  const { history, status, children, asks } = await read(target, { history: true, descendants: false });
  expect(history?.sinceMs).toBeGreaterThan(toldMs);
  for (const { sinceMs } of [status, children, asks!]) {
    expect(sinceMs).toBeGreaterThan(history!.seenAtMs);
    expect(sinceMs).toBeLessThan(clock.now());
  }
});

test('a request without an answer is sent once more; one that was refused is not', async () => {
  const calls: (number | undefined)[] = [];
  const lostOnce = ({ timeoutMs }: PortCall = {}) => (calls.push(timeoutMs) === 1 ? late('REQUEST_TIMEOUT') : Promise.resolve([]));
  await readTurn(
    targetOf(lostOnce, () => Promise.resolve([])),
    { history: true, descendants: false },
  );
  expect(calls).toEqual([5000, undefined]);
  const refused = targetOf(() => late('SERVER_ERROR'));
  await expect(readTurn(refused, { history: true, descendants: false })).rejects.toMatchObject({ code: 'SERVER_ERROR' });
});

test('a sub-agent that has its prompt alone when the status is asked for has not begun', async () => {
  const target = targetOf(
    () => Promise.resolve([]),
    () => Promise.resolve([{ message: { role: 'user', id: 'msg_21', sessionId: 'ses_child' }, parts: [] }]),
  );
  target.observer.message({ role: 'user', id: 'msg_21', sessionId: 'ses_child' }, false);
  const { children } = await read(target, { history: false, descendants: false });
  expect(children).toMatchObject({ busy: [], quiet: [], unbegun: ['ses_child'] });
});

test('a session without a history is deleted', async () => {
  expect(
    await readTurn(
      targetOf(() => late('NOT_FOUND')),
      { history: true, descendants: true },
    ),
  ).toBe('deleted');
});

test('a sub-agent that was deleted is read all the same', async () => {
  const target = targetOf(
    () => Promise.resolve([]),
    () => late('NOT_FOUND'),
  );
  const { children } = await read(target, { history: true, descendants: false });
  expect(children).toMatchObject({ busy: [], quiet: ['ses_child'], unbegun: [] });
});
