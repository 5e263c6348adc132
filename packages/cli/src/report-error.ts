import { errorCatalogue, toManagerError, type OpencodeManagerError } from '@opencode-manager/core';
import { exitCodeOf, type ExitCode } from './exit-codes.ts';
import { printable } from './render/index.ts';
import type { Terminal } from './terminal/index.ts';

/** Lines of the server's output that are shown with an error. */
const outputLines = 15;

/**
 * Tells the user what went wrong: on stderr in words, and with `json` as a record on stdout too. Gives the exit code.
 */
export function reportError(terminal: Terminal, thrown: unknown, options: { readonly json?: boolean } = {}): ExitCode {
  const error = terminal.redactor.error(toManagerError(thrown));
  if (options.json) terminal.record({ type: 'error', error: error.toJSON() });
  for (const line of describeError(error, terminal)) terminal.notice(line);
  return exitCodeOf(error.code);
}

function describeError(error: OpencodeManagerError, { noticeColors, env }: Terminal): string[] {
  const lines = [`${noticeColors.red('error')} ${noticeColors.bold(error.code)}: ${printable(error.message)}`];
  const remedy = remedyOf(error);
  if (remedy !== undefined) lines.push(noticeColors.dim(remedy));
  if (error.output) lines.push("The server's last output:", ...tail(error.output).map((line) => noticeColors.dim(`  | ${line}`)));
  // A stack helps whoever reports an error that should not exist, and nobody else.
  const original = error.cause instanceof Error ? error.cause : error;
  if (error.code === 'INTERNAL' && env['OCM_DEBUG']) lines.push(original.stack ?? '');
  return lines;
}

/** What to do about an error, where its message does not say so itself. */
export function remedyOf({ code }: Pick<OpencodeManagerError, 'code'>): string | undefined {
  const { remedy } = errorCatalogue[code];
  return selfExplaining.has(code) || remedy.startsWith('Nothing') ? undefined : remedy;
}

const selfExplaining: ReadonlySet<string> = new Set([
  'USAGE',
  'MANAGER_NOT_FOUND',
  'TASK_INVALID',
  'TASK_DUPLICATE',
  'DIRECTORY_MISSING',
  'MODEL_UNKNOWN',
  'SCRIPT_INVALID',
  'WORKSPACE_UNTRUSTED',
  'WORKSPACE_CHANGED',
  'WORKSPACE_UNREADABLE',
  'TURN_FAILED',
  'RUN_UNKNOWN',
  'TASK_UNKNOWN',
]);

function tail(output: string): string[] {
  return printable(output).trimEnd().split('\n').slice(-outputLines);
}
