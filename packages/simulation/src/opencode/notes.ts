import type { TurnError } from '@opencode-manager/core/protocol';
import { mostAnswerBytes } from '../plan/defaults.ts';
import type { RefusalScript, StepScript } from '../plan/types.ts';
import type { LedgerTurn } from './ledger.ts';
import type { Surroundings } from './surroundings.ts';

/** What an aborted turn ends with (A3). */
export const abortedError: TurnError = { kind: 'aborted', name: 'Aborted', message: 'Aborted' };

export const unknownModel: TurnError = { kind: 'other', name: 'ModelUnknown', message: 'Model not found: alpha/nope.' };

/** What the adapter of 2.x says of a turn that ended before its first step: nothing else is stored. */
export const unansweredError: TurnError = { kind: 'other', name: 'unknown', message: 'opencode ended the turn before it asked the model.' };

/** What the model says when it is told that work in the background has ended. */
export const followUp: StepScript = { thinkMs: 40, text: ['It is done. '], finish: 'stop' };

export function noteBegin({ count }: Surroundings, beginMs: number): void {
  if (beginMs > 30_000) count('begin-very-late');
  else if (beginMs > 2000) count('begin-late');
}

/** What counts as which fault, of what a model or a provider does. */
export function noteFinish({ count }: Surroundings, { finish, tools }: StepScript, text: string): void {
  if (finish === 'length') count('finish-length');
  else if (finish !== null && finish !== 'stop' && finish !== 'tool-calls') count('finish-odd');
  if (text === '' && !tools?.length) count('answer-empty');
}

export function noteRefusal({ count }: Surroundings, { statusCode, afterMs, brokenText }: RefusalScript): void {
  count(statusCode === 429 ? 'retry-rate-limit' : 'retry-failure');
  if (afterMs > 120_000) count('retry-long');
  if (brokenText !== undefined) count('stream-broken-text');
}

export function noteLoop({ count }: Surroundings, { finish, tools }: StepScript, isLoop: boolean): void {
  if (!isLoop) return;
  if (tools?.length) count('tool-loop');
  else count(finish === null ? 'finish-missing-loop' : 'finish-tool-calls-loop');
}

const floodPiece = 'and so on '.repeat(10);

/** What a step says, piece by piece. */
export function piecesOf({ text, flood = 0 }: StepScript): string[] {
  return [...text, ...Array.from({ length: flood }, () => floodPiece)];
}

export function noteSaid({ queue, count }: Surroundings, record: LedgerTurn, { length }: string): void {
  record.saidBytes += length;
  if (record.saidBytes <= mostAnswerBytes || record.oversizedAtMs !== undefined) return;
  record.oversizedAtMs = queue.nowMs;
  count('answer-oversized');
}
