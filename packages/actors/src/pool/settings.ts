import type { OpencodeServer, ServerConfig } from '@opencode-manager/core';
import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { parsePermissionPolicy } from '@opencode-manager/core/policy-schema';
import { defaultRestartLimits, type sessionMachine, type RestartLimits, type SessionLimits } from '../machines/index.ts';
import type { PoolPorts, WorkspaceSource } from '../ports/index.ts';
import { defaultHealthCheck, type HealthCheck, type MemoryCheck } from '../supervision/index.ts';
import { assertKnownOptions } from './known-options.ts';
import { parsePrices, type PriceTable } from '../session/prices.ts';
import { parseTaskLimits } from '../task/schema.ts';
import type { PermissionPolicy, TaskLimits } from '../task/types.ts';
import { inspectionOf, type Inspection } from './inspection.ts';
import type { SessionPoolOptions } from './types.ts';

/** What is injected: the world, and the machine of sessions. */
export interface PoolDependencies extends PoolPorts {
  readonly machine: typeof sessionMachine;
}

/** The options of a pool, with every default filled in. */
export interface PoolSettings {
  readonly maxSessions: number;
  readonly reuse: boolean;
  readonly permissions: PermissionPolicy;
  readonly model: string | undefined;
  readonly agent: string | undefined;
  readonly taskTimeoutMs: number | null;
  /** Of tasks that do not name them. */
  readonly taskLimits: TaskLimits;
  readonly prices: PriceTable;
  readonly limits: Partial<SessionLimits>;
  readonly restartLimits: RestartLimits;
  readonly recovers: boolean;
  readonly retriesInterrupted: boolean;
  readonly repeats: boolean;
  /** Present when a server that does not answer may be started again. */
  readonly health: HealthCheck | undefined;
  readonly memory: MemoryCheck;
  readonly maxIdleDirectories: number;
  readonly workspaces: WorkspaceSource | undefined;
  /** Of tasks that name none. */
  readonly workspace: string | undefined;
  readonly inspection: Inspection;
}

/** @throws `CONFIG_KEY_UNKNOWN` for an option that there is not, `CONFIG_INVALID` for a value that an option cannot have */
export function settingsOf(options: SessionPoolOptions, now: () => number): Omit<PoolSettings, 'memory'> {
  assertKnownOptions(options);
  assertLimits(options);
  assertWholeNumbers('health', options.health ?? {});
  assertWholeNumbers('serverMemory', options.serverMemory || {});
  const recovers = options.recovery ?? !(options.server && isRunningServer(options.server));
  if (options.serverMemory && !recovers) throw mayNotRotate();
  assertSource(options);
  const { stallTimeoutMs, askTimeoutMs, maxRetryWaitMs, maxRetries, abortTimeoutMs } = options;
  return {
    maxSessions: options.maxSessions ?? 6,
    reuse: options.sessions === 'reuse',
    permissions: parsePermissionPolicy(options.permissions === undefined ? 'deny' : options.permissions, 'permissions'),
    model: options.model,
    agent: options.agent,
    taskTimeoutMs: options.taskTimeoutMs ?? options.taskLimits?.timeoutMs ?? null,
    taskLimits: parseTaskLimits(options.taskLimits ?? {}, 'taskLimits'),
    prices: parsePrices(options.prices ?? {}, 'prices'),
    limits: withoutUndefined({
      stallTimeoutMs,
      askTimeoutMs,
      maxRetryWaitMs,
      maxRetries,
      abortTimeoutMs,
      runawayEmptySteps: options.runawayEmptyMessages,
      runawayRepetitions: options.runawaySameToolCalls,
      maxAnswerBytes: options.maxAnswerBytes,
    }),
    restartLimits: { ...defaultRestartLimits, ...withoutUndefined(options.restartBudget ?? {}) },
    recovers,
    health: recovers ? { ...defaultHealthCheck, ...withoutUndefined(options.health ?? {}) } : undefined,
    retriesInterrupted: options.onInterrupted !== 'fail',
    repeats: options.repeat !== false,
    // Who may not replace a server may not make it forget anything either.
    maxIdleDirectories: recovers ? (options.maxIdleDirectories ?? 16) : Infinity,
    workspaces: options.workspaces,
    workspace: options.workspaces ? options.workspace : 'shared',
    inspection: inspectionOf(options.inspect, now),
  };
}

