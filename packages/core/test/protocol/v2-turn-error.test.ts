import { describe, expect, test } from 'vitest';
import { decodeRetry, decodeTurnError } from '../../src/protocol/v2/turn-error.ts';

const free = '2026-11-29T04:00:00.000Z';
const marked = `Usage limit reached [opencode-manager: free again at ${free}]`;

describe('the time that our plugin appends to a refusal', () => {
  test('is taken out of the message of an error', () => {
    expect(decodeTurnError({ type: 'provider.quota', message: marked, status: 429 })).toEqual({
      kind: 'provider',
      name: 'provider.quota',
      message: 'Usage limit reached',
      statusCode: 429,
      resetAtMs: Date.parse(free),
    });
    expect(decodeTurnError({ type: 'provider.quota', message: marked.replace(free, 'T') })).not.toHaveProperty('resetAtMs');
  });

  test('counts for a retry, whose own time is cut to a quarter of an hour', () => {
    const at = Date.parse(free) - 1000;
    const error = { type: 'provider.rate-limit', message: marked, status: 429 };
    expect(decodeRetry({ attempt: 2, at, error })).toMatchObject({
      attempt: 1,
      message: 'Usage limit reached',
      nextAtMs: Date.parse(free),
    });
    expect(decodeRetry({ attempt: 2, at, error: { message: 'Slow down' } })).toMatchObject({ message: 'Slow down', nextAtMs: at });
  });
});
