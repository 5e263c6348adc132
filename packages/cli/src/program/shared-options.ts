import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';

export function addTurnOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Turns:')
    .option('-c, --concurrency <n>', 'turns that run at once (default: 6)')
    .option('-m, --model <provider/model>', "model of tasks without one (default: the opencode configuration's)")
    .option('--agent <name>', 'agent of tasks without one')
    .option('--timeout <duration>', 'timeout of each turn, such as 90s or 5m')
    .option('--permissions <policy>', 'deny, allow, or a JSONC file with a list of rules (default: deny)')
    .option('--max-answer <size>', 'abort a turn that says more than this (default: 16MB)')
    .option(
      '--max-server-memory <size>',
      'replace the server when its memory exceeds this, such as 2GiB; running turns finish first; off: never (default: 6 GB or 70 % of the memory there is)',
    )
    .option('--max-idle-directories <n>', 'idle directories that the server keeps loaded (default: 16)');
}

/** What each task may take. */
export function addTaskLimitOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Limits:')
    .option('--task-working <duration>', 'longest work of a task: waits for its provider and for answers do not count')
    .option('--task-stall <duration>', 'longest silence of a task (default: 5m)')
    .option('--task-steps <n>', 'most steps of the model for a task, its sub-agents included')
    .option('--task-tokens <n>', 'most tokens of a task')
    .option('--task-usd <amount>', 'most that a task may cost, in US dollars');
}

export function addServerOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Server:')
    .option('-d, --directory <dir>', 'the workspace (default: the current directory)')
    .option('--opencode-config <file>', "opencode's own configuration, JSON or JSONC")
    .option('--opencode-config-dir <dir>', 'directory with agents, commands and plugins for opencode; a copy is used')
    .option('--config <file>', 'server options as JSON or JSONC; flags override it')
    .option('--binary <path>', 'opencode binary (default: OPENCODE_BIN, PATH, the package opencode-ai)')
    .option('--state-dir <dir>', 'directory for the state of the server; kept afterwards (default: temporary)')
    .option('--port <n>', 'port of the server (default: a free one)')
    .addOption(
      new Option('--profile <name>', 'batch is fast; interactive has snapshots, which revert needs').choices(['batch', 'interactive']),
    )
    .addOption(
      new Option('--project-config <what>', 'which configuration of the workspace to use; all also runs its plugins').choices([
        'instructions',
        'all',
        'none',
      ]),
    )
    .option('--auth-file <file>', 'an auth.json of opencode; a copy is used')
    .option('--allow-oauth', 'accept OAuth entries in it; the original is logged out when the copy refreshes')
    .option('--pass-env <name>', 'pass this environment variable to the server, such as ANTHROPIC_API_KEY; repeatable', collect)
    .option('--pass-provider-keys', 'pass all well-known provider keys that are set')
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
    .option('--strict', 'a configured provider, agent, MCP server, plugin or tool that does not work is an error')
    .option('--startup-timeout <duration>', 'timeout of the server start (default: 30s, 2m with packages to install)');
}

/** `isLong`: words that follow may be options of another program, so no letter is taken from them. */
export function addJsonOption(command: CommandUnknownOpts, isLong = false): void {
  command.optionsGroup('Output:').option(isLong ? '--json' : '-j, --json', 'print JSON Lines on stdout');
}

/** A page that shows the run. */
export function addPageOptions(command: CommandUnknownOpts): void {
  command
    .optionsGroup('Playground:')
    .option('--playground', 'show the run in a browser page on this machine; prints its address')
    .option('--open', 'open it in the default browser');
  addPageRights(command);
}

/** What a page of a real run may see and do. */
export function addPageRights(command: CommandUnknownOpts): void {
  command
    .option('--allow-control', 'let the page send prompts, aborts, answers and faults')
    .option('--content', 'show prompts and model text on the page');
}

export function addManagerOption(command: CommandUnknownOpts): void {
  command.optionsGroup('Manager:').option('--manager <pid>', 'process id of the manager, if several run');
}

/** Not a variadic option: that would take the task file after it for another name. */
export function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}
