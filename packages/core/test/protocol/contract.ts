import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AssistantMessage, ServerConfig, SessionOperations, ToolPart, TurnRequest } from '@opencode-manager/core';
import { createMessageIds, protocolNamed, type ProtocolName, type ServerEvent } from '@opencode-manager/core/protocol';
import type { Script } from '@opencode-manager/testing';
import { failureOf } from '../support/failure.ts';
import { startBench, type Bench } from '../support/server.ts';
import { followStream, type FollowedStream } from './stream.ts';

/** What of a protocol its server wants said otherwise than another's: how the scripted model calls its tools, and its configuration. */
export interface ProtocolUnderTest {
  readonly name: ProtocolName;
  /** Of the binary that speaks it. */
  readonly binary?: string;
  /** Calls of tools by the model. */
  readonly calls: {
    shell(command: string): ToolCall;
    write(file: string, content: string): ToolCall;
    subAgent(prompt: string): ToolCall;
    question(question: string, labels: readonly string[]): ToolCall;
    todos(content: string): ToolCall;
  };
  /** What the model answers when it is asked for a summary. */
  readonly summary: string;
  /** A command `shout` whose template is `say $1`; shell lines that begin with `touch` are asked about, all else is allowed. */
  readonly opencodeConfig: Exclude<ServerConfig['opencodeConfig'], string>;
}

interface ToolCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

const messageIds = createMessageIds();

