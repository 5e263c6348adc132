import type { Message, Part } from '@opencode-ai/sdk/v2/types';
import { expect, test } from 'vitest';
import { decodeHistory, decodeQuestion } from '../../src/protocol/v1/shapes.ts';

const part = { id: 'prt_1', sessionID: 'ses_1', messageID: 'msg_2' };

test('a message that an older opencode stored without its tokens, cost and times is read with the others', () => {
  const info = { role: 'assistant', id: 'msg_2', sessionID: 'ses_1', parentID: 'msg_1', providerID: 'one', modelID: 'big' } as Message;
  const parts = [{ ...part, type: 'reasoning', text: 'Let me see.' } as Part];
  expect(decodeHistory({ info, parts })).toMatchObject({
    info: {
      createdAtMs: 0,
      completed: false,
      tokens: { input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 },
      costUsd: 0,
      raw: info,
    },
    parts: [{ type: 'reasoning', text: 'Let me see.', ended: true }],
  });
});

test('tokens without those of a cache are counted', () => {
  const tokens = { input: 3, output: 4, reasoning: 0 };
  const info = { role: 'assistant', id: 'msg_2', sessionID: 'ses_1', parentID: 'msg_1', tokens, cost: 0.5 } as Message;
  expect(decodeHistory({ info, parts: [] }).info).toMatchObject({ tokens: { input: 3, output: 4, cacheRead: 0 }, costUsd: 0.5 });
});

test('a question without options has none', () => {
  const request = { id: 'que_1', sessionID: 'ses_1', questions: [{ question: 'Which?', header: 'One' }] };
  expect(decodeQuestion(request as never).questions).toEqual([{ question: 'Which?', header: 'One', options: [], choices: [] }]);
});
