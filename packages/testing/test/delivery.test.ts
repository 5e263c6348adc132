import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';

import { openExchange } from '../src/model/exchange.ts';
import { startScriptedModel, type Reply, type ScriptedModel } from '../src/index.ts';
import { chat, complete } from './support/chat.ts';

/** The JSON of each event of a stream, `[DONE]` as it is. */
async function readStream(response: Response): Promise<unknown[]> {
  const records = (await response.text()).split('\n\n').filter((record) => record !== '');
  return records.map((record) => record.replace('data: ', '')).map((data) => (data === '[DONE]' ? data : JSON.parse(data)));
}

async function stream(model: ScriptedModel, user = 'x'): Promise<unknown[]> {
  return readStream(await chat(model, user, { stream: true }));
}

const start = (reply: Reply) => startScriptedModel({ rules: [{ name: 'only', reply }] });

describe('a stream', () => {
  it('carries role, reasoning, text, tool calls, finish and usage', async () => {
    await using model = await start({
      reasoning: 'hm',
      chunks: ['one ', 'two'],
      toolCalls: [{ name: 'bash', arguments: '{"command":' }],
      usage: { inputTokens: 7, cachedTokens: 3 },
    });
    const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: expect.any(Number) as number, model: 'model' };
    const chunk = (delta: unknown, finish_reason: string | null = null) => ({ ...head, choices: [{ index: 0, delta, finish_reason }] });
    expect(await stream(model)).toEqual([
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning_content: 'hm' }),
      chunk({ content: 'one ' }),
      chunk({ content: 'two' }),
      chunk({ tool_calls: [{ index: 0, id: 'call_1_1', type: 'function', function: { name: 'bash', arguments: '{"command":' } }] }),
      chunk({}, 'tool_calls'),
      {
        ...head,
        choices: [],
        usage: {
          prompt_tokens: 7,
          completion_tokens: 6,
          total_tokens: 13,
          prompt_tokens_details: { cached_tokens: 3 },
          completion_tokens_details: { reasoning_tokens: 1 },
        },
      },
      '[DONE]',
    ]);
  });

  it('keeps its rate: nineteen tokens at 100 a second take at least 190 ms', async () => {
    await using model = await start({
      text: Array.from({ length: 19 }, (_, index) => `w${index}`).join(' '),
      tokensPerSecond: 100,
      delayMs: 50,
    });
    await stream(model);
    const [call] = await model.waitForCalls(1);
    expect(call!.endedAtMs! - call!.startedAtMs).toBeGreaterThanOrEqual(238);
  });

  it('ends with the finish reason that was asked for', async () => {
    await using model = await start({ text: 'cut', finish: 'length' });
    expect(JSON.stringify(await stream(model))).toContain('"finish_reason":"length"');
  });
});

describe('errors', () => {
  it('carry status, retry headers and a body as OpenAI writes it', async () => {
    await using model = await start({ error: { status: 429, retryAfterSeconds: 3, retryAfterMs: 2500 } });
    const response = await chat(model, 'x');
    expect([response.status, response.headers.get('retry-after'), response.headers.get('retry-after-ms')]).toEqual([429, '3', '2500']);
    await expect(response.json()).resolves.toEqual({
      error: { message: 'Rate limit reached for requests', type: 'rate_limit_error', param: null, code: null },
    });
    expect(model.calls[0]).toMatchObject({ outcome: 'failed', status: 429 });
  });

  it('can have any body', async () => {
    await using model = await start({ error: { status: 503, body: 'busy', contentType: 'text/plain' } });
    const response = await chat(model, 'x');
    expect([response.headers.get('content-type'), await response.text()]).toEqual(['text/plain', 'busy']);
  });

  it('say that the context is too long as OpenAI says it', async () => {
    await using model = await startScriptedModel({ rules: [{ reply: { fault: 'context-overflow' } }], model: { contextTokens: 100 } });
    const response = await chat(model, 'x');
    expect(response.status).toBe(400);
    await expect(response.json()).resolves.toMatchObject({
      error: {
        code: 'context_length_exceeded',
        message:
          "This model's maximum context length is 100 tokens. However, your messages resulted in 101 tokens. Please reduce the length of the messages.",
      },
    });
  });
});

