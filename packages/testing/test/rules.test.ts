import { describe, expect, it } from 'vitest';

import { startScriptedModel, type Script } from '../src/index.ts';
import { chat, complete, say, toolRound } from './support/chat.ts';

const titleSystem = 'You are a title generator. You output ONLY a thread title.';

/** Starts a model, lets the test talk to it, stops it. */
async function withModel(script: Script, talk: (model: Awaited<ReturnType<typeof startScriptedModel>>) => Promise<void>): Promise<void> {
  await using model = await startScriptedModel(script);
  await talk(model);
}

describe('which rule answers', () => {
  it('is the first that matches, and the default when none does', () =>
    withModel(
      {
        rules: [
          { when: { user: 'a' }, reply: 'first' },
          { when: { user: 'ab' }, reply: 'second' },
        ],
        default: 'none: {{user}}',
      },
      async (model) => {
        expect(await say(model, 'ab')).toBe('first');
        expect(await say(model, 'xyz')).toBe('none: xyz');
        expect(model.calls.map(({ rule }) => rule)).toEqual(['rules[0]', null]);
      },
    ));

  it.each<[string, Script['rules'], string]>([
    [
      'equals',
      [
        { when: { user: { equals: 'hello' } }, reply: 'no' },
        { when: { user: { equals: 'hello there' } }, reply: 'yes' },
      ],
      'yes',
    ],
    ['a regular expression with flags', [{ when: { user: { matches: '^HELLO', flags: 'i' } }, reply: 'yes' }], 'yes'],
    ['the system prompt', [{ when: { system: 'You help' }, reply: 'yes' }], 'yes'],
    ['the history', [{ when: { history: 'there' }, reply: 'yes' }], 'yes'],
    [
      'the model',
      [
        { when: { model: 'small' }, reply: 'no' },
        { when: { model: 'model' }, reply: 'yes' },
      ],
      'yes',
    ],
    [
      'tools',
      [
        { when: { tools: false }, reply: 'no' },
        { when: { tools: true }, reply: 'yes' },
      ],
      'yes',
    ],
    [
      'one tool',
      [
        { when: { offersTool: 'edit' }, reply: 'no' },
        { when: { offersTool: 'bash' }, reply: 'yes' },
      ],
      'yes',
    ],
    [
      'a stream',
      [
        { when: { stream: true }, reply: 'no' },
        { when: { stream: false }, reply: 'yes' },
      ],
      'yes',
    ],
    [
      'the turn',
      [
        { when: { turn: 2 }, reply: 'no' },
        { when: { turn: 1 }, reply: 'yes' },
      ],
      'yes',
    ],
    ['a function', [{ when: { test: ({ user }) => user.length === 11 }, reply: ({ user }) => `${user}: yes` }], 'hello there: yes'],
  ])('can depend on %s', (_, rules, answer) =>
    withModel({ ...(rules && { rules }) }, async (model) => {
      expect(await say(model, 'hello there')).toBe(answer);
    }),
  );

  it('can depend on how often it was asked', () =>
    withModel(
      { rules: [{ when: { call: 2 }, reply: 'second' }, { when: { call: { from: 4 } }, reply: 'late' }, { reply: 'else' }] },
      async (model) => {
        const answers = [];
        for (let call = 1; call <= 5; call += 1) answers.push(await say(model, 'x'));
        expect(answers).toEqual(['else', 'second', 'else', 'else', 'late']);
      },
    ));

  it('can be limited, over the script or for each session', () =>
    withModel(
      { rules: [{ times: 1, reply: 'once' }, { times: 1, countPer: 'session', reply: 'once here' }, { reply: 'always' }] },
      async (model) => {
        const ask = (sessionId: string) => say(model, 'x', { sessionId });
        expect([await ask('a'), await ask('a'), await ask('a'), await ask('b'), await ask('b')]).toEqual([
          'once',
          'once here',
          'always',
          'once here',
          'always',
        ]);
      },
    ));

  it('tells a function of the script that throws', () =>
    withModel({ rules: [{ name: 'broken', reply: () => JSON.parse('{') as string }] }, async (model) => {
      const response = await chat(model, 'x');
      expect(response.status).toBe(400);
      await expect(response.json()).resolves.toMatchObject({
        error: { type: 'script_error', message: expect.stringContaining('A function of the script threw') as string },
      });
    }));
});

