import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as wait } from 'node:timers/promises';
import type { OpencodeConfig } from '../config/index.ts';
import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { McpServerState, ServerCalls } from '../protocol/index.ts';
import { rememberReads } from './shared-reads.ts';

/** Something that the configuration asks for in the server's own directory, and what became of it. @public */
export interface ConfiguredPart {
  readonly kind: 'provider' | 'agent' | 'mcp' | 'plugin' | 'tool';
  /** As it is configured; of a file its name. */
  readonly name: string;
  /** `starting`: an MCP server that has not answered yet. `unknown`: nothing tells. */
  readonly status: 'alive' | 'starting' | 'failed' | 'disabled' | 'unknown';
  /** Why it is not alive. */
  readonly reason?: string;
}

export interface PartsOptions extends CallOptions {
  /** Waits for MCP servers that are starting, as long as opencode does. Default false. */
  readonly settled?: boolean;
}

/** What was written for a server, and what was heard of it at its start. */
export interface WrittenParts {
  readonly config: OpencodeConfig;
  readonly providers: readonly string[];
  /** The copy of the user's configuration directory. */
  readonly configDirectory: string;
  /** What opencode said of plugins when it met the directory. */
  readonly saidOfPlugins: readonly string[];
}

/** @throws `CONNECTION_LOST`, `REQUEST_TIMEOUT`, `REQUEST_ABORTED` */
export type PartsReader = (options?: PartsOptions) => Promise<readonly ConfiguredPart[]>;

type McpAnswer = Readonly<Record<string, McpServerState>>;
type State = Pick<ConfiguredPart, 'status' | 'reason'>;

/** opencode gives an MCP server 30 s (`mcp.X.timeout`), and answers when each has come up or has not. */
const mcpTimeoutMs = 90_000;

/** A server that is up by then is told as such, in milliseconds. */
const mcpPatienceMs = 50;

function part(kind: ConfiguredPart['kind'], name: string, { status, reason }: State): ConfiguredPart {
  return { kind, name, status, ...(reason !== undefined && { reason }) };
}

const alive: State = { status: 'alive' };
const failed = (reason: string): State => ({ status: 'failed', reason });

/**
 * Tells of all that is configured whether it works. What opencode leaves out it leaves out in silence: an agent whose file it cannot read, a
 * tool that throws, a server that does not start.
 */
export function createPartsReader(
  calls: ServerCalls,
  directory: string,
  { config, providers, configDirectory, saidOfPlugins }: WrittenParts,
): PartsReader {
  const readServers = rememberReads((where) => calls.mcpServers(where, { timeoutMs: mcpTimeoutMs }));

  async function mcpParts(settled: boolean): Promise<ConfiguredPart[]> {
    const configured = Object.entries(mapOf(config['mcp']));
    if (configured.length === 0) return [];
    const read: Promise<McpAnswer | undefined> = readServers(directory);
    const answer = await (settled ? read : Promise.race([read, wait(mcpPatienceMs, undefined, { ref: false })]));
    return configured.map(([name, entry]) => part('mcp', name, serverState(entry, answer, name)));
  }

  return async ({ settled = false, ...call } = {}) => {
    const [offered, tools, servers, agentFiles, plugins, toolFiles] = await Promise.all([
      calls.offers(directory, call),
      readToolIds(calls, directory, call),
      mcpParts(settled),
      filesOf(configDirectory, 'agent'),
      definedPlugins(config, configDirectory),
      filesOf(configDirectory, 'tool'),
    ]);
    const providerIds = new Set(offered.models.map((model) => model.split('/', 1)[0]!));
    const agentNames = new Set(offered.agents.map(({ name }) => name));
    return [
      ...providers.map((name) => part('provider', name, providerState(providerIds.has(name)))),
      ...agentsOf(config, agentFiles).map(([name, off]) => part('agent', name, agentState(agentNames.has(name), off))),
      ...servers,
      ...plugins.map((name) => part('plugin', name, pluginState(name, saidOfPlugins, calls.pluginFailures ? alive : loaded))),
      ...toolFiles.map((name) => part('tool', name, calls.toolIds ? toolState(name, tools) : notLoaded)),
    ];
  };
}

function providerState(isOffered: boolean): State {
  return isOffered ? alive : failed('opencode offers none of its models: it has no credentials, no models, or another name.');
}

function agentState(isOffered: boolean, isDisabled: boolean): State {
  if (isDisabled) return { status: 'disabled' };
  return isOffered ? alive : failed('opencode does not offer it: its file or its entry cannot be read.');
}

