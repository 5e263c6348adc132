import { OpencodeManagerError } from '@opencode-manager/core';
import type { RunFlags } from '../flags.ts';

/** What the server decides that a run is submitted to, or what runs on a server do not have. */
const refused = {
  opencodeConfig: 'server',
  opencodeConfigDir: 'server',
  config: 'server',
  binary: 'server',
  stateDir: 'server',
  port: 'server',
  profile: 'server',
  projectConfig: 'server',
  authFile: 'server',
  allowOauth: 'server',
  passEnv: 'server',
  passProviderKeys: 'server',
  toolHome: 'server',
  git: 'server',
  offline: 'server',
  strict: 'server',
  startupTimeout: 'server',
  maxAnswer: 'server',
  maxServerMemory: 'server',
  maxIdleDirectories: 'server',
  prices: 'server',
  allowUnpriced: 'server',
  playground: 'server',
  open: 'server',
  allowControl: 'server',
  content: 'server',
  patches: 'workspaces',
  root: 'workspaces',
  setup: 'workspaces',
  setupTimeout: 'workspaces',
  ready: 'workspaces',
  readyTimeout: 'workspaces',
  include: 'workspaces',
  lfs: 'workspaces',
  yes: 'workspaces',
  keep: 'workspaces',
  resume: 'own',
  dryRun: 'own',
} as const satisfies Partial<Record<keyof RunFlags, 'server' | 'workspaces' | 'own'>>;

const why = {
  server: 'the server is started already, with a configuration of its own',
  workspaces: 'tasks of runs on a server work in their directories themselves',
  own: 'a run is submitted once, and goes on with ocm resume',
} as const;

/** @throws OpencodeManagerError `RUN_UNSUITED` naming the flag */
export function refuseFlags(flags: RunFlags): void {
  const found = (Object.keys(refused) as (keyof typeof refused)[]).find((name) => flags[name] !== undefined);
  if (found) throw unsuited(`--${found.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, why[refused[found]]);
  if (flags.workspace !== undefined && flags.workspace !== 'shared') throw unsuited(`--workspace ${flags.workspace}`, why.workspaces);
}

function unsuited(flag: string, reason: string): OpencodeManagerError {
  return new OpencodeManagerError(
    'RUN_UNSUITED',
    `${flag} cannot be had with --on: ${reason}. Leave one of the two out. Nothing was started.`,
  );
}
