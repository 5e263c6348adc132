// Makes the directory of a run by its own code, without a server: COUNT tasks, most of them over. Prints where it is as a line of JSON. With
// `live` this process goes on to have the run: three tasks are in flight, and each line of standard input is the key of one that ends. A run
// that is not live is done.
//   make-run DIRECTORY COUNT [live]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  createRunDirectory,
  taskHash,
  type JournalEvent,
  type RunDirectory,
  type TaskLine,
  type TranscriptLine,
} from '@opencode-manager/runs';
import type { AttemptEnded } from '@opencode-manager/runs/read';

const [directory = '', count = '100', mode = 'done'] = process.argv.slice(2);
const total = Number(count);
const isLive = mode === 'live';

/** Tasks from the end that have not ended, when the run is live: in flight, waiting for their next attempt, and never started. */
const inFlight = isLive ? 3 : 0;
const waiting = isLive ? 2 : 0;
const unstarted = isLive ? 20 : 0;
const over = total - inFlight - waiting - unstarted;

const words = 'Look at the parser, find out why the nested case fails, and correct it without a change of its interface.';

function keyOf(index: number): string {
  return `${['fix', 'test', 'docs', 'types'][index % 4]}-${String(index + 1).padStart(5, '0')}`;
}

function lineOf(key: string): TaskLine {
  const task = { prompt: `${words} (${key})` };
  const identity = taskHash({ task, workspace: { mode: 'shared', path: '/work' }, configuration: 'sha256:0' });
  return { generation: 1, key, ...identity, source: null, task };
}

function intended(key: string): JournalEvent {
  const [sessionId, messageId] = [`ses_${key}`, `msg_${key}`];
  return { type: 'attempt.intended', key, attempt: 1, token: `${key}-1`, sessionId, messageId, directory };
}

function outcomeOf(index: number): AttemptEnded['outcome'] {
  if (index % 97 === 5) return 'failed';
  if (index % 211 === 7) return 'timed_out';
  return index % 401 === 9 ? 'over_budget' : 'succeeded';
}

function ended(key: string, outcome: AttemptEnded['outcome'], final = true): AttemptEnded {
  const error =
    outcome === 'succeeded'
      ? null
      : {
          name: 'OpencodeManagerError',
          code: outcome === 'timed_out' ? 'TURN_TIMEOUT' : 'TURN_FAILED',
          message: `The model gave up on ${key}.`,
        };
  const seed = key.length * 7919 + Number(key.slice(-5)) * 104_729;
  return {
    type: 'attempt.ended',
    key,
    attempt: 1,
    token: `${key}-1`,
    outcome,
    counts: 'task',
    final,
    billed: true,
    error: error as AttemptEnded['error'],
    result: {
      schema_version: 1,
      id: key,
      outcome,
      attempt: 1,
      session_id: `ses_${key}`,
      message_id: `msg_${key}`,
      directory,
      model: 'local/test',
      output: outcome === 'succeeded' ? `The nested case of ${key} is corrected: the parser looked ahead by one token too few.` : '',
      finish: 'stop',
      usage: {
        input_tokens: 2000 + (seed % 9000),
        output_tokens: 300 + (seed % 700),
        reasoning_tokens: 0,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
      },
      cost_usd: 0.01 + (seed % 50) / 1000,
      duration_ms: 20_000 + (seed % 200_000),
      queued_ms: 0,
      proof: null,
      asks: [],
      gaps: 0,
      retries: 0,
      model_calls: 3,
      tool_calls: 2,
      error: error as AttemptEnded['error'],
      metadata: {},
      ...(final ? {} : { reset_at: new Date(Date.now() + 3_600_000).toISOString() }),
    },
  };
}

async function writeTranscript(run: RunDirectory, { key, result }: AttemptEnded): Promise<void> {
  const session = result.session_id!;
  const at = new Date().toISOString();
  const lines: TranscriptLine[] = [
    { type: 'transcript', schema_version: 1, key, attempt: 1, session, message: result.message_id!, model: result.model },
    { type: 'message', session, role: 'user', at, text: `${words} (${key})` },
    { type: 'message', session, role: 'assistant', at, text: 'I read the parser first.', reasoning: 'The nested case may look too short.' },
    {
      type: 'tool',
      session,
      at,
      duration_ms: 840,
      tool: 'read',
      status: 'completed',
      input: { filePath: 'src/parser.ts' },
      output: 'export function parse() {}\n',
    },
    {
      type: 'tool',
      session,
      at,
      duration_ms: 5200,
      tool: 'bash',
      status: 'failed',
      input: { command: 'npm test' },
      output: '1 test failed',
      exit_code: 1,
    },
    { type: 'tool', session: 'ses_child', at, duration_ms: 10, tool: 'grep', status: 'completed', input: { pattern: 'peek' }, output: '' },
    {
      type: 'message',
      session,
      role: 'assistant',
      at,
      text: result.output || 'I cannot find it.',
      ...(result.error && { error: result.error.message }),
    },
    { type: 'ask', kind: 'permission', session_id: session, permission: 'bash', patterns: ['npm test'], answer: 'allowed' },
  ];
  const path = join(await run.makeArtifacts(key, 1), 'transcript.jsonl');
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: 0o600 });
}

mkdirSync(directory, { recursive: true });
const run = await createRunDirectory({
  directory,
  title: 'made',
  facts: {
    source: null,
    argv: [],
    configuration: { settings: { concurrency: 3 } },
    configuration_digest: 'sha256:0',
    versions: { manager: '0.0.0', opencode: '1.18.33', protocol: 'v1', node: process.versions.node },
    git: null,
    base_commits: {},
  },
});
const keys = Array.from({ length: total }, (_, index) => keyOf(index));
const lines = keys.map(lineOf);
await run.addTasks(lines);
await run.journal.append([
  { type: 'run.opened', generation: 1 },
  ...lines.map(({ key, hash, fields }): JournalEvent => ({ type: 'task.added', key, hash, fields, after: [], retries: 0 })),
]);
for (let from = 0; from < over; from += 500) {
  const part = keys.slice(from, Math.min(over, from + 500));
  await run.journal.append(part.map(intended));
  const ends = part.map((key, index) => ended(key, outcomeOf(from + index)));
  for (const [index, end] of ends.entries()) if (end.outcome !== 'succeeded' || from + index < 3) await writeTranscript(run, end);
  await run.journal.append(ends);
}
const parked = keys.slice(over, over + waiting);
await run.journal.append([...parked.map(intended), ...parked.map((key) => ended(key, 'quota_exhausted', false))]);
await run.journal.append(keys.slice(over + waiting, over + waiting + inFlight).map(intended));
if (!isLive) {
  await run.journal.append([{ type: 'run.ended', reason: 'done' }]);
  await run.close();
}
console.log(JSON.stringify({ type: 'run', path: run.path }));
if (isLive) {
  for await (const key of createInterface({ input: process.stdin })) {
    const end = ended(key, 'failed');
    await writeTranscript(run, end);
    await run.journal.append([end]);
  }
  // As a process that is killed: it neither says that the run ends, nor lets go of it.
  process.exit(1);
}
