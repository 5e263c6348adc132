import { OpencodeManagerError } from '@opencode-manager/core';
import { exitCodes, type ExitCode } from '../../exit-codes.ts';
import { mostTokens, parseAmount, parseCount } from '../../options/index.ts';
import type { CtlConfigFlags } from '../../flags.ts';
import { formatCost, formatCount, formatDuration } from '../../render/index.ts';
import { parseDuration } from '../../task-file/index.ts';
import type { Terminal } from '../../terminal/index.ts';
import { refuseQueue, withRun } from './find-run.ts';

/** Attempts at once at most. */
const mostConcurrent = 1000;

interface Settings {
  concurrency?: number;
  timeout_ms?: number;
  tokens?: number | null;
  usd?: number | null;
}

const parsers: Readonly<Record<string, (text: string) => Settings>> = {
  concurrency: (text) => ({ concurrency: parseCount(text, 'concurrency', { min: 1, max: mostConcurrent }) }),
  tokens: (text) => ({ tokens: text === 'none' ? null : parseCount(text, 'tokens', { min: 1, max: mostTokens }) }),
  usd: (text) => ({ usd: text === 'none' ? null : parseAmount(text, 'usd') }),
  timeout: (text) => ({ timeout_ms: parseDuration(text, 'timeout') }),
};

/** `ocm ctl config set NAME=VALUE...`: all of them, or none. */
export function setConfig(
  terminal: Terminal,
  assignments: readonly string[],
  { enforce = false, ...flags }: CtlConfigFlags,
): Promise<ExitCode> {
  refuseQueue(flags, 'ctl config set', 'each worker has its own --concurrency');
  const settings = Object.assign({}, ...assignments.map(settingOf)) as Settings;
  return withRun(flags.run, async ({ manager, id }, signal) => {
    const done = await manager.call('configureRun', { run: id, ...settings, ...(enforce && { enforce }) }, { signal });
    if (flags.json) terminal.record({ type: 'run.configured', ...done });
    else {
      if (done.concurrency) terminal.result(line('concurrency', done.concurrency, String));
      if (done.tokens) terminal.result(line('tokens', done.tokens, formatCount));
      if (done.usd) terminal.result(line('usd', done.usd, formatCost));
      if (done.timeout_ms) terminal.result(`${line('timeout', done.timeout_ms, formatDuration)}, for attempts that start from now on`);
    }
    return exitCodes.ok;
  });
}

function line(
  name: string,
  { before, now }: { readonly before: number | null; readonly now: number | null },
  format: (value: number) => string,
): string {
  const text = (value: number | null) => (value === null ? 'none' : format(value));
  return before === now ? `${name} is ${text(now)} already` : `${name} ${text(before)} -> ${text(now)}`;
}

function settingOf(assignment: string): Settings {
  const at = assignment.indexOf('=');
  const name = assignment.slice(0, at);
  const parse = at > 0 && Object.hasOwn(parsers, name) ? parsers[name] : undefined;
  if (parse) return parse(assignment.slice(at + 1));
  throw new OpencodeManagerError(
    'USAGE',
    `config set: ${JSON.stringify(assignment)} is no setting of a live run. Use ${Object.keys(parsers)
      .map((known) => `${known}=VALUE`)
      .join(' or ')}. Nothing was changed.`,
  );
}
