import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSessionPool, type OutgoingTurn } from '@opencode-manager/actors';
import { launchServer, type OpencodeServer } from '@opencode-manager/core';
import {
  opencodeUnderTest,
  startScriptedModel,
  temporaryWorkspace,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';
import { renderTranscript } from '../src/transcript/render.ts';
import { transcriptLines } from '../src/transcript/lines.ts';

const { by, tool } = opencodeUnderTest();

let model: ScriptedModel;
let workspace: TemporaryWorkspace;
let server: OpencodeServer;
beforeAll(async () => {
  const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
  const task = { toolCalls: [{ name: 'task', arguments: { description: 'sub', prompt: 'say below', subagent_type: 'general' } }] };
  model = await startScriptedModel({
    rules: [
      { when: { user: /^look/ }, reply: [bash(String.raw`printf 'seen \033]0;title\007\n'; exit 3`), 'Looked.'] },
      { when: { user: /^ask/ }, reply: [bash('touch denied'), 'Asked.'] },
      { when: { user: /^delegate/ }, reply: [task, 'Delegated.'] },
      { when: { user: /say (\w+)/ }, reply: 'I say {{user.1}}.' },
      { when: { user: /^refuse/ }, reply: { error: { status: 400, message: 'this model refuses' } } },
    ],
  });
  workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  const permission = { bash: { '*': 'allow', 'touch *': 'ask' } };
  server = await launchServer({ directory: workspace.path, opencodeConfig: { ...model.opencodeConfig(), permission } });
});
afterAll(async () => {
  await server?.stop();
  await workspace?.[Symbol.asyncDispose]();
  await model?.stop();
});

/** Runs a prompt, and gives the transcript of its attempt. */
async function transcriptOf(prompt: string) {
  await using pool = await createSessionPool({ server });
  let sent: OutgoingTurn | undefined;
  const result = await pool.run({ id: 'key', prompt }, { beforeSend: async (turn) => void (sent = turn) });
  const { sessionId, messageId } = sent!;
  const session = server.operations(sessionId);
  const children = await session.children();
  const ids = [sessionId, ...children.map(({ id }) => id)];
  const histories = await Promise.all(ids.map(async (id) => ({ session: id, messages: await server.operations(id).messages() })));
  return transcriptLines({ key: 'key', attempt: 1, session: sessionId, message: messageId, model: result.model }, histories, result.asks);
}

test('has what was said, each call of a tool with its input and output, and is readable without its control characters', async () => {
  const lines = await transcriptOf('look at it');
  expect(lines).toMatchObject([
    { type: 'transcript', schema_version: 1, key: 'key', attempt: 1, model: 'scripted/model' },
    { type: 'message', role: 'user', text: 'look at it' },
    {
      type: 'tool',
      tool: tool('bash'),
      status: 'completed',
      input: { command: expect.stringContaining('printf') as string },
      exit_code: 3,
    },
    { type: 'message', role: 'assistant', text: 'Looked.', finish: 'stop', model: 'scripted/model' },
  ]);
  const text = renderTranscript(lines);
  expect(text).toMatch(
    /^# key, attempt 1, scripted\/model\n\n> \d\d:\d\d:\d\d\nlook at it\n\n\* .*(?:bash|shell) printf .*\(completed, [\d.]+ s, exit 3\)\n {2}\| seen /,
  );
  // oxlint-disable-next-line no-control-regex -- none may be there
  expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/);
});

test('has sub-agents, asks with their answers, and why an answer failed', async () => {
  const delegated = await transcriptOf('delegate it');
  const [head] = delegated;
  const below = delegated.filter((line) => line.type === 'message' && line.session !== (head as { session: string }).session);
  expect(below).toMatchObject([
    { role: 'user', text: by({ v1: 'say below', v2: 'You are a subagent spawned by another session.\nsay below' }) },
    { role: 'assistant', text: 'I say below.' },
  ]);
  expect((await transcriptOf('ask it')).at(-1)).toMatchObject({
    type: 'ask',
    permission: 'bash',
    patterns: ['touch denied'],
    answer: 'denied',
  });
  expect(renderTranscript(await transcriptOf('refuse it'))).toMatch(
    by({ v1: /^! APIError: this model refuses$/m, v2: /^! provider\.invalid-request: this model refuses$/m }),
  );
});
