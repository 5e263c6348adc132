import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { closest } from 'fastest-levenshtein';
import type { TaskOptions } from '../task/types.ts';
import type { LeasedPromptOptions, LeasedTurnOptions, SessionPoolOptions } from './types.ts';

type Check = (value: unknown) => boolean;
type Names<Options> = Record<keyof Options, true>;

const isText: Check = (value) => typeof value === 'string' && value !== '';
const isObject: Check = (value) => typeof value === 'object' && value !== null;
const isFlag: Check = (value) => typeof value === 'boolean';
const isFunction: Check = (value) => typeof value === 'function';
const isOneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value as string);
const isModel: Check = (value) => typeof value === 'string' && /^[^/]+\/.+$/.test(value);
const isNumber: Check = (value) => typeof value === 'number';
const areWaits: Check = (value) => Array.isArray(value) && value.length > 0 && value.every((wait) => Number.isInteger(wait) && wait >= 0);

/** Every option, and what its value must be; the limits of numbers, and policies, are checked where they are read. */
const options: { readonly [Name in keyof Required<SessionPoolOptions>]: readonly [Check, string] } = {
  server: [isObject, 'a server or its configuration'],
  monitor: [isObject, 'an event monitor'],
  maxSessions: [isNumber, 'a number'],
  sessions: [isOneOf('new', 'reuse'), '"new" or "reuse"'],
  permissions: [() => true, 'a policy'],
  model: [isModel, 'written provider/model'],
  agent: [isText, 'the name of an agent'],
  restartBudget: [isObject, 'an object'],
  recovery: [isFlag, 'true or false'],
  onInterrupted: [isOneOf('retry', 'fail'), '"retry" or "fail"'],
  repeat: [isFlag, 'true or false'],
  health: [isObject, 'an object'],
  serverMemory: [(value) => value === false || isObject(value), 'false or an object'],
  maxIdleDirectories: [isNumber, 'a number'],
  workspaces: [isObject, 'a source of workspaces'],
  workspace: [isText, 'the mode of a workspace'],
  inspect: [isFunction, 'a function'],
  signal: [isObject, 'an AbortSignal'],
  taskTimeoutMs: [isNumber, 'a number'],
  taskLimits: [isObject, 'an object'],
  prices: [isObject, 'a table of prices'],
  stallTimeoutMs: [isNumber, 'a number'],
  askTimeoutMs: [isNumber, 'a number'],
  maxRetryWaitMs: [isNumber, 'a number'],
  maxRetries: [isNumber, 'a number'],
  abortTimeoutMs: [isNumber, 'a number'],
  runawayEmptyMessages: [isNumber, 'a number'],
  runawaySameToolCalls: [isNumber, 'a number'],
  maxAnswerBytes: [isNumber, 'a number'],
};

const inner: Readonly<Record<string, Readonly<Record<string, readonly [Check, string]>>>> = {
  health: { intervalMs: [isNumber, 'a number'], timeoutMs: [isNumber, 'a number'], strikes: [isNumber, 'a number'] },
  serverMemory: { maxBytes: [isNumber, 'a number'], checkMs: [isNumber, 'a number'], minAgeMs: [isNumber, 'a number'] },
  restartBudget: {
    maxRestarts: [(value) => Number.isInteger(value) && (value as number) >= 0, 'a whole number of zero or more'],
    windowMs: [(value) => Number.isInteger(value) && (value as number) >= 1, 'a whole number of one or more'],
    backoffMs: [areWaits, 'a list of waits in milliseconds'],
  },
};

/** All of `TaskOptions`. */
export const taskOptionNames: readonly string[] = Object.keys({
  signal: true,
  permissions: true,
  beforeSend: true,
  onAnswer: true,
  sent: true,
  continues: true,
  keepsPlace: true,
  maxRetryWaitMs: true,
  repeat: true,
} satisfies Names<TaskOptions>);

/** All of `LeasedTurnOptions`. */
export const leasedTurnOptionNames: readonly string[] = Object.keys({
  signal: true,
  permissions: true,
  beforeSend: true,
  repeat: true,
  timeoutMs: true,
  model: true,
  agent: true,
} satisfies Names<LeasedTurnOptions>);

/** All of `LeasedPromptOptions`. */
export const leasedPromptOptionNames: readonly string[] = [
  ...leasedTurnOptionNames,
  ...Object.keys({ system: true, files: true } satisfies Names<Omit<LeasedPromptOptions, keyof LeasedTurnOptions>>),
];

/** Refuses what no pool has: a mistyped limit must not run without one. @throws `CONFIG_KEY_UNKNOWN`, `CONFIG_INVALID` */
export function assertKnownOptions(given: SessionPoolOptions): void {
  assertFields('', given, options);
  for (const [name, fields] of Object.entries(inner)) {
    const value = given[name as keyof SessionPoolOptions];
    if (value !== undefined && value !== false) assertFields(`${name}.`, value as object, fields);
  }
}

function assertFields(prefix: string, given: object, fields: Readonly<Record<string, readonly [Check, string]>>): void {
  for (const [name, value] of Object.entries(given)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const option = `${prefix}${name}`;
    if (!field) {
      const nearest = `${prefix}${closest(name, Object.keys(fields))}`;
      throw new OpencodeManagerError('CONFIG_KEY_UNKNOWN', `Option ${option} does not exist. Did you mean ${nearest}?`, {
        details: { option, nearest },
      });
    }
    const [check, wanted] = field;
    if (value === undefined || check(value)) continue;
    throw new OpencodeManagerError('CONFIG_INVALID', `${option}: ${textOf(value)} is not ${wanted}.`, { details: { field: option } });
  }
}

function textOf(value: unknown): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value) : (JSON.stringify(value) ?? typeof value);
}
