import { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { listenForStop, type StopStep } from '../src/signals.ts';

function ladder() {
  const source = new EventEmitter();
  const steps: StopStep[] = [];
  let time = 0;
  const signals = listenForStop({ source: source as unknown as NodeJS.Process, now: () => time, onStep: (step) => steps.push(step) });
  const send = (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', afterMs = 1000) => {
    time += afterMs;
    source.emit(signal, signal);
  };
  return { source, signals, steps, send };
}

test('SIGINT drains, then aborts, then kills, and goes no further', () => {
  const { signals, steps, send } = ladder();
  send('SIGINT');
  expect([signals.drain.aborted, signals.abort.aborted, signals.kill.aborted]).toEqual([true, false, false]);
  send('SIGINT');
  expect([signals.abort.aborted, signals.kill.aborted]).toEqual([true, false]);
  send('SIGINT');
  send('SIGINT');
  expect(signals.kill.aborted).toBe(true);
  expect(steps).toEqual(['drain', 'abort', 'kill']);
  expect(signals.exitCode).toBe(130);
});

test('equal signals within 300 ms are one, others count', () => {
  const { steps, send } = ladder();
  send('SIGINT');
  send('SIGINT', 299);
  expect(steps).toEqual(['drain']);
  send('SIGINT', 2);
  expect(steps).toEqual(['drain', 'abort']);
  send('SIGTERM', 1);
  expect(steps).toEqual(['drain', 'abort', 'kill']);
});

test.each(['SIGTERM', 'SIGHUP'] as const)('%s aborts at once', (signal) => {
  const { signals, steps, send } = ladder();
  send(signal);
  expect([signals.drain.aborted, signals.abort.aborted, signals.kill.aborted]).toEqual([true, true, false]);
  expect(steps).toEqual(['abort']);
  expect(signals.exitCode).toBe(143);
});

test('the signals are given back', async () => {
  const { source, signals } = ladder();
  expect(source.listenerCount('SIGINT')).toBe(1);
  signals[Symbol.dispose]();
  // Not yet: a signal that has arrived and was not told would be dropped before the next listener is there.
  expect(source.listenerCount('SIGINT')).toBe(1);
  const next = listenForStop({ source: source as unknown as NodeJS.Process });
  source.emit('SIGINT', 'SIGINT');
  expect(next.exitCode).toBe(130);
  next[Symbol.dispose]();
  await setImmediate();
  expect(source.listenerCount('SIGINT')).toBe(0);
  expect(signals.exitCode).toBeUndefined();
});

test('a listener that fails does not end the process, and the step counts', () => {
  const source = new EventEmitter();
  const signals = listenForStop({
    source: source as unknown as NodeJS.Process,
    onStep() {
      throw new Error('the progress display is broken');
    },
  });
  expect(() => source.emit('SIGTERM', 'SIGTERM')).not.toThrow();
  expect([signals.abort.aborted, signals.exitCode]).toEqual([true, 143]);
});