describe('a turn with tools', () => {
  const list: Script = {
    rules: [
      {
        when: { user: 'go' },
        reply: [
          { text: 'First.', toolCalls: [{ name: 'bash', arguments: { command: 'echo {{user}}' } }] },
          { toolCalls: [{ name: 'read' }] },
          'It said {{toolResult}}',
        ],
      },
    ],
  };

  it('follows the list of replies', () =>
    withModel(list, async (model) => {
      const first = await complete(model, 'go');
      expect(first.choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: { content: 'First.', tool_calls: [{ id: 'call_1_1', function: { name: 'bash', arguments: '{"command":"echo go"}' } }] },
      });
      const second = await complete(model, 'go', { after: toolRound('bash', 'out') });
      expect(second.choices[0]?.message.tool_calls).toEqual([
        { id: 'call_2_1', type: 'function', function: { name: 'read', arguments: '{}' } },
      ]);
      expect(await say(model, 'go', { after: [...toolRound('bash', 'out'), ...toolRound('read', 'text', 'call_2')] })).toBe('It said text');
      expect(model.calls.map(({ step }) => step)).toEqual([0, 1, 2]);
    }));

  it('begins anew with the next user message', () =>
    withModel(list, async (model) => {
      const history = [...toolRound('bash', 'out'), { role: 'assistant', content: 'Done.' }, { role: 'user', content: 'go again' }];
      expect(await say(model, 'go', { after: history })).toBe('First.');
    }));

  it('ends after tool calls that nothing follows, unless it should repeat', () =>
    withModel(
      {
        rules: [
          { when: { user: 'loop' }, repeat: true, reply: { toolCalls: [{ name: 'bash' }] } },
          { reply: { toolCalls: [{ name: 'read' }] } },
        ],
      },
      async (model) => {
        const after = [...toolRound('bash', 'x'), ...toolRound('bash', 'y', 'call_2')];
        expect((await complete(model, 'loop', { after })).choices[0]?.finish_reason).toBe('tool_calls');
        expect(await say(model, 'once', { after })).toBe('Done.');
      },
    ));

  it('can be matched by the tool and its result', () =>
    withModel(
      {
        rules: [
          { when: { afterTool: 'bash', toolResult: /exit (?<code>\d+)/ }, reply: 'bash ended with {{toolResult.code}}' },
          { when: { toolResult: '' }, reply: 'some result' },
          { reply: 'no result' },
        ],
      },
      async (model) => {
        expect(await say(model, 'x', { after: toolRound('bash', 'exit 3') })).toBe('bash ended with 3');
        expect(await say(model, 'x', { after: toolRound('read', 'exit 3') })).toBe('some result');
        expect(await say(model, 'x')).toBe('no result');
      },
    ));
});

describe('titles and summaries', () => {
  it('have answers of their own and do not count as turns', () =>
    withModel({ rules: [{ times: 1, reply: 'turn' }], title: 'A title' }, async (model) => {
      expect(await say(model, 'hello', { system: titleSystem, tools: [] })).toBe('A title');
      expect(await say(model, 'hello', { system: 'You are a context summarization agent. ...', tools: [] })).toBe(
        '## Objective\nThe conversation so far was summarised by the scripted model.',
      );
      expect(await say(model, 'hello')).toBe('turn');
      expect(model.calls.map(({ purpose }) => purpose)).toEqual(['title', 'summary', 'turn']);
      expect(model.turnCalls).toHaveLength(1);
      expect(model.maxInFlight).toBe(1);
    }));

  it("are matched by the user's own last message, though opencode 2 asks for a summary behind it", () =>
    withModel({ rules: [{ when: { purpose: 'summary', user: /^briefly (\w+)/ }, reply: 'In short: {{user.1}}.' }] }, async (model) => {
      const after = [
        { role: 'assistant', content: 'Said.' },
        { role: 'user', content: 'You MUST summarize the conversation above.' },
        { role: 'user', content: 'Your previous response did not match the template.' },
      ];
      expect(await say(model, 'briefly this', { after })).toBe('In short: this.');
      expect(model.calls).toMatchObject([{ purpose: 'summary', user: 'briefly this' }]);
    }));

  it('are not confused by what opencode 2 says in the name of the user', () =>
    withModel(
      {
        rules: [
          { when: { user: /^look/, afterTool: 'bash' }, reply: 'Saw {{toolResult}}, step {{step}} of turn {{turn}}.' },
          { reply: 'other' },
        ],
      },
      async (model) => {
        const after = [...toolRound('bash', 'it'), { role: 'user', content: '<system-update>\nThe tool catalog has changed.' }];
        expect(await say(model, 'look', { after })).toBe('Saw it, step 1 of turn 1.');
        expect(
          await say(model, 'look', { after: [...after, { role: 'user', content: 'Instructions from: /a/AGENTS.md\nBe brief.' }] }),
        ).toBe('Saw it, step 1 of turn 1.');
      },
    ));

  it("see a sub-agent's prompt without what opencode 2 puts before it", () =>
    withModel({ rules: [{ when: { user: /^below (\w+)/ }, reply: 'From below: {{user.1}}.' }] }, async (model) => {
      expect(await say(model, 'You are a subagent spawned by another session.\nbelow it')).toBe('From below: it.');
    }));

  it('can be scripted', () =>
    withModel({ rules: [{ when: { purpose: 'title' }, reply: { error: { status: 503 } } }] }, async (model) => {
      expect((await chat(model, 'hello', { system: titleSystem, tools: [] })).status).toBe(503);
    }));
});

describe('placeholders', () => {
  it('give each of many callers its own answer', () =>
    withModel({ rules: [{ when: { user: /task (\d+)/ }, reply: 'done with {{ user.1 }}, \\{{user.1}}' }] }, async (model) => {
      const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => say(model, `task ${index}`)));
      expect(answers).toEqual(Array.from({ length: 50 }, (_, index) => `done with ${index}, {{user.1}}`));
    }));
});
