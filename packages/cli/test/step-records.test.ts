import type { MachineStep } from '@opencode-manager/actors';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../src/playground/redact.ts';
import { StepTap } from '../src/playground/step-tap.ts';

const error = { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'the words', output: 'the output', cause: { name: 'Error' } };
const ask = { id: 'per_1', kind: 'permission', permission: 'bash', patterns: ['rm secret.txt'] };
const retry = { attempt: 1, message: 'Too Many Requests', nextAtMs: 5 };

describe('what a page may see of a step', () => {
  test('hides words of errors and what asks are about, and the output of the server always', () => {
    const redact = createRedactor({ content: false, asks: false });
    expect(redact({ error, turn: { openAsks: [ask], retry } })).toEqual({
      error: { name: 'OpencodeManagerError', code: 'SERVER_EXITED' },
      turn: { openAsks: [{ id: 'per_1', kind: 'permission', permission: 'bash' }], retry },
    });
  });

  test('shows them to whoever may see content, or is to answer', () => {
    expect(createRedactor({ content: true, asks: false })({ error, ask })).toEqual({
      error: { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'the words' },
      ask,
    });
    expect(createRedactor({ content: false, asks: true })({ ask })).toEqual({ ask });
  });

  test('gives the same object for the same object, so that nothing seems to have changed', () => {
    const redact = createRedactor({ content: false, asks: false });
    const context = { turn: { openAsks: [ask] }, turns: 1 };
    expect(redact({ ...context, turns: 2 })).toMatchObject({ turns: 2 });
    const [first, second] = [redact(context), redact({ ...context, turns: 2 })] as { turn: object }[];
    expect(first?.turn).toBe(second?.turn);
    const plain = { limits: { settleMs: 150 } };
    expect(redact(plain)).toBe(plain);
  });
});

describe('the tap between a pool and its pages', () => {
  const step = (actor: string, type: string): MachineStep => {
    return {
      machine: 'session',
      actor,
      atMs: 1,
      event: { type },
      from: 'idle',
      path: 'idle',
      transitions: ['t'],
      effects: [],
      context: {},
      ref: { send: () => undefined },
    };
  };

  test('tells a page that is there from the start every step', () => {
    const tap = new StepTap();
    tap.inspect(step('ses_1', 'xstate.init'));
    tap.inspect(step('ses_1', 'turn.submit'));
    const told: string[] = [];
    const stop = tap.listen(({ event }) => told.push(event.type));
    tap.inspect(step('ses_1', 'turn.accepted'));
    stop();
    tap.inspect(step('ses_1', 'session.busy'));
    expect(told).toEqual(['xstate.init', 'turn.submit', 'turn.accepted']);
  });

  test('tells one that comes late the state of every actor, and nothing of those that are gone', () => {
    const tap = new StepTap();
    for (let number = 0; number < 300; number += 1) tap.inspect(step(`ses_${number % 3}`, 'progress'));
    tap.inspect(step('ses_0', 'xstate.stop'));
    const told: MachineStep[] = [];
    tap.listen((one) => told.push(one));
    expect(told.map(({ actor, event, from, transitions }) => [actor, event.type, from, transitions])).toEqual([
      ['ses_1', 'earlier', null, []],
      ['ses_2', 'earlier', null, []],
    ]);
  });
});
