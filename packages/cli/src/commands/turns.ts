import { text as readAll } from 'node:stream/consumers';
import type { TaskResult } from '@opencode-manager/actors';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { ManagerClient } from '../manager-socket/index.ts';
import type { PromptFlags, TurnClientFlags } from '../flags.ts';
import { formatCount, formatDuration, printable, tokensOf } from '../render/index.ts';
import { remedyOf } from '../report-error.ts';
import { parseDuration } from '../task-file/index.ts';
import type { Terminal } from '../terminal/index.ts';
import { withManager } from './client.ts';
import { streamPrompt } from './stream-prompt.ts';

interface Turn {
  readonly session_id: string;
  readonly timeout_ms?: number;
}

type SendTurn = (manager: ManagerClient, turn: Turn, signal: AbortSignal) => Promise<TaskResult>;

/** `ocm prompt SESSION TEXT`; `-` reads the text from standard input. */
export async function prompt(terminal: Terminal, session: string, text: string, flags: PromptFlags): Promise<ExitCode> {
  const content = text === '-' ? await readAll(terminal.streams.stdin) : text;
  if (flags.stream)
    return runTurn(terminal, session, flags, (manager, turn, signal) =>
      streamPrompt(terminal, manager, { ...turn, text: content }, flags, signal),
    );
  return runTurn(terminal, session, flags, (manager, turn, signal) => manager.call('prompt', { ...turn, text: content }, { signal }));
}

/** `ocm command SESSION COMMAND [ARGUMENTS...]` */
export function command(
  terminal: Terminal,
  session: string,
  name: string,
  args: readonly string[],
  flags: TurnClientFlags,
): Promise<ExitCode> {
  return runTurn(terminal, session, flags, (manager, turn, signal) =>
    manager.call('exec', { ...turn, command: name, arguments: args.join(' ') }, { signal }),
  );
}

/** `ocm shell SESSION LINE...` */
export function shell(terminal: Terminal, session: string, line: readonly string[], flags: TurnClientFlags): Promise<ExitCode> {
  return runTurn(terminal, session, flags, (manager, turn, signal) => manager.call('shell', { ...turn, line: line.join(' ') }, { signal }));
}

function runTurn(terminal: Terminal, session: string, flags: PromptFlags, send: SendTurn): Promise<ExitCode> {
  return withManager(flags, async (manager, signal) => {
    const timeoutMs = flags.timeout === undefined ? undefined : parseDuration(flags.timeout, '--timeout');
    const sessionId = session === 'new' ? await createSession(terminal, manager, flags, signal) : session;
    const result = await send(manager, { session_id: sessionId, ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }) }, signal);
    report(terminal, result, flags);
    return result.outcome === 'succeeded' ? exitCodes.ok : exitCodes.failed;
  });
}

async function createSession(terminal: Terminal, manager: ManagerClient, flags: TurnClientFlags, signal: AbortSignal): Promise<string> {
  const { session_id: sessionId, directory } = await manager.call(
    'createSession',
    flags.directory === undefined ? {} : { directory: flags.directory },
    { signal },
  );
  if (flags.json) terminal.record({ type: 'session.created', session_id: sessionId, directory });
  else terminal.notice(`session ${sessionId}`);
  return sessionId;
}

function report(terminal: Terminal, result: TaskResult, { json, stream }: PromptFlags): void {
  if (json) return terminal.record({ type: 'turn.finished', ...result });
  if (result.output !== '' && !stream) terminal.result(printable(result.output).trimEnd());
  const { noticeColors: colors } = terminal;
  if (result.outcome === 'succeeded') {
    const tokens = tokensOf(result.usage);
    return terminal.notice(colors.dim(`${formatDuration(result.duration_ms)}${tokens > 0 ? `, ${formatCount(tokens)} tokens` : ''}`));
  }
  terminal.notice(`${colors.red(result.outcome)}${result.error ? ` ${result.error.code}: ${printable(result.error.message)}` : ''}`);
  const remedy = result.error && remedyOf(result.error);
  if (remedy) terminal.notice(colors.dim(remedy));
  for (const ask of result.asks) {
    if (ask.answer === 'denied') terminal.notice(colors.dim(`denied: ${ask.permission ?? ask.kind} ${(ask.patterns ?? []).join(', ')}`));
  }
}
