import type { SessionPoolOptions } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { TurnFlags } from '../flags.ts';
import { parseDuration, readPermissions } from '../task-file/index.ts';
import { parseCount, parseSize } from './numbers.ts';

/** More turns at once than this only wait inside opencode: 200 took nine seconds each where one took one. */
const mostConcurrent = 1000;

export type TurnSettings = Pick<
  SessionPoolOptions,
  'maxSessions' | 'model' | 'agent' | 'taskTimeoutMs' | 'permissions' | 'maxAnswerBytes' | 'serverMemory' | 'maxIdleDirectories'
>;

/** The pool's options that the flags name. @throws OpencodeManagerError `USAGE` */
export async function turnSettings(flags: TurnFlags): Promise<TurnSettings> {
  return {
    ...(flags.concurrency !== undefined && {
      maxSessions: parseCount(flags.concurrency, '--concurrency', { min: 1, max: mostConcurrent }),
    }),
    ...(flags.model !== undefined && { model: checkModelName(flags.model) }),
    ...(flags.agent !== undefined && { agent: flags.agent }),
    ...(flags.timeout !== undefined && { taskTimeoutMs: parseDuration(flags.timeout, '--timeout') }),
    ...(flags.maxAnswer !== undefined && { maxAnswerBytes: parseSize(flags.maxAnswer, '--max-answer') }),
    ...(flags.maxServerMemory !== undefined && { serverMemory: serverMemoryOf(flags.maxServerMemory) }),
    ...(flags.maxIdleDirectories !== undefined && {
      maxIdleDirectories: parseCount(flags.maxIdleDirectories, '--max-idle-directories', { min: 0, max: 1_000_000 }),
    }),
    ...(flags.permissions !== undefined && { permissions: await readPermissions(flags.permissions) }),
  };
}

function serverMemoryOf(size: string): NonNullable<SessionPoolOptions['serverMemory']> {
  return size === 'off' ? false : { maxBytes: parseSize(size, '--max-server-memory') };
}

function checkModelName(model: string): string {
  if (/^[^/\s]+\/\S+$/.test(model)) return model;
  throw new OpencodeManagerError(
    'USAGE',
    `--model: ${JSON.stringify(model)} must be written provider/model, for example anthropic/claude-sonnet-5.`,
    { details: { option: '--model' } },
  );
}
