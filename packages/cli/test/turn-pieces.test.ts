import type { MonitorEvent } from '@opencode-manager/events';
import { describe, expect, test } from 'vitest';
import { TurnPieces } from '../src/manager/turn-pieces.ts';

const turn = 'msg_010';

const message = (id: string, parentId: string, extra: object = {}) =>
  ({ type: 'message.updated', data: { message: { role: 'assistant', id, parentId, ...extra } } }) as unknown as MonitorEvent;
const part = (messageId: string, id: string, text: string, extra: object = {}) =>
  ({ type: 'part.updated', data: { part: { type: 'text', id, messageId, text, ended: false, ...extra } } }) as unknown as MonitorEvent;
const delta = (messageId: string, partId: string, text: string) =>
  ({ type: 'part.delta', data: { messageId, partId, field: 'text', delta: text } }) as unknown as MonitorEvent;
const gap = { type: 'stream.gap', generation: 1, reason: 'lost' } as unknown as MonitorEvent;

/** What a turn says, as `type: text`. */
function said(events: readonly MonitorEvent[], output: string, begun = true): string[] {
  const told: string[] = [];
  const pieces = new TurnPieces('the prompt', ({ type, text }) => told.push(`${type}: ${text}`));
  if (begun) pieces.begin(turn);
  for (const event of events) pieces.take(event);
  pieces.end(output);
  return told;
}

const begun = [message('msg_011', turn), part('msg_011', 'p1', '')];

describe('pieces of a turn', () => {
  test('end with a word, so that no secret is cut', () => {
    expect(
      said([...begun, delta('msg_011', 'p1', 'The key is sk-se'), delta('msg_011', 'p1', 'cret, so')], 'The key is sk-secret, so'),
    ).toEqual(['text: The key is ', 'text: sk-secret, ', 'text: so']);
    expect(said([...begun, delta('msg_011', 'p1', 'a\r'), delta('msg_011', 'p1', '\nb')], 'a\r\nb')).toEqual(['text: a\r\n', 'text: b']);
    expect(said([...begun, delta('msg_011', 'p1', '語語')], '語語')).toEqual(['text: 語語']);
  });

  test('are of this turn alone', () => {
    const others = [
      message('msg_002', 'msg_001'),
      part('msg_002', 'p0', 'An earlier turn. '),
      message('msg_012', 'msg_011', { summary: true }),
      part('msg_012', 'p2', 'A summary. '),
      part(turn, 'p3', 'the prompt'),
    ];
    expect(said([...begun, ...others, part('msg_011', 'p4', 'read for it', { synthetic: true })], '')).toEqual([]);
    expect(said([part(turn, 'p3', 'the prompt'), ...begun, delta('msg_011', 'p1', 'yes ')], 'yes', false)).toEqual(['text: yes ']);
  });

  test('tell reasoning apart', () => {
    const thought = part('msg_011', 'p5', 'so it is', { type: 'reasoning', ended: true });
    expect(said([...begun, thought, part('msg_011', 'p1', 'Yes.', { ended: true })], 'Yes.')).toEqual([
      'reasoning: so it is',
      'text: Yes.',
    ]);
  });

  test('come in the order in which the model said them, though the end of a thought is told later', () => {
    const thought = (text: string, ended = false) => part('msg_011', 'p5', text, { type: 'reasoning', ended });
    const events = [
      thought(''),
      delta('msg_011', 'p5', 'Up to'),
      ...begun.slice(1),
      delta('msg_011', 'p5', ' five.'),
      delta('msg_011', 'p1', 'one two'),
      thought('Up to five.', true),
    ];
    expect(said([begun[0]!, ...events], 'one two')).toEqual([
      'reasoning: Up ',
      'reasoning: to ',
      'reasoning: five.',
      'text: one ',
      'text: two',
    ]);
  });

  test('of an answer that broke off are followed by those of the message that goes on with it, and told once', () => {
    const rest = [message('msg_012', turn, { continues: 'msg_011' }), part('msg_012', 'p2', 'two', { ended: true })];
    expect(said([...begun, part('msg_011', 'p1', 'one ', { ended: true }), ...rest], 'one two')).toEqual(['text: one ', 'text: two']);
  });

  test('are whole after a gap, and when the end was read before it streamed', () => {
    const torn = [...begun, delta('msg_011', 'p1', 'one two '), gap, delta('msg_011', 'p1', 'four ')];
    const whole = 'one two three four five';
    expect(said([...torn, part('msg_011', 'p1', whole, { ended: true })], whole)).toEqual(['text: one two ', 'text: three four five']);
    expect(said(torn, whole)).toEqual(['text: one two ', 'text: three four five']);
    expect(said([], whole)).toEqual([`text: ${whole}`]);
  });
});
