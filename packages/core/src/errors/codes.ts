import { queueErrors } from './queue-codes.ts';
import { runErrors } from './run-codes.ts';
/**
 * Every error code of the project, with its meaning and its remedy. `docs/errors.md` is generated from this table
 * (`node scripts/docs.mjs`), and a test holds the two together. Add a code here before you throw it.
 */
export const errorCatalogue = {
  // Configuration and files
  CONFIG_INVALID: { meaning: 'An option has a value that cannot be used.', remedy: 'Correct the option that the message names.' },
  CONFIG_KEY_UNKNOWN: { meaning: 'An option does not exist.', remedy: 'Use the name that the message suggests.' },
  DIRECTORY_MISSING: { meaning: 'A directory that was named does not exist or is not a directory.', remedy: 'Create it, or name another.' },
  OPENCODE_CONFIG_INVALID: {
    meaning: 'The opencode configuration is missing, is not JSONC, or opencode refuses it.',
    remedy: 'Correct the file at the place that the message names.',
  },
  CREDENTIALS_MISSING: {
    meaning: 'The key of the configured model is a variable that is not set.',
    remedy: 'Set the variable that the message names; to an empty text, if the provider needs no key.',
  },
  OPENCODE_CONFIG_MISMATCH: {
    meaning: 'The running server does not use the configuration that was written for it.',
    remedy: 'Look for configuration that overrides yours (the message names the field); nothing was sent to a model.',
  },
  AUTH_FILE_INVALID: {
    meaning: 'The auth file is missing or is not a map of provider names to credentials.',
    remedy: 'Name an auth.json as opencode writes it.',
  },
  AUTH_OAUTH_REFUSED: {
    meaning: 'The auth file holds OAuth credentials; their refresh tokens rotate, so a copy would log the original out.',
    remedy: 'Use API keys, or set allowOAuth when this copy may become the only one in use.',
  },
  STATE_DIRECTORY_UNSAFE: {
    meaning:
      'The state directory is no private directory: it lies inside a directory of the user, of their own opencode or of the workspace, others may write it, or it is a file.',
    remedy: 'Name a private directory elsewhere, or leave stateDir unset.',
  },
  STATE_DIRECTORY_FOREIGN: {
    meaning: 'The directory holds something, and no manager has marked it as its state directory; it was left untouched.',
    remedy: 'Name a new or an empty directory.',
  },
  STATE_DIRECTORY_PROTOCOL: {
    meaning:
      'The state directory holds sessions of another generation of opencode (1.x, 2.x) than the binary: opencode 2 would convert them one way. Nothing was started or changed.',
    remedy: 'Name another state directory, or a binary of the generation that the message names.',
  },
  STATE_DIRECTORY_LOCKED: {
    meaning: 'Another manager runs on this state directory, in this container or in another one.',
    remedy: 'Stop that manager, or use another state directory.',
  },
  STATE_DIRECTORY_UNWRITABLE: {
    meaning: 'The state directory cannot be created or written.',
    remedy: 'Check its permissions and free space, or name another.',
  },
  STATE_DIRECTORY_FULL: {
    meaning: 'The file system that holds the state directory is full, so the server cannot start or cannot work.',
    remedy: 'Free some space there, or name a state directory elsewhere.',
  },
  RESOURCES_EXHAUSTED: {
    meaning: 'The system gave no more file descriptors, processes or memory.',
    remedy: 'Raise the limit that the message names (ulimit, the limits of the container), or run less at once.',
  },
  SHELL_MISSING: {
    meaning: 'No POSIX shell was found; one cleans up after a manager that is killed.',
    remedy: 'Put a directory that has sh on PATH.',
  },
  PART_UNAVAILABLE: {
    meaning:
      'A custom tool keeps opencode from running any turn; or, with strict, a configured provider, agent, MCP server, plugin or tool does not work.',
    remedy: 'Mend what the message names, turn it off in the configuration, or go without strict.',
  },
  PACKAGE_UNAVAILABLE: {
    meaning:
      'A plugin, a package of a provider or what an MCP server runs has to be fetched, and could not be, or was not allowed to be (offline).',
    remedy:
      'Look at the registry and the network of the server (npm_config_registry, proxies), or install it beforehand and name its path.',
  },
  WORKSPACE_UNTRUSTED: {
    meaning:
      'The workspace carries opencode plugins, which would run as code inside the server; or it lies outside git below a directory into which others can write such plugins.',
    remedy: "Remove them, or set projectConfig to 'all' when you trust this workspace; outside git, run git init in it.",
  },
  WORKSPACE_CHANGED: {
    meaning: 'What opencode would load as code or configuration in the workspace has changed since its first use; nothing was sent.',
    remedy:
      'Look at the files that the message names. Put them back, or accept them with checkWorkspace(directory, { acceptChanges: true }).',
  },
  WORKSPACE_UNREADABLE: {
    meaning:
      'The workspace holds a file that opencode would load and that is no regular file (a FIFO, a device), or its file system does not answer; nothing was sent.',
    remedy: 'Remove the file that the message names, or check the file system.',
  },
  PLATFORM_UNSUPPORTED: {
    meaning: 'This operating system or this version of Node is not supported.',
    remedy: 'Use Linux or macOS (on Windows: WSL 2), and Node 22.19 or newer.',
  },
  // The binary and the process
  BINARY_NOT_FOUND: {
    meaning: 'No opencode binary was found, or the one that was named does not exist.',
    remedy: 'Install it (npm install opencode-ai), or name it with the option binary or OPENCODE_BIN.',
  },
  BINARY_UNUSABLE: {
    meaning: 'The opencode binary cannot be run or does not say its version.',
    remedy: 'Run it by hand with --version; install it again if that fails.',
  },
  VERSION_UNSUPPORTED: {
    meaning: 'The opencode binary has a major version that this manager does not speak.',
    remedy: 'Install a version from the range that the message names.',
  },
  PROTOCOL_UNSUPPORTED: {
    meaning: 'The protocol that this version of opencode speaks has nothing for what was asked.',
    remedy: 'Look at server.capabilities first, or use a version of opencode that has it.',
  },
  PORT_IN_USE: { meaning: 'The port that was asked for is taken.', remedy: 'Name another port, or 0 for a free one.' },
  SERVER_START_FAILED: {
    meaning: 'The opencode server ended or answered wrongly while it started.',
    remedy: "Read the output's tail in the error.",
  },
  SERVER_START_TIMEOUT: {
    meaning: 'The opencode server was not ready in time.',
    remedy: "Read the output's tail in the error; raise startupTimeoutMs on a slow machine.",
  },
  SERVER_EXITED: {
    meaning: 'The opencode server ended while it was in use.',
    remedy: "Read the output's tail in the error; start a new server.",
  },
  SERVER_UNRESPONSIVE: {
    meaning: 'The opencode server runs and has not answered for too long.',
    remedy: "Read the output's tail in the error; look for what blocks the server or its machine.",
  },
  SERVER_STOP_INCOMPLETE: {
    meaning: 'Something of the server was still there after it was stopped.',
    remedy: 'End the processes that the message names.',
  },
  // Requests
  REQUEST_TIMEOUT: {
    meaning: 'The server did not answer within the deadline; whether it acted is unknown.',
    remedy: 'Read the state back before sending again; raise the deadline for slow work.',
  },
  REQUEST_ABORTED: { meaning: 'The caller aborted the call.', remedy: 'Nothing: this is the answer to your signal.' },
  CONNECTION_LOST: {
    meaning: 'The connection to the server failed before an answer came; whether it acted is unknown.',
    remedy: 'Check whether the server runs; read the state back before sending again.',
  },
  RESPONSE_INVALID: {
    meaning: 'The answer is not what this route gives (opencode answers unknown routes with a web page).',
    remedy: 'Check the version of opencode with ocm doctor.',
  },
  BAD_REQUEST: { meaning: 'The server refused the request as malformed.', remedy: 'Correct the field that the message names.' },
  UNAUTHORIZED: {
    meaning: 'The server did not accept the credentials.',
    remedy: 'Use credentials() of the server that this url belongs to.',
  },
  NOT_FOUND: { meaning: 'The server does not know what was asked for.', remedy: 'Check the id.' },
  SESSION_BUSY: {
    meaning: 'The session has a turn in flight and opencode refuses this operation meanwhile.',
    remedy: 'Wait for the turn or abort it first.',
  },
  SERVER_ERROR: { meaning: 'The server answered with an internal error.', remedy: "Look the reference up in the server's log." },
  // Sessions and turns
  PROMPT_INVALID: {
    meaning:
      'A prompt, command or shell line is empty, too large or holds NUL bytes, the URL of a file is malformed, or opencode 2 cannot read a file.',
    remedy: 'Correct the text or the file; the message names what is wrong with it.',
  },
  DIRECTORY_MISMATCH: {
    meaning: 'The server reports another directory for the session than the one asked for.',
    remedy: "Name the real path of the session's own directory; the session was not used.",
  },
  MODEL_UNKNOWN: {
    meaning: 'No provider of this server has the model.',
    remedy: 'Use one of the models that the message lists, or add the provider to the opencode configuration.',
  },
  AGENT_UNKNOWN: { meaning: 'The server knows no agent of this name.', remedy: 'Use one of the agents that the message lists.' },
  COMMAND_UNKNOWN: { meaning: 'The server knows no command of this name.', remedy: 'Use one of the commands that the message lists.' },
  MESSAGE_UNKNOWN: { meaning: 'The session has no message with this id.', remedy: 'Take an id from messages().' },
  SNAPSHOTS_OFF: {
    meaning: 'The server runs without snapshots, so nothing can be reverted or compared.',
    remedy: "Launch with profile 'interactive'.",
  },
  REVERT_OUTSIDE_GIT: {
    meaning: "The session's directory is not in a git repository, so opencode would restore no files.",
    remedy: 'Work in a git repository.',
  },
  TURN_FAILED: {
    meaning: 'The turn ended with an error of the model, its provider or a tool.',
    remedy: 'Read the message; the details carry what the provider said.',
  },
  TURN_TIMEOUT: { meaning: 'The turn was not over in time.', remedy: 'Raise the timeout, or abort the session.' },
  TURN_ABORTED: { meaning: 'The turn was aborted.', remedy: 'Nothing: this is the answer to your abort.' },
  TURN_STALLED: {
    meaning: 'A busy turn showed no sign of progress for too long.',
    remedy: 'Raise stallTimeoutMs for slow models or tools; look at the provider otherwise.',
  },
  TURN_RUNAWAY: {
    meaning: 'The turn went round in circles: empty answers or the same tool call again and again.',
    remedy: "Look at the provider's stream (it ends without a finish reason), or at the prompt.",
  },
  TURN_INTERRUPTED: {
    meaning: 'The turn stopped without an answer, and nobody here aborted it.',
    remedy: 'Run the task again; look at the server for a restart or another client.',
  },
  SHELL_FAILED: {
    meaning: 'A shell line ended with another exit code than 0, or with none: its syntax is wrong, or its shell was ended.',
    remedy: 'Read what the line printed. Append || true to a line whose failure does not matter.',
  },
  QUOTA_EXHAUSTED: {
    meaning: 'The provider refuses work until a quota is free again.',
    remedy: 'Run the task again after reset_at, or with another model.',
  },
  INPUT_NEEDED: {
    meaning: 'The turn asked for a permission or an answer that nobody gave.',
    remedy: 'Add the rule that the message names to the permissions, or answer the ask in time.',
  },
  ANSWER_EMPTY: {
    meaning: 'The model ended its turn without text.',
    remedy: "Run the task again; set emptyAnswer to 'allow' for work whose result is in files.",
  },
  ANSWER_TRUNCATED: {
    meaning: 'The answer was cut off at the limit of output tokens; reasoning counts too.',
    remedy: "Raise the model's output limit, or ask for less in one turn.",
  },
  ANSWER_FILTERED: {
    meaning: "The provider's content filter ended the answer.",
    remedy: 'Read what the session has so far; change the prompt, or use another model.',
  },
  OUTPUT_INVALID: {
    meaning: 'The answer of a task did not fit its output schema, after the model was told twice what is wrong.',
    remedy: 'Read the errors in the details and the answer in the result; ask for the JSON in the prompt, or change the schema.',
  },
  OUTPUT_SCHEMA_INVALID: {
    meaning: 'The output schema of a task is no JSON Schema that can be used.',
    remedy: 'Correct it as the message says; nothing was started.',
  },
  ANSWER_TOO_LARGE: {
    meaning: 'The model said more in one turn than maxAnswerBytes allows (text and reasoning); the turn was aborted.',
    remedy: 'Let it write to a file, or ask for less in one turn; raise maxAnswerBytes where the server has the memory.',
  },
  SESSION_ACTOR_FAILED: {
    meaning: 'The actor of a session failed; the session is not used again.',
    remedy: 'Read the cause; report it with the version.',
  },
  REVERT_CONFLICT: {
    meaning: 'A revert would also take back work of others: another session worked there, or files were changed since.',
    remedy: 'Look at the sessions and files in the details; revert with force: true when they may be lost.',
  },
  ABORT_UNCONFIRMED: {
    meaning: 'The session did not become idle after an abort.',
    remedy: 'Do not use the session again; stop the server if others must go on.',
  },
  // Events
  STREAM_UNAVAILABLE: {
    meaning: 'The event stream could not be opened.',
    remedy: 'Check that the server runs and that the credentials are its own.',
  },
  STREAM_WORKER_LOST: {
    meaning: 'The thread that reads the event stream ended again and again.',
    remedy: 'Read the cause; report it with the version.',
  },
  MONITOR_CLOSED: { meaning: 'The event monitor was closed.', remedy: 'Open a new one.' },
  // Pool and tasks
  TASK_INVALID: { meaning: 'A task cannot be run as it is written.', remedy: 'Correct the field that the message names.' },
  TASK_DUPLICATE: { meaning: 'Two tasks have the same id.', remedy: 'Give each task an id of its own.' },
  TASK_ORDER_INVALID: {
    meaning: 'A task comes after one that does not exist, or tasks wait for each other.',
    remedy: 'Correct the field after of the tasks that the message names.',
  },
  TASKS_CHANGED: {
    meaning: 'Tasks of the run ask for something else than when the run began; nothing was started.',
    remedy: 'Put them back, or say what to do with --changed rerun or --changed keep; a new id makes a new task.',
  },
  TASK_UNKNOWN: { meaning: 'The run has no task of this key.', remedy: 'Use a key that the task file has.' },
  MODEL_UNPRICED: {
    meaning: 'A limit in US dollars was set, and the price of a model is not known.',
    remedy: 'Give its price (prices of the pool, --prices FILE), or run it without such a limit, or with --allow-unpriced.',
  },
  BUDGET_SPENT: {
    meaning:
      'A task or a run has used the steps, tokens or money that it may use; a task was stopped after the step that reached the limit.',
    remedy: 'Raise the limit that the message names, or make the task smaller; a resume runs again what a raised limit lets run.',
  },
  PROVIDER_UNKNOWN: { meaning: 'No task of the run asks this provider.', remedy: 'Use one that the message names.' },
  POISON_TASK: {
    meaning: 'The server died again and again while this task was in flight, at last when it ran alone.',
    remedy: "Look at what the task makes the server do (memory, files, tools); the output's tail of the server tells more.",
  },
  POOL_STOPPED: { meaning: 'The pool is stopped or draining and takes no new work.', remedy: 'Create a new pool.' },
  RESTART_BUDGET_SPENT: {
    meaning: 'Restarts failed too often within the time window.',
    remedy: "Read the cause and the output's tail, remove the reason, start again.",
  },
  // Workspaces
  GIT_UNUSABLE: { meaning: 'git was not found, or is too old.', remedy: 'Install git 2.34 or newer and put it on PATH.' },
  WORKSPACE_SOURCE_INVALID: {
    meaning:
      'No workspace can be made of this source: it is no git repository, has no commit or not the base that was named, or cannot be written.',
    remedy: 'Name a repository with a commit and a base that it has and that this user can write, or use another mode.',
  },
  WORKSPACE_TOO_LARGE: {
    meaning: 'The directory is larger than what may be copied for each task.',
    remedy: "Use mode 'clone' or 'worktree', or raise limits.copyBytes.",
  },
  WORKSPACE_ROOT_UNSAFE: {
    meaning: 'The directory for workspaces cannot be used: others may write there, it lies inside the source, or it cannot be created.',
    remedy: 'Name another directory with the option root.',
  },
  WORKSPACE_LOCKED: {
    meaning: 'Another process uses the same run directory.',
    remedy: 'Wait for it, or use another run.',
  },
  WORKSPACE_CREATE_FAILED: {
    meaning: 'git could not make the workspace; nothing was left behind.',
    remedy: 'Correct what the error names, and acquire again.',
  },
  WORKSPACE_SETUP_FAILED: {
    meaning: 'The setup command of a workspace failed or took too long; nothing was sent to a model.',
    remedy: 'Read the log that the message names; run the command by hand in a fresh clone.',
  },
  WORKSPACE_NOT_READY: {
    meaning: 'The ready command of a workspace failed after its setup; nothing was sent to a model.',
    remedy: 'Read the log that the message names; correct the setup or the command.',
  },
  WORKSPACE_CAPTURE_FAILED: {
    meaning: 'The result of a workspace could not be taken; the workspace was left as it is.',
    remedy: 'Correct what the error names, and capture again.',
  },
  WORKSPACE_STILL_CHANGING: {
    meaning: 'Files of a workspace changed while its result was taken, so something still writes there.',
    remedy: 'End what still runs in the workspace, and capture again.',
  },
  WORKSPACE_GONE: {
    meaning: 'A workspace, or the directory of its run, was removed or replaced by somebody else.',
    remedy: 'Acquire a new one; look for what removes directories beside the repository.',
  },
  WORKSPACES_CLOSED: { meaning: 'The workspaces of this run are closed.', remedy: 'Open them again.' },
  // Runs
  ...runErrors,
  // Queue of many hosts
  ...queueErrors,
  // Command line and manager socket
  USAGE: { meaning: 'The command line cannot be understood.', remedy: 'Read ocm help for the command.' },
  OUTPUT_UNUSABLE: {
    meaning: 'An output of ocm run cannot be written, is one of its inputs, or holds something already; nothing was started.',
    remedy: 'Name another place. A file of --out that holds something is kept with --append, and emptied with --overwrite.',
  },
  OUTPUT_LOST: {
    meaning: 'Something that was to be written to an output could not be, for example because its disk was full.',
    remedy: 'Make room, and run the tasks again whose results the message names; what could be written is whole.',
  },
  MANAGER_NOT_FOUND: { meaning: 'No running manager was found.', remedy: 'Start one with ocm serve, or name its process id.' },
  MANAGER_INCOMPATIBLE: {
    meaning: 'The running manager speaks another version of the protocol of its socket than this ocm.',
    remedy: 'Use the ocm that started the manager, or start the manager again with this one.',
  },
  PLAYGROUND_UNAVAILABLE: {
    meaning: 'The page of the playground is missing, or it cannot be served.',
    remedy: 'Install the package again, or build it from a clone with npm run build.',
  },
  // Testing
  SCRIPT_INVALID: { meaning: 'A script of the scripted model cannot be used.', remedy: 'Correct the rule that the message names.' },
  INTERNAL: { meaning: 'Something happened that the program does not expect.', remedy: 'Report it with the message and its cause.' },
} as const satisfies Record<string, { meaning: string; remedy: string }>;

/** The `code` of an {@link OpencodeManagerError}; `docs/errors.md` explains each. */
export type ErrorCode = keyof typeof errorCatalogue;
