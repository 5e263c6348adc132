import type { BatchAttempt, BatchTask, ConversationLine } from '@opencode-manager/playground/batch';
import { readTranscript, type JournalReader, type TranscriptLine } from '@opencode-manager/runs/read';
import { tokensOf } from '../render/index.ts';
import { errorOf } from './run-table.ts';

/** Longest text of a message, and of what a tool was given or gave, in characters; the file has all of it. */
const longestSaid = 50_000;
const longestTool = 4000;

/** Lines of a conversation, and characters of them together, that a page is given. */
const lineLimit = 2000;
const textLimit = 4_000_000;

export interface TaskSource {
  /** Of the run's directory. */
  readonly path: string;
  readonly journal: JournalReader;
  readonly content: boolean;
  /** Its attempt in flight, or that broke off. */
  readonly open: { readonly attempt: number; readonly sinceMs: number | null } | undefined;
}

/**
 * A task with its attempts, and the answer and the conversation of one of them; the newest that has ended by default. Without `content` no text
 * is among it.
 * @throws `RUN_UNREADABLE`
 */
export async function readRunTask(source: TaskSource, key: string, wanted?: number): Promise<BatchTask> {
  const { path, content, open } = source;
  const { attempts, answers } = attemptsOf(source, key);
  const attempt = wanted ?? attempts.findLast(({ outcome }) => outcome !== null)?.attempt ?? 0;
  const all = open ? [...attempts, inFlight(open)] : attempts;
  const none = { key, attempts: all, attempt, answer: null, lines: [], omitted: 0 };
  if (!content) return { ...none, transcript: 'hidden' };
  const read = await readConversation(path, key, attempt);
  return { ...none, answer: answers.get(attempt) ?? null, ...(read ? { ...read, transcript: 'shown' } : { transcript: 'missing' }) };
}

/** Those that have ended. */
function attemptsOf(
  { journal, content }: TaskSource,
  key: string,
): { readonly attempts: readonly BatchAttempt[]; readonly answers: ReadonlyMap<number, string> } {
  const started = new Map<number, number>();
  const attempts: BatchAttempt[] = [];
  const answers = new Map<number, string>();
  for (const { event, atMs } of journal.rows({ key })) {
    if (event.type === 'attempt.intended') started.set(event.attempt, atMs);
    if (event.type !== 'attempt.ended') continue;
    const { attempt, outcome, result, error } = event;
    answers.set(attempt, result.output);
    attempts.push({
      attempt,
      outcome,
      startedAtMs: started.get(attempt) ?? null,
      durationMs: result.duration_ms,
      tokens: tokensOf(result.usage),
      costUsd: result.cost_usd,
      error: errorOf(error, content),
    });
  }
  return { attempts, answers };
}

function inFlight({ attempt, sinceMs }: NonNullable<TaskSource['open']>): BatchAttempt {
  return { attempt, outcome: null, startedAtMs: sinceMs, durationMs: null, tokens: 0, costUsd: null, error: null };
}

/** Undefined when there is none. */
async function readConversation(path: string, key: string, attempt: number): Promise<Pick<BatchTask, 'lines' | 'omitted'> | undefined> {
  const all = await readTranscript(path, key, attempt);
  if (!all) return undefined;
  const session = all.find((line) => line.type === 'transcript')?.session;
  const lines: ConversationLine[] = [];
  let omitted = 0;
  let characters = 0;
  for (const line of all) {
    if (line.type === 'transcript') continue;
    if (lines.length >= lineLimit || characters >= textLimit) omitted += 1;
    else {
      const shown = shownLine(line, session);
      characters += JSON.stringify(shown).length;
      lines.push(shown);
    }
  }
  return { lines, omitted };
}

function shownLine(line: Exclude<TranscriptLine, { type: 'transcript' }>, session: string | undefined): ConversationLine {
  if (line.type === 'ask') {
    const what = [line.permission ?? line.kind, ...(line.patterns ?? [])].join(' ').slice(0, longestTool);
    return { type: 'ask', inner: line.session_id !== session, what, answer: line.answer };
  }
  const inner = line.session !== session;
  if (line.type === 'message') {
    const { role, at, text, reasoning, files, error } = line;
    const more = { ...(reasoning !== undefined && { reasoning: reasoning.slice(0, longestSaid) }), ...(files && { files }) };
    return { type: 'message', inner, role, at, ...cutTo(text, longestSaid, 'text'), ...more, ...(error !== undefined && { error }) };
  }
  const { at, tool, status, duration_ms: durationMs, input, output, exit_code: exitCode } = line;
  const given = (typeof input === 'string' ? input : (JSON.stringify(input, null, 2) ?? '')).slice(0, longestTool);
  const code = exitCode === undefined ? {} : { exitCode };
  return { type: 'tool', inner, at, tool, status, durationMs, input: given, ...cutTo(output, longestTool, 'output'), ...code };
}

function cutTo<Name extends string>(text: string, longest: number, name: Name) {
  const cut = Math.max(0, text.length - longest);
  return { [name]: cut === 0 ? text : text.slice(0, longest), cut } as { readonly [Key in Name]: string } & { readonly cut: number };
}