function serverState(entry: unknown, answer: McpAnswer | undefined, name: string): State {
  if (mapOf(entry)['enabled'] === false) return { status: 'disabled' };
  if (answer === undefined) return { status: 'starting' };
  const { status = 'failed', error } = answer[name] ?? {};
  if (status === 'connected') return alive;
  if (status === 'disabled') return { status };
  if (status === 'needs_login') return failed(`It wants a login (${error}), which is not possible here: give it a header or a token.`);
  return failed(error ?? 'opencode does not run it: its entry cannot be read.');
}

const loaded: State = { status: 'unknown', reason: 'Its file was loaded; opencode does not tell whether its function ran.' };

function pluginState(name: string, said: readonly string[], otherwise: State): State {
  // opencode 1 tells it as it is configured, opencode 2 by its path.
  const names = name.startsWith('file://') ? [name, fileURLToPath(name)] : [name];
  const reason = said.find((text) => names.some((one) => text.includes(one)));
  return reason === undefined ? otherwise : failed(reason);
}

/** A file gives a tool of its name, and `name_export` for each export that has a name. */
function toolState(file: string, ids: readonly string[] | undefined): State {
  if (ids === undefined) return failed(unloadable);
  const name = withoutEnding(file);
  const isThere = ids.some((id) => id === name || id.startsWith(`${name}_`));
  return isThere ? alive : failed('It exports no tool that opencode can use.');
}

const notLoaded: State = failed('This version of opencode loads no files of tools: give the tool by a plugin.');

const unloadable = 'opencode loads no tool, its own included, and ends no turn, because a custom tool throws or imports what is not there.';

/** The names of all tools, opencode's own too; undefined when a custom tool keeps opencode from loading any. */
async function readToolIds(calls: ServerCalls, directory: string, call: CallOptions): Promise<readonly string[] | undefined> {
  try {
    return (await calls.toolIds?.(directory, call)) ?? [];
  } catch (error) {
    if (isManagerError(error, 'SERVER_ERROR')) return undefined;
    throw error;
  }
}

/**
 * With a custom tool that cannot be loaded, opencode answers each prompt with 204 and never begins it.
 * @throws `PART_UNAVAILABLE`
 */
export async function refuseBrokenTools(calls: ServerCalls, directory: string, configDirectory: string, call: CallOptions): Promise<void> {
  const files = await filesOf(configDirectory, 'tool');
  if (files.length === 0 || !calls.toolIds || (await readToolIds(calls, directory, call))) return;
  throw new OpencodeManagerError('PART_UNAVAILABLE', `opencodeConfigDir: ${files.join(', ')}: ${unloadable} Nothing was sent.`, {
    details: { parts: files.map((name) => ({ kind: 'tool', name, status: 'failed' })) },
  });
}

/** Which files of a configuration directory define what. Modes are agents of an older kind. */
const fileKinds = {
  agent: { directories: ['agent', 'agents', 'mode', 'modes'], ending: /\.md$/, recursive: true },
  plugin: { directories: ['plugin', 'plugins'], ending: /\.[jt]s$/, recursive: false },
  tool: { directories: ['tool', 'tools'], ending: /\.[jt]s$/, recursive: false },
} as const;

/** Our own plugins stand beside those of the user. */
async function filesOf(root: string, kind: keyof typeof fileKinds): Promise<string[]> {
  const { directories, ending, recursive } = fileKinds[kind];
  const listed = directories.map((name) => readdir(join(root, name), { recursive }).catch(() => []));
  return (await Promise.all(listed)).flat().filter((file) => ending.test(file) && !file.startsWith('opencode-manager-'));
}

/** Each with whether it is turned off. */
function agentsOf(config: OpencodeConfig, files: readonly string[]): [name: string, off: boolean][] {
  const entries = { ...mapOf(config['mode']), ...mapOf(config['agent']) };
  const names = new Set([...Object.keys(entries), ...files.map(withoutEnding)]);
  return [...names].map((name) => [name, mapOf(entries[name])['disable'] === true]);
}

/** The plugins of a configuration and those of its directory; none of ours. */
export async function definedPlugins(config: OpencodeConfig, configDirectory: string): Promise<string[]> {
  const entries: unknown[] = Array.isArray(config['plugin']) ? config['plugin'] : [];
  const named = entries.map((entry) => String(Array.isArray(entry) ? entry[0] : entry));
  return [...named, ...(await filesOf(configDirectory, 'plugin'))];
}

/** What users call each kind. */
export const partKindNames = { provider: 'provider', agent: 'agent', mcp: 'MCP server', plugin: 'plugin', tool: 'custom tool' } as const;

/** One sentence: `MCP server docs: Connection closed`. */
export function describePart({ kind, name, status, reason }: ConfiguredPart): string {
  return `${partKindNames[kind]} ${name}: ${reason ?? status}`;
}

const withoutEnding = (file: string): string => file.replace(/\.[^.]+$/, '');

function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
