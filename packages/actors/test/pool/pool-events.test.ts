import { expect, test, vi } from 'vitest';
import { PoolEvents } from '../../src/pool/pool-events.ts';
import type { PoolEvent } from '../../src/index.ts';

test('a listener that throws, at once or later, is reported once and goes no further', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const events = new PoolEvents(() => 1);
  const heard: PoolEvent['type'][] = [];
  events.on('*', () => {
    throw new Error('E-now');
  });
  const later: () => unknown = () => Promise.reject(new Error('E-after'));
  events.on('task.queued', later);
  events.on('*', ({ type }) => void heard.push(type));
  for (const taskId of ['a', 'b']) events.emit({ type: 'task.queued', taskId });
  await new Promise(setImmediate);
  expect(heard).toEqual(['task.queued', 'task.queued']);
  expect(warned.mock.calls.map(([text]) => /E-now|E-after/.exec(String(text))?.[0])).toEqual(['E-now', 'E-after']);
  warned.mockRestore();
  events.clear();
  events.emit({ type: 'task.queued', taskId: 'c' });
  expect(heard).toHaveLength(2);
});
