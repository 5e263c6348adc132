import { expect, test } from 'vitest';
import { requestInProcess, warmUpHttp } from '../src/http/warm-up.ts';

test('the request within the process is answered and read, without a socket, and leaves nothing', async () => {
  const held = () => process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP') || kind === 'Timeout').length;
  const before = held();
  await requestInProcess();
  expect(held()).toBe(before);
});

test('the HTTP client is warmed up once', () => {
  expect(warmUpHttp()).toBe(warmUpHttp());
});
