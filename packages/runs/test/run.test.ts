import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startScriptedModel, temporaryWorkspace, type ScriptedModel, type TemporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  openJournal,
  openRun,
  resumeRun,
  runLayout,
  type JournalEvent,
  type JournalRow,
  type RunOptions,
  type RunTaskSpec,
} from '../src/index.ts';
import { scratch, type Scratch } from './support/scratch.ts';

let model: ScriptedModel;
let workspace: TemporaryWorkspace;
let place: Scratch;
beforeAll(async () => {
  model = await startScriptedModel({
    rules: [
      { name: 'slow', when: { user: /^slow (\S+)/ }, reply: { text: 'word '.repeat(12), tokensPerSecond: 8 } },
      { name: 'never', when: { user: /^never/ }, reply: { text: 'word '.repeat(900), tokensPerSecond: 4 } },
      { name: 'flaky', when: { user: /^flaky/ }, reply: { error: { status: 400, message: 'not now' } }, times: 1 },
      { name: 'refuse', when: { user: /^refuse/ }, reply: { error: { status: 400, message: 'never' } } },
      { name: 'answers', when: { user: /^total/ }, reply: 'It is 12.' },
      { name: 'never fits', when: { user: /^Your last answer[^]*"never"/ }, reply: '{"never": 1}' },
      {
        name: 'slowly',
        when: { user: /^Your last answer[^]*"slow"/ },
        reply: { text: '{"slow": 1}'.padEnd(900), tokensPerSecond: 4 },
        times: 1,
      },
      { name: 'soon', when: { user: /^Your last answer[^]*"slow"/ }, reply: '{"slow": 1}' },
      { name: 'not yet', when: { user: /^Your last answer/ }, reply: '{"total": "12"}', times: 1 },
      { name: 'fits', when: { user: /^Your last answer/ }, reply: 'Sorry:\n```json\n{"total": 12}\n```' },
      { name: 'say', when: { user: /^(?:say|flaky) (\w+)/ }, reply: 'I say {{user.1}}.' },
    ],
  });
  workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  place = scratch();
});
afterAll(async () => {
  place?.[Symbol.dispose]();
  await workspace?.[Symbol.asyncDispose]();
  await model?.stop();
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

const children = new Set<ChildProcess>();
const runDir = (name: string) => join(place.path, name);
const optionsOf = (tasks: readonly RunTaskSpec[], more: Partial<RunOptions> = {}): RunOptions => ({
  tasks,
  directory: workspace.path,
  server: { opencodeConfig: model.opencodeConfig() },
  ...more,
});

async function rowsOf(path: string): Promise<readonly JournalRow[]> {
  const journal = openJournal(runLayout(path).journal, { readOnly: true });
  const rows = [...journal.read()];
  await journal.close();
  return rows;
}

const ofType = <Type extends JournalEvent['type']>(rows: readonly JournalRow[], type: Type) =>
  rows.flatMap(({ event }) => (event.type === type ? [event as Extract<JournalEvent, { type: Type }>] : []));

async function resultsOf(run: Awaited<ReturnType<typeof openRun>>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { key, outcome, attempt, reused } of run.results()) found[key] = `${outcome} ${attempt}${reused ? ' reused' : ''}`;
  return found;
}

test('a run carries its tasks to their end, tells it in its directory, and a resume of it has nothing left to do', async () => {
  const tasks: RunTaskSpec[] = [
    { id: 'one', prompt: 'say one' },
    { id: 'again', prompt: 'flaky again', retries: 1 },
    { id: 'bad', prompt: 'refuse it' },
    { id: 'blocked', prompt: 'say blocked', after: ['bad'] },
    { id: 'behind', prompt: 'say behind', after: ['one'] },
    { id: 'line', shell: 'echo line' },
  ];
  const path = runDir('whole');
  const settings = { retryDelay: { firstMs: 50, longestMs: 50 } };
  const run = await openRun(optionsOf(tasks, { runDir: path, settings }));
  const told = await resultsOf(run);
  expect(told).toEqual({ one: 'succeeded 1', again: 'succeeded 2', bad: 'failed 1', behind: 'succeeded 1', line: 'succeeded 1' });
  const { reason, counts } = await run.ended;
  expect([reason, counts]).toEqual([
    'done',
    {
      total: 6,
      outcomes: { succeeded: 4, failed: 1 },
      skipped: 1,
      notStarted: 0,
      reused: 0,
      dropped: 0,
      succeededFirstTry: 3,
      succeededAfterRetry: 1,
    },
  ]);
  const layout = runLayout(path);
  const lines = readFileSync(layout.results, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; final: boolean; output: string });
  expect(
    lines
      .filter(({ final }) => final)
      .map(({ id }) => id)
      .toSorted(),
  ).toEqual(['again', 'bad', 'behind', 'line', 'one']);
  expect(JSON.parse(readFileSync(layout.state, 'utf8'))).toMatchObject({ total: 6, running: 0, ended: 'done', outcomes: { succeeded: 4 } });
  // Neither state nor a session of the server is left; transcripts are.
  expect(existsSync(join(path, 'state'))).toBe(false);
  const transcripts = readdirSync(layout.artifacts).flatMap((slug) =>
    readdirSync(join(layout.artifacts, slug)).map((attempt) =>
      readFileSync(join(layout.artifacts, slug, attempt, 'transcript.jsonl'), 'utf8'),
    ),
  );
  expect(transcripts.length).toBe(6);
  expect(transcripts.some((text) => text.includes('"I say behind."'))).toBe(true);

  await expect(openRun(optionsOf(tasks, { runDir: path }))).rejects.toMatchObject({ code: 'RUN_EXISTS' });
  const calls = model.calls.length;
  const again = await resumeRun({ ...optionsOf(tasks), run: path });
  expect(await resultsOf(again)).toEqual({
    one: 'succeeded 1 reused',
    again: 'succeeded 2 reused',
    behind: 'succeeded 1 reused',
    line: 'succeeded 1 reused',
  });
  expect((await again.ended).counts).toMatchObject({ total: 6, reused: 4, skipped: 1 });
  expect(model.calls.length).toBe(calls);
});

