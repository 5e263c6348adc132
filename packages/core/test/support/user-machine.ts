import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { launchServer, type OpencodeServer, type ServerConfig } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace, type ScriptedModel, type TemporaryWorkspace } from '@opencode-manager/testing';
import { vi } from 'vitest';
import { privateRoot } from './private-root.ts';

/** A user with a home and programs of their own, a server that they start, and the ways in which it runs programs for an agent. */
export interface UserMachine extends AsyncDisposable {
  readonly home: string;
  /** First on PATH. */
  readonly bin: string;
  readonly root: string;
  readonly server: OpencodeServer;
  readonly model: ScriptedModel;
  readonly workspace: TemporaryWorkspace;
  /** What a line prints when the model has it run with the bash tool. */
  tool(line: string, directory?: string): Promise<string>;
  /** What a shell line prints. */
  shell(line: string): Promise<string>;
  /** What a line prints as the shell part of a command template. */
  template(line: string): Promise<string>;
  /** The environment of the MCP server `look`. */
  mcp(): Promise<Record<string, string>>;
}

export interface MachineOptions {
  /** Files of the home, by path below it; a script when it begins with `#!`. */
  readonly home?: Readonly<Record<string, string>>;
  /** Files of `root/given`, for an `opencodeConfigDir`. */
  readonly given?: Readonly<Record<string, string>>;
  /** Providers beside the scripted one. */
  readonly providers?: Readonly<Record<string, object>>;
  /** Programs on PATH. */
  readonly programs?: Readonly<Record<string, string>>;
  /** Files of the workspace. */
  readonly files?: Record<string, string>;
  /** Variables of the user's shell on top of HOME and PATH; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly config?: ServerConfig | ((machine: { readonly root: string; readonly home: string }) => ServerConfig);
}

const rules = [
  { when: { user: { matches: '^run ' }, toolResult: '' }, reply: 'printed\n{{toolResult}}' },
  {
    when: { user: { matches: '^run ([\\s\\S]+)$' } },
    reply: { toolCalls: [{ name: 'bash', arguments: { command: '{{user.1}}', description: 'run' } }] },
  },
  { when: { user: { matches: '^greet ' }, toolResult: '' }, reply: 'printed\n{{toolResult}}' },
  { when: { user: { matches: '^greet (.+)$' } }, reply: { toolCalls: [{ name: 'greet', arguments: { name: '{{user.1}}' } }] } },
  { when: { user: { matches: '^write ' }, toolResult: '' }, reply: 'Written.' },
  {
    when: { user: { matches: '^write (.+)$' } },
    reply: { toolCalls: [{ name: 'write', arguments: { filePath: '{{user.1}}', content: 'as the model wrote it\n' } }] },
  },
  { when: { user: { matches: '^printed' } }, reply: '{{user}}' },
];

/** What the machine that runs the tests may say of itself. */
const variables =
  'XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_STATE_HOME XDG_RUNTIME_DIR GIT_CONFIG_GLOBAL RUSTUP_HOME NVM_DIR PYENV_ROOT CARGO_HOME HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy'.split(
    ' ',
  );

/** HOME, PATH and the like of this process are the user's until the machine is gone. */
export async function userMachine(options: MachineOptions = {}): Promise<UserMachine> {
  await using stack = new AsyncDisposableStack();
  const { path: root } = stack.use(await privateRoot());
  const [home, bin] = [join(root, 'home'), join(root, 'bin')];
  await writeFiles(home, options.home ?? {});
  await writeFiles(bin, options.programs ?? {});
  await writeFiles(join(root, 'given'), options.given ?? {});
  stack.defer(() => void vi.unstubAllEnvs());
  for (const name of variables) vi.stubEnv(name, undefined);
  const own = { HOME: home, SHELL: '/bin/bash', PATH: `${bin}:${process.env['PATH'] ?? ''}`, GIT_CONFIG_NOSYSTEM: '1', ...options.env };
  for (const [name, value] of Object.entries(own)) vi.stubEnv(name, value);
  const model = stack.use(await startScriptedModel({ rules }));
  const workspace = stack.use(await temporaryWorkspace({ files: options.files ?? { 'readme.txt': 'first\n' } }));
  const seenByMcp = join(root, 'mcp');
  const { opencodeConfig, ...rest } = typeof options.config === 'function' ? options.config({ root, home }) : (options.config ?? {});
  const scripted = model.opencodeConfig();
  const providers = { ...scripted.provider, ...options.providers };
  const server = stack.use(
    await launchServer({
      directory: workspace.path,
      opencodeConfig: {
        ...scripted,
        provider: providers,
        enabled_providers: Object.keys(providers),
        command: { printed: { template: 'printed\n!`$ARGUMENTS`' } },
        mcp: { look: { type: 'local', command: ['/bin/sh', '-c', `env -0 > ${seenByMcp}`] } },
        ...(opencodeConfig as object | undefined),
      },
      ...rest,
    }),
  );
  const printed = (text: string) => text.replace(/^printed\n/, '').trimEnd();
  const owned = stack.move();
  return {
    root,
    home,
    bin,
    server,
    model,
    workspace,
    async tool(line, directory) {
      const session = await server.createSession({ permissions: 'allow', ...(directory !== undefined && { directory }) });
      return printed((await session.prompt(`run ${line}`)).text);
    },
    shell: async (line) => printed((await (await server.createSession()).executeShell(line)).text),
    template: async (line) => printed((await (await server.createSession()).executeCommand('printed', line)).text),
    async mcp() {
      await server.catalogue();
      const entries = (await readFile(seenByMcp, 'utf8')).split('\0').filter((entry) => entry !== '');
      return Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s, 2) as [string, string]));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function writeFiles(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(root, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    if (text.startsWith('#!')) await chmod(path, 0o755);
  }
}