const limitNames = [
  'maxSessions',
  'maxIdleDirectories',
  'taskTimeoutMs',
  'stallTimeoutMs',
  'askTimeoutMs',
  'maxRetryWaitMs',
  'maxRetries',
  'abortTimeoutMs',
  'runawayEmptyMessages',
  'runawaySameToolCalls',
  'maxAnswerBytes',
] as const satisfies readonly (keyof SessionPoolOptions)[];

function assertSource({ workspace = 'shared', workspaces }: SessionPoolOptions): void {
  if (workspaces || workspace === 'shared') return;
  throw new OpencodeManagerError(
    'CONFIG_INVALID',
    `workspace: ${workspace} needs a source of workspaces. Give the pool \`workspaces\` too.`,
    {
      details: { field: 'workspace', value: workspace },
    },
  );
}

/** Zero is a limit for waits and retries; slots, deadlines and breakers need at least one. */
const mayBeZero: ReadonlySet<string> = new Set(['maxIdleDirectories', 'maxRetryWaitMs', 'maxRetries', 'askTimeoutMs']);

function assertLimits(options: SessionPoolOptions): void {
  for (const name of limitNames) {
    const value = options[name];
    if (value === undefined || (Number.isInteger(value) && value >= (mayBeZero.has(name) ? 0 : 1))) continue;
    throw new OpencodeManagerError(
      'CONFIG_INVALID',
      `${name}: ${value} is not a whole number of ${mayBeZero.has(name) ? 'zero' : 'one'} or more.`,
      {
        details: { field: name, value: String(value) },
      },
    );
  }
}

/** @throws `CONFIG_INVALID` */
export function assertMaxSessions(maxSessions: number): void {
  assertWholeNumbers('setMaxSessions()', { maxSessions });
}

function assertWholeNumbers(option: string, numbers: object): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (value === undefined || (Number.isInteger(value) && value >= 1)) continue;
    throw new OpencodeManagerError('CONFIG_INVALID', `${option}.${name}: ${value} is not a whole number of one or more.`, {
      details: { field: `${option}.${name}`, value: String(value) },
    });
  }
}

/** When a server is too large. Without a number of the caller's own that depends on what the machine or the container has. */
export async function memoryCheckOf(
  { serverMemory = {} }: SessionPoolOptions,
  recovers: boolean,
  { memoryBudget }: PoolPorts,
): Promise<MemoryCheck> {
  const { maxBytes, checkMs = 5000, minAgeMs = 30_000 } = serverMemory || {};
  if (!serverMemory || !recovers) return { limit: null, checkMs };
  const budget = maxBytes === undefined ? await memoryBudget?.() : { maxBytes };
  return { limit: budget ? { ...budget, minAgeMs } : null, checkMs };
}

function mayNotRotate(): OpencodeManagerError {
  return new OpencodeManagerError('CONFIG_INVALID', 'serverMemory: this pool may not start servers. Create it with recovery: true.', {
    details: { field: 'serverMemory' },
  });
}

/** Whether the option is a running server, not the configuration of one to launch. */
export function isRunningServer(server: OpencodeServer | ServerConfig): server is OpencodeServer {
  return 'exited' in server && 'stop' in server;
}

function withoutUndefined<Value extends object>(value: Value): { [Key in keyof Value]?: NonNullable<Value[Key]> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [Key in keyof Value]?: NonNullable<Value[Key]>;
  };
}