test('a task that asks for something else is named with its field; a raised limit runs again what it had ended', async () => {
  const path = runDir('changed');
  const tasks: RunTaskSpec[] = [
    { id: 'one', prompt: 'say one' },
    { id: 'long', prompt: 'never ends', timeoutMs: 1500 },
  ];
  const run = await openRun(optionsOf(tasks, { runDir: path }));
  expect(await resultsOf(run)).toEqual({ one: 'succeeded 1', long: 'timed_out 1' });
  await run.ended;
  const other = [{ id: 'one', prompt: 'say two' }, tasks[1]!];
  await expect(resumeRun({ ...optionsOf(other), run: path })).rejects.toMatchObject({
    code: 'TASKS_CHANGED',
    message: expect.stringMatching(/one \(.*prompt/) as string,
  });
  const same = await resumeRun({ ...optionsOf(tasks), run: path });
  expect(same.plan.map(({ key, decision }) => [key, decision])).toEqual([
    ['one', 'reuse'],
    ['long', 'skip'],
  ]);
  await same.ended;
  const raised = [tasks[0]!, { id: 'long', prompt: 'never ends', timeoutMs: 2500 }];
  const longer = await resumeRun({ ...optionsOf(raised), run: path });
  expect(longer.plan.map(({ decision }) => decision)).toEqual(['reuse', 'run']);
  expect(await resultsOf(longer)).toEqual({ one: 'succeeded 1 reused', long: 'timed_out 2' });
  await longer.ended;
});

/** A program with a run, in a process of its own. */
async function startProgram(options: RunOptions & { readonly run?: string }) {
  const program = fileURLToPath(new URL('support/run-program.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@opencode-manager/source', program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said.out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said.err += chunk));
  const lines = () =>
    said.out
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { child, lines, said };
}

test('a manager that is killed again and again loses nothing, and no prompt is asked twice within an attempt', async () => {
  const path = runDir('killed');
  const keys = Array.from({ length: 10 }, (_, n) => `t${n}`);
  const tasks = keys.map((id): RunTaskSpec => ({ id, prompt: `slow ${id}` }));
  const options = optionsOf(tasks, { runDir: path, settings: { concurrency: 3 } });
  const before = model.calls.length;
  const { runDir: _named, ...resumed } = options;
  for (let kill = 0; kill < 2; kill += 1) {
    const { child, lines, said } = await startProgram(kill === 0 ? options : { ...resumed, run: path });
    const enough = 1 + kill * 2;
    await expect
      .poll(() => lines().filter(({ outcome, reused }) => outcome === 'succeeded' && reused !== true).length, {
        timeout: 60_000,
        message: said.err,
      })
      .toBeGreaterThanOrEqual(enough > 3 ? 3 : enough);
    child.kill('SIGKILL');
    await once(child, 'exit');
    children.delete(child);
    // Of the server's state its database alone stays, for those who look a message up: no configuration, no credential.
    await expect
      .poll(
        () =>
          [
            ...new Set(readdirSync(join(path, 'state'), { recursive: true }).map((name) => String(name).replace(/-(wal|shm)$/, ''))),
          ].toSorted(),
        {
          timeout: 10_000,
        },
      )
      .toEqual(['data', 'data/opencode', 'data/opencode/opencode.db', 'opencode-manager-state.json']);
  }
  const last = await resumeRun({ ...resumed, run: path });
  const results = await resultsOf(last);
  expect(Object.keys(results).toSorted()).toEqual(keys);
  expect(Object.values(results).filter((result) => !result.startsWith('succeeded'))).toEqual([]);
  expect((await last.ended).counts).toMatchObject({ total: 10, outcomes: { succeeded: 10 } });

  const rows = await rowsOf(path);
  expect(rows.map(({ sequence }) => sequence)).toEqual(rows.map((_, index) => index + 1));
  const intents = ofType(rows, 'attempt.intended');
  const ends = ofType(rows, 'attempt.ended');
  expect(new Set(intents.map(({ token }) => token)).size).toBe(intents.length);
  for (const key of keys) {
    expect(ends.filter((end) => end.key === key && end.outcome === 'succeeded').length, key).toBe(1);
    const asked = model.calls
      .slice(before)
      .filter(({ purpose, messages }) => purpose === 'turn' && JSON.stringify(messages).includes(`slow ${key}"`)).length;
    expect(asked, key).toBeLessThanOrEqual(intents.filter((intent) => intent.key === key).length);
    expect(asked, key).toBeGreaterThanOrEqual(1);
  }
});

const sizedBy = (name: string, type: string) => ({
  type: 'object',
  properties: { [name]: { type } },
  required: [name],
});

test('an answer is held against its schema, and corrected twice at most: in its session, and when the manager is killed meanwhile in a new attempt', async () => {
  const path = runDir('output');
  const before = model.calls.length;
  const tasks: RunTaskSpec[] = [
    { id: 'fits', prompt: 'total', outputSchema: sizedBy('total', 'number') },
    { id: 'never', prompt: 'total', outputSchema: sizedBy('never', 'string'), group: 'g' },
    { id: 'slow', prompt: 'total', outputSchema: sizedBy('slow', 'number') },
  ];
  const options = optionsOf(tasks, { runDir: path, settings: { concurrency: 1 } });
  const { child, said } = await startProgram(options);
  const isCorrecting = () => model.calls.slice(before).some(({ rule }) => rule === 'slowly');
  await expect.poll(isCorrecting, { timeout: 60_000, message: said.err }).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  children.delete(child);
  const { runDir: _named, ...resumed } = options;
  const last = await resumeRun({ ...resumed, run: path });
  expect(last.plan.map(({ key, decision }) => [key, decision])).toEqual([
    ['fits', 'reuse'],
    ['never', 'skip'],
    ['slow', 'look'],
  ]);
  expect(await resultsOf(last)).toEqual({ fits: 'succeeded 1 reused', slow: 'succeeded 2' });
  await last.ended;

  const rows = await rowsOf(path);
  const [fits, never, broken, slow] = ofType(rows, 'attempt.ended').map(({ result }) => result);
  expect(fits).toMatchObject({ output: 'Sorry:\n```json\n{"total": 12}\n```', output_json: { total: 12 }, model_calls: 3, error: null });
  expect(never).toMatchObject({ outcome: 'failed', output: '{"never": 1}', model_calls: 3, group: 'g' });
  expect(never!.error).toMatchObject({ code: 'OUTPUT_INVALID', details: { errors: ['/never must be string; received 1'] } });
  expect(never).not.toHaveProperty('output_json');
  expect(broken).toMatchObject({ outcome: 'interrupted', attempt: 1 });
  // Its first turn was over, and is paid for.
  expect(broken!.model_calls).toBeGreaterThanOrEqual(1);
  expect(slow).toMatchObject({ attempt: 2, output_json: { slow: 1 }, model_calls: 2 });

  const ofFits = rows.flatMap(({ event }) =>
    'key' in event && event.key === 'fits' && event.type !== 'attempt.accepted' ? [event.type] : [],
  );
  expect(ofFits).toEqual(['task.added', 'attempt.intended', 'attempt.repairing', 'attempt.repairing', 'attempt.ended']);
  const [first, second] = ofType(rows, 'attempt.repairing');
  expect([first!.spent.model_calls, second!.spent.model_calls, second!.messageId]).toEqual([1, 2, fits!.message_id]);
  expect(fits!.usage.input_tokens).toBeGreaterThan(second!.spent.usage.input_tokens);
  const told = model.calls.slice(before, before + 3).map(({ messages }) => JSON.stringify(messages.at(-1)));
  expect(told[1]).toContain('the answer is no JSON');
  expect(told[2]).toContain('/total must be number; received');
  const slug = readdirSync(runLayout(path).artifacts).find((name) => name.startsWith('fits'));
  const transcript = readFileSync(join(runLayout(path).artifacts, slug!, '1', 'transcript.jsonl'), 'utf8');
  expect(transcript.match(/"role":"user"/g)).toHaveLength(3);
});
