import { realpath } from 'node:fs/promises';
import { resolveConfig, type ResolvedConfig, type ServerConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import {
  createWorkspaces,
  explainFullDisk,
  gitEnvironment,
  prepareStateDirectory,
  readAuthFile,
  readGitValues,
  trustedDirectories,
  type GitValues,
  type Workspaces,
} from '../isolation/index.ts';
import { protocolNamed } from '../protocol/index.ts';
import { learnAuth } from '../secrets/index.ts';
import { findBinary, type BinaryInfo } from './binary.ts';
import { assertPortFree } from './port.ts';
import { lifecycleOf } from './replace.ts';
import { beginRun, endRun } from './run.ts';
import { prepareFiles, refuseAborted, startIncarnation } from './start.ts';
import type { OpencodeServer } from './types.ts';

/**
 * Starts one fully isolated opencode server and resolves when it answers with its own configuration.
 *
 * Nothing of the user's home, XDG directories or own opencode is read or written; see docs/isolation.md. The server, its
 * tools and its temporary state end with this process, however it ends.
 *
 * @throws OpencodeManagerError before anything is started: `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN`, `DIRECTORY_MISSING`,
 * `WORKSPACE_UNTRUSTED`, `WORKSPACE_UNREADABLE`, `BINARY_NOT_FOUND`, `BINARY_UNUSABLE`, `VERSION_UNSUPPORTED`,
 * `OPENCODE_CONFIG_INVALID`, `CREDENTIALS_MISSING`, `AUTH_FILE_INVALID`, `AUTH_OAUTH_REFUSED`, `STATE_DIRECTORY_UNSAFE`, `STATE_DIRECTORY_FOREIGN`,
 * `STATE_DIRECTORY_PROTOCOL`, `STATE_DIRECTORY_LOCKED`, `STATE_DIRECTORY_UNWRITABLE`, `STATE_DIRECTORY_FULL`, `RESOURCES_EXHAUSTED`, `SHELL_MISSING`,
 * `PORT_IN_USE`, `PLATFORM_UNSUPPORTED`; after: `SERVER_START_FAILED`, `SERVER_START_TIMEOUT`, `OPENCODE_CONFIG_INVALID`,
 * `OPENCODE_CONFIG_MISMATCH`, `VERSION_UNSUPPORTED`. What was started
 * is gone when it throws.
 *
 * @example
 * await using server = await launchServer({ directory: '.', opencodeConfig: './opencode.json', passEnv: ['ANTHROPIC_API_KEY'] })
 * @public
 */
export async function launchServer(config: ServerConfig = {}): Promise<OpencodeServer> {
  refuseUnsupportedPlatform();
  const resolved = await resolveConfig(config);
  try {
    return await launch(resolved);
  } catch (error) {
    throw resolved.redactor.error(error);
  }
}

async function launch(resolved: ResolvedConfig): Promise<OpencodeServer> {
  refuseAborted(resolved.signal);
  const git = await readGitValues(resolved.git);
  const binary = await findBinary(resolved.binary === undefined ? {} : { binary: resolved.binary });
  const workspaces = await workspacesOf(resolved, git, binary);
  await workspaces.check(resolved.directory);
  const auth = await readAuthFile(resolved.authFile, resolved.allowOAuth ?? false);
  learnAuth(resolved.redactor, auth);
  if (resolved.port !== 0) await assertPortFree(resolved.hostname, resolved.port);
  const state = await prepareStateDirectory(resolved, binary);
  const run = await beginRun(state, resolved.directory).catch(async (error: unknown) => {
    throw await explainFullDisk(error, state.layout.root);
  });
  try {
    const plan = { config: resolved, binary, auth, git, workspaces };
    return await startIncarnation(run, plan, await prepareFiles(run, plan), lifecycleOf);
  } catch (error) {
    const explained = await explainFullDisk(error, state.layout.root);
    // What could not be ended is left to the guard; why there is no server is what the caller must know.
    await endRun(run).catch(() => undefined);
    throw explained;
  }
}

/** What the user hands over by name is used, though it may stand in the workspace. */
async function workspacesOf(config: ResolvedConfig, git: GitValues, { protocol }: BinaryInfo): Promise<Workspaces> {
  const { projectConfig, opencodeConfig, opencodeConfigDir } = config;
  const named = [opencodeConfig, opencodeConfigDir].filter((path) => typeof path === 'string');
  const real = await Promise.all(named.map((path) => realpath(path).catch(() => path)));
  const { readsAboveRepository, instructionFiles } = protocolNamed(protocol).configuration;
  return createWorkspaces({
    projectConfig,
    readsAboveRepository,
    instructionFiles,
    gitEnvironment: gitEnvironment(config, trustedDirectories(git)),
    given: [...named, ...real],
  });
}

function refuseUnsupportedPlatform(): void {
  if (process.platform === 'linux' || process.platform === 'darwin') return;
  throw new OpencodeManagerError(
    'PLATFORM_UNSUPPORTED',
    `opencode-manager does not run on ${process.platform}. Use Linux or macOS (on Windows: WSL 2).`,
    {
      details: { platform: process.platform },
    },
  );
}