/** What every protocol must do, by the operations of a session and the stream, on a real server. */
export function describeProtocol({ name, binary, calls, summary: summaryText, opencodeConfig }: ProtocolUnderTest): void {
  const one = (call: ToolCall) => ({ toolCalls: [call] });
  const rules: Script['rules'] = [
    { name: 'refuse', when: { user: /^refuse/ }, reply: { error: { status: 400, message: 'this model refuses' } } },
    { name: 'limit', when: { user: /^limit/ }, reply: { error: { status: 429, message: 'slow down' } }, times: 1 },
    { name: 'again', when: { user: /^limit/ }, reply: 'Went on.' },
    { name: 'slow', when: { user: /^slow/ }, reply: { text: 'word '.repeat(200), tokensPerSecond: 20 } },
    { name: 'write', when: { user: /^write/ }, reply: [one(calls.write('readme.txt', 'second\n')), 'Written.'] },
    { name: 'think', when: { user: /^think/ }, reply: { reasoning: 'Let me see.', text: 'Thought.' } },
    { name: 'look', when: { user: /^look/ }, reply: [one(calls.shell('echo seen')), 'Looked.'] },
    { name: 'ask', when: { user: /^ask (\w+)/ }, reply: [one(calls.shell('touch {{user.1}}')), 'Asked.'] },
    { name: 'question', when: { user: /^question/ }, reply: [one(calls.question('Which one?', ['A', 'B'])), 'Chosen.'] },
    { name: 'delegate', when: { user: /^delegate/ }, reply: [one(calls.subAgent('say below')), 'Delegated.'] },
    { name: 'plan', when: { user: /^plan/ }, reply: [one(calls.todos('first step')), 'Planned.'] },
    { name: 'say', when: { user: /say (\w+)/ }, reply: 'I say {{user.1}}.' },
    { name: 'summary', when: { purpose: 'summary' }, reply: summaryText },
  ];

  let bench: Bench;
  let stream: FollowedStream;
  beforeAll(async () => {
    bench = await startBench(rules, { profile: 'interactive', opencodeConfig, ...(binary !== undefined && { binary }) });
    stream = await followStream(bench.server);
  });
  afterAll(async () => {
    await stream?.[Symbol.asyncDispose]();
    await bench?.[Symbol.asyncDispose]();
  });

  const begin = () => bench.server.createOperations();
  const isIdle = async ({ id }: SessionOperations) => (await bench.server.snapshot()).status[id] === undefined;

  /** Sends a turn; gives the id of its message. */
  async function submit(session: SessionOperations, turn: TurnWithoutId): Promise<string> {
    const messageId = messageIds.next();
    await session.submit({ ...turn, messageId });
    return messageId;
  }

  const submitPrompt = (session: SessionOperations, text: string) => submit(session, { kind: 'prompt', parts: [{ type: 'text', text }] });

  /** Waits for the end of a turn, as reads show it; gives its messages but the user's. */
  async function ended(session: SessionOperations, messageId: string) {
    return vi.waitFor(
      async () => {
        const messages = await session.messages();
        const answers = messages.filter(({ info }) => info.role === 'assistant' && info.parentId >= messageId);
        const last = answers.at(-1)?.info as AssistantMessage | undefined;
        expect([last?.completed, await isIdle(session)]).toEqual([true, true]);
        return answers;
      },
      { timeout: 30_000, interval: 50 },
    );
  }

  /** A turn of a prompt, from its sending to its end. */
  async function prompted(session: SessionOperations, text: string) {
    const messageId = await submitPrompt(session, text);
    const answers = await ended(session, messageId);
    return { messageId, answers, last: answers.at(-1)! };
  }

  const textOf = ({ parts }: { readonly parts: readonly { readonly type: string; readonly text?: string }[] }) =>
    parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
  const toolOf = (answers: readonly { readonly parts: readonly { readonly type: string }[] }[]) =>
    answers.flatMap(({ parts }) => parts).find(({ type }) => type === 'tool') as ToolPart | undefined;

  describe('the server', () => {
    test('is the one that was written for, and says what it can do', async () => {
      const { protocol, version, capabilities, runId } = bench.server;
      const { versions, confirmation } = protocolNamed(name);
      expect(protocol).toBe(name);
      expect(version.localeCompare(versions.min, undefined, { numeric: true })).toBeGreaterThanOrEqual(0);
      expect(version.localeCompare(versions.below, undefined, { numeric: true })).toBeLessThan(0);
      expect(capabilities).toEqual(protocolNamed(name).capabilities);
      const running = await bench.server.client.call(confirmation.configuration.request(bench.workspace.path));
      expect(confirmation.configuration.decode(running)).toMatchObject({ username: runId });
    });

    test('offers models, agents and commands by our names', async () => {
      const { models, agents, commands } = await bench.server.catalogue();
      expect(models).toContain('scripted/model');
      expect(agents).toContain('build');
      expect(commands).toContain('shout');
    });
  });

  describe('a turn', () => {
    test('of a prompt: its messages have their fields, and the record behind each', async () => {
      const session = await begin();
      const { messageId, last } = await prompted(session, 'say hello');
      const [user] = await session.messages();
      expect(user!.info).toMatchObject({ role: 'user', id: messageId, sessionId: session.id, createdAtMs: expect.any(Number) });
      expect(textOf(user!)).toBe('say hello');
      expect(last.info).toMatchObject({
        role: 'assistant',
        sessionId: session.id,
        parentId: messageId,
        completed: true,
        finish: 'stop',
        providerId: 'scripted',
        model: 'scripted/model',
        costUsd: 0,
      });
      const { createdAtMs, completedAtMs, tokens } = last.info as AssistantMessage;
      expect(completedAtMs).toBeGreaterThanOrEqual(createdAtMs);
      expect(Math.abs(Date.now() - createdAtMs)).toBeLessThan(60_000);
      expect(tokens.input).toBeGreaterThan(0);
      expect(tokens.output).toBeGreaterThan(0);
      expect(last.parts.find(({ type }) => type === 'text')).toMatchObject({ text: 'I say hello.', ended: true, messageId: last.info.id });
      expect([last.info, ...last.parts].every(({ raw }) => typeof raw === 'object' && raw !== null)).toBe(true);
      expect((await session.messages({ limit: 1 })).map(({ info }) => info.id)).toEqual([last.info.id]);
    });

    test('shows what the model thinks apart from what it says, and the files of its prompt', async () => {
      const session = await begin();
      const url = pathToFileURL(join(bench.workspace.path, 'readme.txt')).href;
      const file = { type: 'file', mime: 'text/plain', url, filename: 'readme.txt' } as const;
      const messageId = await submit(session, { kind: 'prompt', parts: [{ type: 'text', text: 'think' }, file] });
      const last = (await ended(session, messageId)).at(-1)!;
      expect(last.parts).toContainEqual(expect.objectContaining({ type: 'reasoning', text: 'Let me see.', ended: true }));
      expect(textOf(last)).toBe('Thought.');
      const [user] = await session.messages();
      expect(user!.parts).toContainEqual(expect.objectContaining({ ...file, messageId, sessionId: session.id }));
      // What the server adds for the model, such as the file's content, is not the user's.
      const said = user!.parts.flatMap((part) => (part.type === 'text' && !part.synthetic ? [part.text] : []));
      expect(said).toEqual(['think']);
    });

    test('with a tool: its call has input, output and times', async () => {
      const session = await begin();
      const { answers, last } = await prompted(session, 'look');
      const tool = toolOf(answers)!;
      expect(tool).toMatchObject({ tool: calls.shell('').name, status: 'completed', sessionId: session.id, output: 'seen\n' });
      expect(JSON.stringify(tool.input)).toContain('echo seen');
      expect(tool.endedAtMs).toBeGreaterThanOrEqual(tool.startedAtMs!);
      expect(textOf(last)).toBe('Looked.');
      expect(answers.flatMap(({ parts }) => parts).filter(({ type }) => type === 'step').length).toBe(2);
    });

    test('of a command', async () => {
      const session = await begin();
      const messageId = await submit(session, { kind: 'command', name: 'shout', arguments: 'loudly' });
      expect(textOf((await ended(session, messageId)).at(-1)!)).toBe('I say loudly.');
    });

    test('of a shell line: what it prints, its exit code, and the line as it was written', async () => {
      const session = await begin();
      const line = 'echo "$((40 + 2))"\nexit 3';
      const messageId = await submit(session, { kind: 'shell', command: line });
      const tool = toolOf(await ended(session, messageId))!;
      expect(tool).toMatchObject({ output: '42\n', exitCode: 3 });
      expect(tool.input).toMatchObject({ command: line });
    });

    test('that the provider refuses: its error has a kind, a status and a message', async () => {
      const { last } = await prompted(await begin(), 'refuse');
      expect((last.info as AssistantMessage).error).toMatchObject({
        kind: 'provider',
        statusCode: 400,
        message: expect.stringContaining('refuses'),
      });
    });

    test('that waits for the provider is told with the time of the next try', async () => {
      const session = await begin();
      const messageId = await submitPrompt(session, 'limit');
      const status = await vi.waitFor(
        async () => {
          const now = (await bench.server.snapshot()).status[session.id];
          expect(now?.type).toBe('retry');
          return now;
        },
        { timeout: 15_000, interval: 30 },
      );
      expect(status).toMatchObject({ attempt: 1, message: expect.any(String), nextAtMs: expect.any(Number) });
      expect(textOf((await ended(session, messageId)).at(-1)!)).toBe('Went on.');
    });

    test('that is aborted ends with that error, and the session takes the next one', async () => {
      const session = await begin();
      const messageId = await submitPrompt(session, 'slow');
      await stream.until('part.delta', session.id);
      expect((await bench.server.snapshot()).status[session.id]).toEqual({ type: 'busy' });
      await session.abort();
      const [answer] = await ended(session, messageId);
      expect((answer!.info as AssistantMessage).error?.kind).toBe('aborted');
      expect(textOf((await prompted(session, 'say again')).last)).toBe('I say again.');
    });

    test('with a sub-agent: it has a session of its own, which names its parent', async () => {
      const session = await begin();
      await prompted(session, 'delegate');
      const [child] = await session.children();
      expect(child).toMatchObject({ parentId: session.id, directory: bench.workspace.path });
      expect((await stream.until('session.created', child!.id)).data.session).toMatchObject({ id: child!.id, parentId: session.id });
    });
  });

  describe('an ask', () => {
    test('for a permission is listed with its session, told on the stream, and answered', async () => {
      const session = await begin();
      const messageId = await submitPrompt(session, 'ask allowed');
      const { data, directory } = await stream.until('permission.asked', session.id);
      expect(directory).toBe(bench.workspace.path);
      const listed = (await bench.server.snapshot()).permissions.find(({ sessionId }) => sessionId === session.id);
      expect(listed).toMatchObject({ kind: 'permission', id: data.request.id, permission: 'bash', directory: bench.workspace.path });
      expect(listed!.patterns).toEqual(['touch allowed']);
      expect(data.request).toMatchObject({ permission: 'bash', patterns: ['touch allowed'], sessionId: session.id });
      await bench.server.answerPermission(listed!, { reply: 'once' });
      expect((await stream.until('permission.replied', session.id)).data).toEqual({ requestId: listed!.id, reply: 'once' });
      expect(textOf((await ended(session, messageId)).at(-1)!)).toBe('Asked.');
      expect(await bench.workspace.read('allowed')).toBe('');
    });

    test('of a shell line is for the permission that policies call bash, and its message comes after the prompt', async () => {
      const session = await begin();
      const messageId = await submitPrompt(session, 'ask named');
      const { data } = await stream.until('permission.asked', session.id);
      expect(data.request.permission).toBe('bash');
      expect(data.request.tool!.messageId > messageId).toBe(true);
      expect([protocolNamed(name).ids.isMessage(messageId), protocolNamed(name).ids.isSession(session.id)]).toEqual([true, true]);
      await bench.server.answerPermission(data.request, { reply: 'reject', message: 'No.' });
      const answers = await ended(session, messageId);
      expect(answers.every(({ info }) => info.role === 'assistant' && info.parentId === messageId)).toBe(true);
    });

    test('for a permission that is rejected with a message lets the model go on', async () => {
      const session = await begin();
      const messageId = await submitPrompt(session, 'ask denied');
      const { data } = await stream.until('permission.asked', session.id);
      await bench.server.answerPermission(data.request, { reply: 'reject', message: 'Not here.' });
      const answers = await ended(session, messageId);
      expect(toolOf(answers)).toMatchObject({ status: 'failed', output: expect.stringContaining('Not here.') });
      expect(textOf(answers.at(-1)!)).toBe('Asked.');
      await expect(bench.workspace.read('denied')).rejects.toThrow();
    });

    test('of the user has its choices, and takes their labels', async () => {
      const session = await begin();
      const messageId = await submitPrompt(session, 'question');
      const { data } = await stream.until('question.asked', session.id);
      expect(data.request).toMatchObject({
        kind: 'question',
        sessionId: session.id,
        questions: [{ question: 'Which one?', options: ['A', 'B'] }],
      });
      const listed = (await bench.server.snapshot()).questions.find(({ sessionId }) => sessionId === session.id);
      expect(listed).toMatchObject({ id: data.request.id, directory: bench.workspace.path });
      await bench.server.answerQuestion(listed!, { answers: [['B']] });
      const answers = await ended(session, messageId);
      expect(toolOf(answers)!.output).toContain('B');
      expect((await stream.until('question.replied', session.id)).data).toEqual({ requestId: listed!.id, rejected: false });
    });

    test('of the user that is rejected is told as such, and the session takes the next turn', async () => {
      const session = await begin();
      await submitPrompt(session, 'question');
      const { data } = await stream.until('question.asked', session.id);
      await bench.server.answerQuestion(data.request, { reject: true });
      expect((await stream.until('question.replied', session.id)).data).toEqual({ requestId: data.request.id, rejected: true });
      await vi.waitFor(async () => expect(await isIdle(session)).toBe(true), { timeout: 15_000, interval: 50 });
      expect((await bench.server.snapshot()).questions.filter(({ sessionId }) => sessionId === session.id)).toEqual([]);
      expect(textOf((await prompted(session, 'say next')).last)).toBe('I say next.');
    });

    test('that does not exist is not found', async () => {
      const { id: sessionId } = await begin();
      const none = { id: 'per_00000000000000000000000000', sessionId };
      expect((await failureOf(bench.server.answerPermission(none, { reply: 'once' }))).code).toBe('NOT_FOUND');
    });
  });

  describe('a session', () => {
    test('has a title that can be changed, and is listed until it is deleted', async () => {
      const session = await bench.server.createOperations({ title: 'named' });
      expect(await session.info()).toMatchObject({ id: session.id, title: 'named', directory: bench.workspace.path });
      expect(await session.rename('renamed')).toMatchObject({ id: session.id, title: 'renamed' });
      const mine = async () => (await bench.server.listSessions()).filter(({ id }) => id === session.id);
      expect(await mine()).toMatchObject([{ title: 'renamed', createdAtMs: expect.any(Number) }]);
      await session.delete();
      await stream.until('session.deleted', session.id);
      expect(await mine()).toEqual([]);
      expect((await failureOf(session.info())).code).toBe('NOT_FOUND');
    });

    test('is forked whole, and up to a message', async () => {
      const session = await begin();
      await prompted(session, 'say one');
      const { messageId } = await prompted(session, 'say two');
      const historyOf = async ({ id }: { readonly id: string }) =>
        (await bench.server.operations(id).messages()).map((message) => textOf(message));
      expect(await historyOf(await session.fork())).toEqual(['say one', 'I say one.', 'say two', 'I say two.']);
      expect(await historyOf(await session.fork(messageId))).toEqual(['say one', 'I say one.']);
      expect((await failureOf(session.fork('msg_unknown'))).code).toBe('MESSAGE_UNKNOWN');
    });

    test('takes its files back and brings them again, and says what a turn changed', async () => {
      const session = await begin();
      const { messageId } = await prompted(session, 'write');
      expect(await bench.workspace.read('readme.txt')).toBe('second\n');
      expect(await session.diff(messageId)).toMatchObject([{ file: 'readme.txt', additions: 1, deletions: 1 }]);
      expect(await session.revert(messageId)).toMatchObject({ id: session.id, revertedTo: messageId });
      expect(await bench.workspace.read('readme.txt')).toBe('first\n');
      const restored = await session.unrevert();
      expect([restored.id, restored.revertedTo]).toEqual([session.id, undefined]);
      expect(await bench.workspace.read('readme.txt')).toBe('second\n');
    });

    test('gets a summary in the place of its history', async () => {
      const session = await begin();
      await prompted(session, 'say much');
      await session.summarize('scripted/model');
      const summary = (await session.messages()).find(({ info }) => info.role === 'assistant' && info.summary);
      expect(textOf(summary!)).toBe(summaryText);
      await stream.until('session.compacted', session.id);
    });

    test('keeps the list of things to do, where the protocol has one', async () => {
      const session = await begin();
      if (!bench.server.capabilities.todos) return expect((await failureOf(session.todos())).code).toBe('PROTOCOL_UNSUPPORTED');
      await prompted(session, 'plan');
      expect(await session.todos()).toEqual([{ content: 'first step', status: 'pending', priority: 'high' }]);
      expect((await stream.until('todo.updated', session.id)).data.todos.length).toBe(1);
    });
  });

  describe('the stream', () => {
    const bySession = (id: string): readonly ServerEvent[] => stream.events.filter(({ sessionId }) => sessionId === id);

    test('tells a turn by our names, its deltas make the text, and it ends idle', async () => {
      const session = await begin();
      const { last } = await prompted(session, 'say streamed');
      await stream.until('session.idle', session.id);
      const events = bySession(session.id);
      for (const type of ['session.created', 'session.status', 'message.updated', 'part.updated', 'part.delta'] as const)
        expect(events.map((event) => event.type)).toContain(type);
      const deltas = events.flatMap((event) => (event.type === 'part.delta' && event.data.field === 'text' ? [event.data.delta] : []));
      expect(deltas.join('')).toBe('I say streamed.');
      const told = events.findLast((event) => event.type === 'message.updated' && event.data.message.id === last.info.id);
      expect(told).toMatchObject({ directory: bench.workspace.path, data: { message: { ...last.info, raw: expect.anything() } } });
      const part = events.findLast((event) => event.type === 'part.updated' && event.data.part.type === 'text')!;
      expect(part).toMatchObject({ data: { part: { text: 'I say streamed.', ended: true } } });
      expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    });

    test('says why a turn failed', async () => {
      const session = await begin();
      await prompted(session, 'refuse');
      expect((await stream.until('session.error', session.id)).data.error).toMatchObject({ kind: 'provider', statusCode: 400 });
    });

    test('what was missed of it is sent again, where the protocol has that', async () => {
      const { replay, storedTypes } = protocolNamed(name).stream;
      expect(replay !== undefined).toBe(bench.server.capabilities.replay);
      if (!replay) return;
      const session = await begin();
      await prompted(session, 'say stored');
      await stream.until('session.idle', session.id);
      const stored = bySession(session.id).filter(({ type }) => storedTypes.includes(type));
      await vi.waitFor(() => expect(stored.every(({ id }) => stream.numbers.has(id))).toBe(true), { timeout: 5000 });
      const first = stored[0]!;
      const entries = await bench.server.client.call(replay.request({ [session.id]: stream.numbers.get(first.id)! }));
      const again = entries.map((entry) => replay.decode(entry)).filter(({ sessionId }) => sessionId === session.id);
      const told = stored.slice(1).map(({ id, type }) => [id, type, stream.numbers.get(id)]);
      // What was stored since comes behind it.
      expect(again.map(({ id, type, durableSequence }) => [id, type, durableSequence]).slice(0, told.length)).toEqual(told);
    });

    test('says when a directory was forgotten, where the protocol can', async () => {
      const before = stream.events.length;
      expect(await bench.server.disposeDirectory(bench.workspace.path)).toBe(bench.server.capabilities.dispose);
      if (!bench.server.capabilities.dispose) return;
      await vi.waitFor(
        () =>
          expect(stream.events.slice(before)).toContainEqual(
            expect.objectContaining({ type: 'server.disposed', directory: bench.workspace.path }),
          ),
        { timeout: 5000 },
      );
    });
  });
}

type WithoutId<Turn> = Turn extends unknown ? Omit<Turn, 'messageId'> : never;
type TurnWithoutId = WithoutId<TurnRequest>;
