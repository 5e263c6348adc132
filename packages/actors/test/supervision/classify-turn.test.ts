import type { AssistantMessageFacts, MessageHistory } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { classifyTurn } from '../../src/supervision/index.ts';

const ours = { messageId: 'msg_10', kind: 'prompt' } as const;
const user = (id: string): MessageHistory => ({ message: { id, role: 'user', sessionId: 'ses_root' }, parts: [] });
const answer = (
  id: string,
  end: Partial<AssistantMessageFacts> | 'open',
  parentId = 'msg_10',
  parts: MessageHistory['parts'] = [],
): MessageHistory => ({
  message: {
    id,
    role: 'assistant',
    sessionId: 'ses_root',
    parentId,
    completed: end !== 'open',
    providerId: 'scripted',
    model: 'scripted/model',
    tokens: { input: 1, output: 1, reasoning: 0, cacheRead: 0, cacheWrite: 0 },
    costUsd: 0,
    ...(end !== 'open' && end),
  },
  parts,
});
const failure = (kind: 'provider' | 'aborted') => ({ kind, name: 'Named', message: 'It failed.' });
const earlier = [user('msg_01'), answer('msg_02', { finish: 'stop' }, 'msg_01')];

describe('the fate of a turn', () => {
  test.each([
    ['our message is not there', [...earlier], 'never_started'],
    ['our message has no answer', [...earlier, user('msg_10')], 'interrupted'],
    ['the answer is open', [...earlier, user('msg_10'), answer('msg_11', 'open')], 'interrupted'],
    ['the answer is whole', [...earlier, user('msg_10'), answer('msg_11', { finish: 'stop' })], 'finished'],
    ['the answer was cut at its length', [user('msg_10'), answer('msg_11', { finish: 'length' })], 'finished'],
    ['another step would have followed', [user('msg_10'), answer('msg_11', { finish: 'tool-calls' })], 'interrupted'],
    ['a step followed and is open', [user('msg_10'), answer('msg_11', { finish: 'tool-calls' }), answer('msg_12', 'open')], 'interrupted'],
    [
      'a step followed and is whole',
      [user('msg_10'), answer('msg_11', { finish: 'tool-calls' }), answer('msg_12', { finish: 'stop' })],
      'finished',
    ],
    ['the answer has no finish reason', [user('msg_10'), answer('msg_11', {})], 'interrupted'],
    ['the provider refused', [user('msg_10'), answer('msg_11', { error: failure('provider') })], 'finished'],
    ['the server aborted it', [user('msg_10'), answer('msg_11', { error: failure('aborted') })], 'interrupted'],
    [
      'opencode went on under a message of its own',
      [user('msg_10'), user('msg_12'), answer('msg_13', { finish: 'stop' }, 'msg_12')],
      'finished',
    ],
    ['messages come in another order', [answer('msg_12', 'open'), answer('msg_11', { finish: 'stop' }), user('msg_10')], 'interrupted'],
  ] as const)('%s: %#', (_what, history, fate) => {
    expect(classifyTurn(history, ours)).toBe(fate);
  });

  test('a shell line ends without a finish reason', () => {
    expect(classifyTurn([user('msg_10'), answer('msg_11', {})], { ...ours, kind: 'shell' })).toBe('finished');
    expect(classifyTurn([user('msg_10'), answer('msg_11', 'open')], { ...ours, kind: 'shell' })).toBe('interrupted');
  });
});
