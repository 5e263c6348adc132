import type { ErrorCode } from '@opencode-manager/core/errors';

/** Exit codes of every command; stable, documented in `docs/cli.md`. */
export const exitCodes = {
  /** All succeeded. */
  ok: 0,
  /** Some task ended otherwise, or a check failed. */
  failed: 1,
  /** Usage, configuration, a bad task line, a duplicate id, a missing directory, a refused workspace. */
  usage: 2,
  /** A limit of the whole run ended it: the tasks that are left were not started. */
  overBudget: 3,
  /** No model or no credentials, known before the first prompt. */
  noModel: 4,
  /** The server could not start, or was lost too often. */
  noServer: 5,
  /** The files of a run have no room, or are gone. */
  storage: 6,
  /** `ocm wait --timeout`: the run goes on. As timeout(1) has it. */
  stillRunning: 124,
  /** After SIGINT. */
  interrupted: 130,
  /** After SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const codesByError: Partial<Record<ErrorCode, ExitCode>> = {
  USAGE: exitCodes.usage,
  CONFIG_INVALID: exitCodes.usage,
  CONFIG_KEY_UNKNOWN: exitCodes.usage,
  DIRECTORY_MISSING: exitCodes.usage,
  OPENCODE_CONFIG_INVALID: exitCodes.usage,
  AUTH_FILE_INVALID: exitCodes.usage,
  AUTH_OAUTH_REFUSED: exitCodes.usage,
  STATE_DIRECTORY_UNSAFE: exitCodes.usage,
  STATE_DIRECTORY_FOREIGN: exitCodes.usage,
  STATE_DIRECTORY_PROTOCOL: exitCodes.usage,
  STATE_DIRECTORY_LOCKED: exitCodes.usage,
  STATE_DIRECTORY_UNWRITABLE: exitCodes.usage,
  STATE_DIRECTORY_FULL: exitCodes.usage,
  WORKSPACE_UNTRUSTED: exitCodes.usage,
  OUTPUT_UNUSABLE: exitCodes.usage,
  WORKSPACE_CHANGED: exitCodes.usage,
  WORKSPACE_UNREADABLE: exitCodes.usage,
  WORKSPACE_SOURCE_INVALID: exitCodes.usage,
  WORKSPACE_ROOT_UNSAFE: exitCodes.usage,
  WORKSPACE_TOO_LARGE: exitCodes.usage,
  GIT_UNUSABLE: exitCodes.usage,
  PLATFORM_UNSUPPORTED: exitCodes.usage,
  PROTOCOL_UNSUPPORTED: exitCodes.usage,
  AGENT_UNKNOWN: exitCodes.usage,
  COMMAND_UNKNOWN: exitCodes.usage,
  PROMPT_INVALID: exitCodes.usage,
  TASK_INVALID: exitCodes.usage,
  TASK_DUPLICATE: exitCodes.usage,
  RUN_DIRECTORY_UNSAFE: exitCodes.usage,
  RUN_EXISTS: exitCodes.usage,
  RUN_GONE: exitCodes.storage,
  RUN_LOCKED: exitCodes.usage,
  RUN_NOT_LIVE: exitCodes.usage,
  RUN_PROTOCOL: exitCodes.usage,
  RUN_UNSUITED: exitCodes.usage,
  QUEUE_UNSUITED: exitCodes.usage,
  QUEUE_RUN_DIFFERS: exitCodes.usage,
  QUEUE_UNUSABLE: exitCodes.usage,
  RUN_STORAGE_FULL: exitCodes.storage,
  RUN_UNKNOWN: exitCodes.usage,
  RUN_UNREADABLE: exitCodes.usage,
  TASKS_CHANGED: exitCodes.usage,
  TASK_ORDER_INVALID: exitCodes.usage,
  TASK_UNKNOWN: exitCodes.usage,
  PROVIDER_UNKNOWN: exitCodes.usage,
  SCRIPT_INVALID: exitCodes.usage,
  MANAGER_NOT_FOUND: exitCodes.usage,
  MANAGER_INCOMPATIBLE: exitCodes.usage,
  BUDGET_SPENT: exitCodes.overBudget,
  MODEL_UNPRICED: exitCodes.usage,
  MODEL_UNKNOWN: exitCodes.noModel,
  CREDENTIALS_MISSING: exitCodes.noModel,
  RESOURCES_EXHAUSTED: exitCodes.noServer,
  SHELL_MISSING: exitCodes.noServer,
  BINARY_NOT_FOUND: exitCodes.noServer,
  BINARY_UNUSABLE: exitCodes.noServer,
  VERSION_UNSUPPORTED: exitCodes.noServer,
  PORT_IN_USE: exitCodes.noServer,
  OPENCODE_CONFIG_MISMATCH: exitCodes.noServer,
  SERVER_START_FAILED: exitCodes.noServer,
  SERVER_START_TIMEOUT: exitCodes.noServer,
  SERVER_EXITED: exitCodes.noServer,
  RESTART_BUDGET_SPENT: exitCodes.noServer,
  PACKAGE_UNAVAILABLE: exitCodes.noServer,
  PART_UNAVAILABLE: exitCodes.noServer,
};

/** The exit code of a command that ended with an error of this code. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  return codesByError[code] ?? exitCodes.failed;
}
