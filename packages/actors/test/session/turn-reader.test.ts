import { expect, test } from 'vitest';
import type { Clock, ServerPort, SessionPort } from '../../src/ports/index.ts';
import { TurnObserver } from '../../src/session/turn-observer.ts';
import { readTurn } from '../../src/session/turn-reader.ts';

test('what was asked for after the history is later than it, also within one millisecond', async () => {
  let now = 1000;
  const clock = { now: () => (now += 0.001) } as Clock;
  // The reader of a directory counts whole milliseconds.
  const facts = { status: { sinceMs: 1000, value: {} }, asks: { sinceMs: 1000, value: [] } };
  const session = { id: 'ses_root', directory: '/work', history: () => Promise.resolve([]) } as unknown as SessionPort;
  const server = { read: () => Promise.resolve(facts) } as unknown as ServerPort;
  const target = {
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
  const toldMs = clock.now();
  const { history, status, children, asks } = await readTurn(target, { history: true, descendants: false });
  expect(history?.sinceMs).toBeGreaterThan(toldMs);
  for (const { sinceMs } of [status, children, asks]) {
    expect(sinceMs).toBeGreaterThan(history!.seenAtMs);
    expect(sinceMs).toBeLessThan(clock.now());
  }
});