describe('broken streams', () => {
  it.each([true, false])('are cut in their middle (stream: %s)', async (streamed) => {
    await using model = await start({ text: 'a b c d', fault: 'cut-mid-stream' });
    const response = await chat(model, 'x', { stream: streamed });
    await expect(response.text()).rejects.toThrow('terminated');
    await model.waitForIdle();
    expect(model.calls[0]).toMatchObject({ outcome: 'cut', status: 200 });
  });

  it('send what comes before the cut', async () => {
    await using model = await start({ text: 'a b c d', fault: 'cut-mid-stream', afterChunks: 3 });
    const response = await chat(model, 'x', { stream: true });
    let text = '';
    const reading = (async () => {
      for await (const part of response.body!.pipeThrough(new TextDecoderStream())) text += part;
    })();
    await expect(reading).rejects.toThrow('terminated');
    expect([...text.matchAll(/"content":"([^"]+)"/g)].map(([, content]) => content)).toEqual(['a', ' b', ' c']);
  });

  it('are cut before the headers', async () => {
    await using model = await start({ fault: 'cut-before-headers' });
    await expect(chat(model, 'x')).rejects.toThrow('fetch failed');
    await model.waitForIdle();
    expect(model.calls[0]).toMatchObject({ outcome: 'cut' });
    expect(model.calls[0]).not.toHaveProperty('status');
  });

  it('end without a finish reason', async () => {
    await using model = await start({ text: 'a', fault: 'no-finish' });
    const events = await stream(model);
    expect(events).toHaveLength(2);
    expect(JSON.stringify(events)).not.toContain('"finish_reason":"');
    expect((await complete(model, 'x')).choices[0]?.finish_reason).toBeNull();
  });

  it('hold malformed JSON', async () => {
    await using model = await start({ text: 'a b', fault: 'malformed-json' });
    const response = await chat(model, 'x', { stream: true });
    await expect(readStream(response)).rejects.toThrow(SyntaxError);
    await expect(complete(model, 'x')).rejects.toThrow(SyntaxError);
  });

  it('hold an error', async () => {
    await using model = await start({ text: 'a b', fault: 'error-in-stream' });
    expect((await stream(model)).at(-1)).toMatchObject({ error: { type: 'server_error' } });
  });

  it('hold nothing', async () => {
    await using model = await start({ fault: 'empty' });
    expect(await stream(model)).toEqual(['[DONE]']);
  });

  it('are a web page', async () => {
    await using model = await start({ fault: 'html' });
    const response = await chat(model, 'x', { stream: true });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  });

  it.each(['hang-before-headers', 'hang-after-headers', 'hang-mid-stream'] as const)('%s until the client gives up', async (fault) => {
    await using model = await start({ text: 'a b', fault });
    const client = new AbortController();
    const answer = chat(model, 'x', { stream: true, signal: client.signal }).then((response) => response.text());
    const [call] = await model.waitForCalls(1);
    expect(model.inFlight).toBe(1);
    client.abort();
    await expect(answer).rejects.toThrow('aborted');
    await model.waitForIdle();
    expect(call).toMatchObject({ outcome: 'aborted', rule: 'only' });
  });
});

describe('a client that leaves', () => {
  it('in the midst of a whole answer has aborted its call', async () => {
    // More than the sockets hold: the answer's end waits for a reader.
    await using model = await start({ text: 'x'.repeat(50_000_000) });
    const client = new AbortController();
    const response = await chat(model, 'x', { signal: client.signal });
    client.abort();
    await model.waitForIdle();
    expect(model.calls[0]).toMatchObject({ outcome: 'aborted', status: 200 });
    await expect(response.text()).rejects.toThrow('aborted');
  });

  it('directly before the end does not leave its call in flight', async () => {
    const ended = Promise.withResolvers<unknown>();
    const server = createServer((request, response) => {
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      const exchange = openExchange(response, gone.signal);
      exchange.head(200, {});
      request.socket.destroy();
      exchange.end('nobody reads this').then(ended.resolve, ended.reject);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const left = fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).then((response) => response.text());
    await Promise.all([expect(left).rejects.toThrow(), expect(ended.promise).rejects.toThrow('aborted')]);
    await new Promise((resolve) => server.close(resolve));
  });
});
