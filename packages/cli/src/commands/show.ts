import type { TaskResult } from '@opencode-manager/actors';
import { readTranscript, renderTranscript, type AttemptEnded, type TranscriptLine } from '@opencode-manager/runs/read';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { parseCount } from '../options/numbers.ts';
import type { ShowFlags } from '../flags.ts';
import { formatCount, formatDuration, oneLine, plural, printable, tokensOf } from '../render/index.ts';
import { patchOf, type FoundPatch } from '../run-view/patch-of.ts';
import { resultIn } from '../run-view/results.ts';
import { taskOfRun, type TaskOfRun } from '../run-view/task-of-run.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm show`: all that is known of one task of a run. */
export async function show(terminal: Terminal, names: readonly (string | undefined)[], flags: ShowFlags): Promise<ExitCode> {
  const number = flags.attempt === undefined ? undefined : parseCount(flags.attempt, '--attempt', { min: 1, max: 1_000_000 });
  const task = await taskOfRun(names, number);
  const { reading, key, attempt } = task;
  const transcript = attempt && (await readTranscript(reading.path, key, attempt.attempt));
  const patch = attempt && (await patchOf(reading.path, attempt));
  if (flags.json) terminal.record(recordOf(task, transcript, patch));
  else for (const line of linesOf(task, transcript, patch, terminal)) terminal.result(line);
  return exitCodes.ok;
}

function recordOf(
  { reading, key, record, state, attempt }: TaskOfRun,
  transcript: readonly TranscriptLine[] | undefined,
  patch?: FoundPatch,
): object {
  return {
    type: 'task',
    run: reading.run.id,
    id: key,
    state,
    attempt: attempt?.attempt ?? null,
    attempts: record.attempts,
    blocked_by: record.blockedBy,
    cancelled: record.isCancelled,
    dropped: record.isDropped,
    task: reading.tasks.get(key)?.task ?? null,
    result: attempt ? resultIn(attempt) : null,
    patch: patch?.type === 'file' ? patch.path : null,
    transcript: transcript ?? null,
  };
}

function linesOf(
  task: TaskOfRun,
  transcript: readonly TranscriptLine[] | undefined,
  patch: FoundPatch | undefined,
  { colors }: Terminal,
): string[] {
  const { reading, key, record, state, attempt } = task;
  const asked = reading.tasks.get(key)?.task ?? {};
  const asks = ['prompt', 'command', 'shell'].find((field) => typeof asked[field] === 'string');
  const title = (text: string) => ['', colors.bold(text)];
  return [
    `${colors.bold(printable(key))}  ${state.replaceAll('_', ' ')}${record.isDropped ? ', dropped: the source names it no more' : ''}`,
    ...(record.isCancelled ? ['  cancelled'] : []),
    ...(record.blockedBy === null ? [] : [printable(`  comes after ${record.blockedBy}, which has not succeeded`)]),
    ...(asks === undefined ? [] : [`  ${asks.padEnd(10)} ${oneLine(String(asked[asks]), 200)}`]),
    ...(attempt ? factsOf(attempt, record.attempts, patch).map((line) => `  ${line}`) : []),
    ...(attempt ? [...title('Answer'), printable(attempt.result.output).trimEnd() || '(none)'] : []),
    ...(attempt && attempt.result.asks.length > 0 ? [...title('Asks'), ...attempt.result.asks.map(askText)] : []),
    ...(attempt ? [...title('Proof of its end'), ...proofOf(attempt.result)] : []),
    ...(attempt ? [...title('Transcript'), transcript ? renderTranscript(transcript).trimEnd() : '(none)'] : []),
  ];
}

function factsOf({ attempt, outcome, error, result }: AttemptEnded, attempts: number, patch: FoundPatch | undefined): string[] {
  const { model, duration_ms: durationMs, usage, cost_usd: cost, session_id: session, directory, notes = [], reset_at: resetAt } = result;
  const spent = `${formatDuration(durationMs)}, ${formatCount(tokensOf(usage))} tokens, ${cost === null ? 'cost unknown' : `${cost} USD`}`;
  const lines = [
    `attempt    ${attempt} of ${attempts}: ${outcome.replaceAll('_', ' ')}`,
    ...(error ? [`error      ${error.code}: ${error.message}`] : []),
    `spent      ${spent}`,
    `model      ${model ?? '-'}`,
    `session    ${session ?? '-'}`,
    `directory  ${directory}`,
    `patch      ${patchText(result, patch)}`,
    ...(result.submodules ?? []).map(({ path, patch: inside }) => `submodule  ${path}: ${inside ?? 'no patch'}`),
    ...(resetAt === undefined ? [] : [`quota      free again at ${resetAt}`]),
    ...notes.map((note) => `note       ${note}`),
  ];
  return lines.map((line) => printable(line));
}

function patchText({ files_changed: files = 0, insertions = 0, deletions = 0, ref }: TaskResult, patch: FoundPatch | undefined): string {
  if (patch?.type === 'empty') return 'no file was changed';
  if (patch?.type !== 'file') return patch?.why ?? '-';
  const changed = ref === undefined ? '' : `${plural(files, 'file')} (+${formatCount(insertions)} -${formatCount(deletions)}), `;
  return `${changed}${patch.path}`;
}

function askText({ kind, permission = kind, patterns = [], answer, reason }: TaskResult['asks'][number]): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  return printable(`  ${answer}: ${[permission, ...patterns].join(' ')}${why}`);
}

function proofOf({ proof }: TaskResult): string[] {
  if (proof === null) return ['  none: the end was not proven'];
  return Object.entries(proof).map(([signal, seen]) => {
    // Runs of before have the other name.
    const { at_ms: atMs, source } = 'atMs' in seen ? { ...seen, at_ms: seen.atMs as number } : seen;
    return printable(`  ${signal}  ${new Date(atMs).toISOString()}  ${source}`);
  });
}
