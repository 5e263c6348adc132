import { parseServerConfig, type ServerConfig } from '@opencode-manager/core';
import type { ServerFlags } from '../flags.ts';
import { parseDuration, readJsoncFile } from '../task-file/index.ts';
import { parseCount } from './numbers.ts';

/**
 * The server's options: what `--config` says, with the flags over it, over the command's own defaults.
 * @throws OpencodeManagerError `USAGE`, `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN`
 */
export async function buildServerConfig(flags: ServerFlags, defaults: ServerConfig = {}): Promise<ServerConfig> {
  const file = flags.config === undefined ? {} : parseServerConfig(await readJsoncFile(flags.config, '--config'));
  return { ...defaults, ...(file as ServerConfig), ...(parseServerConfig(fromFlags(flags)) as ServerConfig) };
}

function fromFlags(flags: ServerFlags): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    directory: flags.directory,
    opencodeConfig: flags.opencodeConfig,
    opencodeConfigDir: flags.opencodeConfigDir,
    binary: flags.binary,
    stateDir: flags.stateDir,
    port: flags.port === undefined ? undefined : parseCount(flags.port, '--port', { min: 0, max: 65_535 }),
    profile: flags.profile,
    projectConfig: flags.projectConfig,
    authFile: flags.authFile,
    allowOAuth: flags.allowOauth,
    passEnv: flags.passEnv,
    passProviderKeys: flags.passProviderKeys,
    toolHome: flags.toolHome,
    git: flags.git,
    offline: flags.offline,
    strict: flags.strict,
    startupTimeoutMs: flags.startupTimeout === undefined ? undefined : parseDuration(flags.startupTimeout, '--startup-timeout'),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
