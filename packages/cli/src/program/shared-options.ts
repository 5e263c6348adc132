import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';

/** Flags that say which server is started and with what; the same on every command that starts one. */
export interface ServerFlags {
  readonly directory?: string;
  readonly opencodeConfig?: string;
  readonly opencodeConfigDir?: string;
  readonly config?: string;
  readonly binary?: string;
  readonly stateDir?: string;
  readonly port?: string;
  readonly profile?: string;
  readonly projectConfig?: string;
  readonly authFile?: string;
  readonly allowOauth?: boolean;
  readonly passEnv?: string[];
  readonly passProviderKeys?: boolean;
  readonly toolHome?: string;
  readonly git?: string;
  readonly offline?: boolean;
  readonly strict?: boolean;
  readonly startupTimeout?: string;
}

/** Flags of the sessions that work on the server. */
export interface TurnFlags {
  readonly concurrency?: string;
  readonly model?: string;
  readonly agent?: string;
  readonly timeout?: string;
  readonly permissions?: string;
  readonly maxServerMemory?: string;
  readonly maxIdleDirectories?: string;
}

export interface JsonFlag {
  readonly json?: boolean;
}

/** Which of several running managers is meant. */
export interface ManagerFlag {
  readonly manager?: string;
}

export function addTurnOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Turns:')
    .option('--concurrency <n>', 'turns at once (default: 6)')
    .option('--model <provider/model>', "model of tasks that name none (default: the opencode configuration's)")
    .option('--agent <name>', 'agent of tasks that name none')
    .option('--timeout <duration>', 'deadline of each turn, such as 90s or 5m')
    .option('--permissions <policy>', 'deny, allow, or a JSONC file with a list of rules (default: deny)')
    .option(
      '--max-server-memory <size>',
      'replace the server when its process grows above this, such as 2GiB; its turns finish first; off: never (default: 6 GB or 70 % of the memory there is)',
    )
    .option('--max-idle-directories <n>', 'directories without a turn that the server keeps besides its own (default: 16)');
}

export function addServerOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Server:')
    .option('--directory <dir>', 'the workspace (default: the current directory)')
    .option('--opencode-config <file>', "opencode's own configuration, JSON or JSONC")
    .option('--opencode-config-dir <dir>', 'agents, commands and plugins for opencode; copied, not used in place')
    .option('--config <file>', 'options of the server as JSON or JSONC; flags win over it')
    .option('--binary <path>', 'opencode binary (default: OPENCODE_BIN, PATH, the package opencode-ai)')
    .option('--state-dir <dir>', 'private state of the server, kept afterwards (default: a temporary one)')
    .option('--port <n>', 'port of the server (default: a free one)')
    .addOption(
      new Option('--profile <name>', 'batch: fast; interactive: with snapshots, so that revert works').choices(['batch', 'interactive']),
    )
    .addOption(
      new Option('--project-config <what>', "what of the workspace's own configuration counts; all runs its plugins").choices([
        'instructions',
        'all',
        'none',
      ]),
    )
    .option('--auth-file <file>', 'an auth.json as opencode writes it; copied')
    .option('--allow-oauth', 'accept OAuth entries in it (the original is logged out when the copy refreshes)')
    .option('--pass-env <name>', 'a variable that the server gets, such as ANTHROPIC_API_KEY; repeat it for more', collect)
    .option('--pass-provider-keys', 'pass every variable that is well known as a provider key')
    .addOption(
      new Option('--tool-home <which>', 'home of tools, shell lines and MCP servers: private, or yours with its credentials').choices([
        'private',
        'user',
      ]),
    )
    .addOption(
      new Option('--git <whose>', 'git configuration of tools: user (your name, filters, trusted directories) or private (none)').choices([
        'user',
        'private',
      ]),
    )
    .option('--offline', 'refuse a configuration whose plugins, providers or MCP servers would have to be fetched')
    .option('--strict', 'a configured plugin or package that is missing after the start is an error')
    .option('--startup-timeout <duration>', 'deadline of the start (default: 30s, 2m with packages to install)');
}

export function addJsonOption(command: CommandUnknownOpts): void {
  command.optionsGroup('Output:').option('--json', 'print JSON Lines on stdout');
}

/** A page that shows the run. */
export function addPageOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Playground:')
    .option('--playground', 'show the run in a page on this machine, and print its address')
    .option('--open', 'open it in the default browser');
  addPageRights(command);
}

/** What a page of a real run may see and do. */
export function addPageRights(command: CommandUnknownOpts): void {
  command
    .option('--allow-control', 'let the page send events: prompts, aborts, answers, faults')
    .option('--content', 'show prompts and model text on the page');
}

export function addManagerOption(command: CommandUnknownOpts): void {
  command.optionsGroup('Manager:').option('--manager <pid>', 'process id of the manager, when several run');
}

/** Not a variadic option: that would take the task file after it for another name. */
function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}
