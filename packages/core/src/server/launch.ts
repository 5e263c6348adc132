import { resolveConfig, type ServerConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import { createWorkspaces, explainFullDisk, gitEnvironment, prepareStateDirectory, readAuthFile } from '../isolation/index.ts';
import { findBinary } from './binary.ts';
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
 * `WORKSPACE_UNTRUSTED`, `WORKSPACE_UNREADABLE`, `BINARY_NOT_FOUND`, `BINARY_UNUSABLE`, `VERSION_UNSUPPORTED`, `OPENCODE_CONFIG_INVALID`,
 * `AUTH_FILE_INVALID`, `AUTH_OAUTH_REFUSED`, `STATE_DIRECTORY_UNSAFE`, `STATE_DIRECTORY_LOCKED`,
 * `STATE_DIRECTORY_UNWRITABLE`, `STATE_DIRECTORY_FULL`, `PORT_IN_USE`, `PLATFORM_UNSUPPORTED`; after: `SERVER_START_FAILED`,
 * `SERVER_START_TIMEOUT`, `OPENCODE_CONFIG_INVALID`, `OPENCODE_CONFIG_MISMATCH`, `VERSION_UNSUPPORTED`. What was started
 * is gone when it throws.
 *
 * @example
 * await using server = await launchServer({ directory: '.', opencodeConfig: './opencode.json', passEnv: ['ANTHROPIC_API_KEY'] })
 * @public
 */
export async function launchServer(config: ServerConfig = {}): Promise<OpencodeServer> {
  refuseUnsupportedPlatform();
  const resolved = await resolveConfig(config);
  refuseAborted(resolved.signal);
  const workspaces = createWorkspaces({ projectConfig: resolved.projectConfig, gitEnvironment: gitEnvironment(resolved) });
  await workspaces.check(resolved.directory);
  const binary = await findBinary(resolved.binary === undefined ? {} : { binary: resolved.binary });
  const auth = await readAuthFile(resolved.authFile, resolved.allowOAuth ?? false);
  if (resolved.port !== 0) await assertPortFree(resolved.hostname, resolved.port);
  const state = await prepareStateDirectory(resolved);
  const run = await beginRun(state).catch(async (error: unknown) => {
    throw await explainFullDisk(error, state.layout.root);
  });
  try {
    const plan = { config: resolved, binary, auth, workspaces };
    return await startIncarnation(run, plan, await prepareFiles(run, plan), lifecycleOf);
  } catch (error) {
    const explained = await explainFullDisk(error, state.layout.root);
    await endRun(run);
    throw explained;
  }
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
