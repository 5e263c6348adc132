import { expect, test, vi } from 'vitest';
import { shareLooks } from '../src/isolation/shared-looks.ts';

test('looks at one directory at the same time are one look, and a later one is another', async () => {
  const looks: string[] = [];
  const look = shareLooks((directory) => looks.push(directory));
  expect([look('/a'), look('/a'), look('/b'), look('/a')]).toEqual([1, 1, 2, 1]);
  await vi.waitFor(() => expect(look('/a')).toBe(3));
  expect(looks).toEqual(['/a', '/b', '/a']);
});

test('a look that throws is not remembered', () => {
  let looks = 0;
  const look = shareLooks(() => {
    looks += 1;
    if (looks === 1) throw new Error('untrusted');
    return looks;
  });
  expect(() => look('/a')).toThrow('untrusted');
  expect(look('/a')).toBe(2);
});
