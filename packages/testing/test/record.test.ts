import { describe, expect, it } from 'vitest';

import { startScriptedModel, WaitTimeoutError } from '../src/index.ts';
import { chat, say } from './support/chat.ts';

describe('the record', () => {
  it('holds what was asked and answered, without credentials', async () => {
    await using model = await startScriptedModel({ rules: [{ name: 'greeting', reply: 'hello' }] });
    await say(model, 'hi', { sessionId: 'ses_1', tools: ['bash', 'read'] });
    expect(model.calls).toEqual([
      {
        number: 1,
        purpose: 'turn',
        startedAtMs: expect.any(Number) as number,
        endedAtMs: expect.any(Number) as number,
        outcome: 'completed',
        status: 200,
        rule: 'greeting',
        model: 'model',
        stream: false,
        messages: [
          { role: 'system', content: 'You help.' },
          { role: 'user', content: 'hi' },
        ],
        tools: ['bash', 'read'],
        user: 'hi',
        system: 'You help.',
        step: 0,
        sessionId: 'ses_1',
        parentSessionId: undefined,
        headers: expect.objectContaining({ 'x-session-id': 'ses_1', 'content-type': 'application/json' }) as object,
      },
    ]);
    expect(JSON.stringify(model.calls)).not.toContain('secret-key');
  });

  it('knows how many turns were in flight at once', async () => {
    await using model = await startScriptedModel({ rules: [{ reply: { fault: 'hang-before-headers' } }] });
    const client = new AbortController();
    const answers = Array.from({ length: 5 }, () => chat(model, 'x', { signal: client.signal }).catch(() => undefined));
    await model.waitForCalls(5);
    expect([model.inFlight, model.maxInFlight]).toEqual([5, 5]);
    client.abort();
    await Promise.all(answers);
    await model.waitForIdle();
    expect([model.inFlight, model.maxInFlight]).toEqual([0, 5]);
  });

  it('says what was there when a wait is in vain', async () => {
    await using model = await startScriptedModel({ rules: [{ name: 'a', reply: 'x' }] });
    await say(model, 'hi');
    await expect(model.waitForCalls(2, { timeoutMs: 20, rule: 'a' })).rejects.toThrow(
      new WaitTimeoutError('Waited 20 ms in vain for 2 turn calls answered by "a" (there were 1).'),
    );
  });

  it('begins anew with reset, with another script when one is given', async () => {
    await using model = await startScriptedModel({ rules: [{ times: 1, reply: 'once' }], default: 'later' });
    expect([await say(model, 'x'), await say(model, 'x')]).toEqual(['once', 'later']);
    model.reset();
    expect([await say(model, 'x'), model.calls.length, model.calls[0]?.number]).toEqual(['once', 1, 1]);
    model.reset({ default: 'other' });
    expect(await say(model, 'x')).toBe('other');
  });
});

describe('the server', () => {
  it('lists its models', async () => {
    await using model = await startScriptedModel();
    const response = await fetch(`${model.url}/models`);
    await expect(response.json()).resolves.toMatchObject({ object: 'list', data: [{ id: 'model' }, { id: 'small' }] });
  });

  it.each([
    ['GET', '/v1/other', undefined, 404],
    ['POST', '/v1/chat/completions', 'not JSON', 400],
    ['POST', '/v1/chat/completions', '{"model":"x"}', 400],
  ])('refuses %s %s %s', async (method, path, body, status) => {
    await using model = await startScriptedModel();
    const response = await fetch(new URL(path, model.url), { method, ...(body !== undefined && { body }) });
    expect(response.status).toBe(status);
    expect(model.calls).toEqual([]);
  });

  it('stops with calls in flight, twice if need be', async () => {
    const model = await startScriptedModel({ rules: [{ reply: { fault: 'hang-after-headers' } }] });
    const answer = chat(model, 'x', { stream: true }).then((response) => response.text());
    const refused = expect(answer).rejects.toThrow('terminated');
    const [call] = await model.waitForCalls(1);
    await model.stop();
    await model.stop();
    await refused;
    expect(call?.outcome).toBe('closed');
    await expect(fetch(`${model.url}/models`)).rejects.toThrow('fetch failed');
  });

  it('uses the port that was asked for and says when it is taken', async () => {
    await using model = await startScriptedModel();
    await expect(startScriptedModel({}, { port: model.port })).rejects.toMatchObject({ code: 'EADDRINUSE', port: model.port });
    expect(model.url).toBe(`http://127.0.0.1:${model.port}/v1`);
  });

  it('describes itself to opencode', async () => {
    await using model = await startScriptedModel({ model: { contextTokens: 1000, inputUsdPerMillion: 3 } });
    expect(model.opencodeConfig()).toMatchObject({
      model: 'scripted/model',
      small_model: 'scripted/small',
      enabled_providers: ['scripted'],
      provider: {
        scripted: {
          options: { baseURL: model.url },
          models: { model: { limit: { context: 1000, output: 32_000 }, cost: { input: 3, output: 0 } } },
        },
      },
    });
  });
});
