import * as z from 'zod';
import type { Redactor } from '../secrets/index.ts';

const absolutePath = z.string().min(1).describe('A path; relative ones count from the current directory.');

/** Longest startup that can be asked for: ten minutes. */
const maxStartupMs = 600_000;

/**
 * Options of {@link launchServer}. The JSON Schema in `schema/server-config.json` is generated from this.
 * `signal` and `redactor` are not part of the file format; they are taken from the object that is passed in code.
 */
export const serverConfigSchema = z
  .strictObject({
    directory: absolutePath
      .optional()
      .describe('The workspace: where sessions work unless they name another directory. Default: the current directory.'),
    stateDir: absolutePath
      .optional()
      .describe(
        "Holds the server's home, XDG directories, configuration, credentials and database. A new or empty directory outside the workspace, or one that a manager made: anything else is refused untouched. Default: a new private one in the system's temporary directory.",
      ),
    deleteStateOnExit: z
      .union([z.boolean(), z.literal('except-database')])
      .optional()
      .describe(
        "Remove the state directory when the server stops, however it does. `except-database` leaves the server's database, which a later start reads its sessions from: configuration and credentials go. Default: true for a directory made here, false for one that was named.",
      ),
    binary: absolutePath
      .optional()
      .describe('The opencode binary. Default: OPENCODE_BIN, then PATH, then the installed package opencode-ai.'),
    hostname: z
      .enum(['127.0.0.1', 'localhost', '::1'])
      .optional()
      .describe('The loopback address to bind. Default: 127.0.0.1. Others are refused: an open server is remote code execution.'),
    port: z.int().min(0).max(65_535).optional().describe('0 (default) picks a free one and tries again when it is taken meanwhile.'),
    opencodeConfig: z
      .union([absolutePath, z.record(z.string(), z.unknown())])
      .optional()
      .describe("opencode's own configuration: an object, or a JSON or JSONC file."),
    opencodeConfigDir: absolutePath
      .optional()
      .describe('A directory with agents, commands and plugins, as opencode reads them. It is copied into the state, never used in place.'),
    enabledProviders: z
      .array(z.string().min(1))
      .optional()
      .describe("Providers that may be used. Default: those that the configuration's models name."),
    authFile: absolutePath.optional().describe('An auth.json as opencode writes it. Copied with mode 0600.'),
    allowOAuth: z
      .boolean()
      .optional()
      .describe('Accept OAuth entries in the auth file. Their refresh tokens rotate: the original is logged out when the copy refreshes.'),
    passEnv: z
      .array(z.string().regex(/^[^=]+$/, 'must be the name of a variable, without a value'))
      .optional()
      .describe(
        "Names of variables of this process that the server gets, for example ['ANTHROPIC_API_KEY']. One that is not set is refused.",
      ),
    passProviderKeys: z.boolean().optional().describe('Pass every variable that is well known as a provider key. Default: false.'),
    env: z
      .record(z.string(), z.string())
      .optional()
      .describe('Variables to set for the server. Those that isolation rests on cannot be set.'),
    profile: z
      .enum(['batch', 'interactive'])
      .optional()
      .describe(
        'batch (default): no snapshots, LSP, formatter, sharing or default plugins. interactive: keeps snapshots, which revert and diff need, and questions.',
      ),
    projectConfig: z
      .enum(['instructions', 'all', 'none'])
      .optional()
      .describe(
        "What of the workspace's own configuration counts: its AGENTS.md files (default), everything (its plugins run as code in the server), or nothing.",
      ),
    toolHome: z
      .enum(['private', 'user'])
      .optional()
      .describe(
        "The home that tools, shell lines, MCP servers and formatters see: a private one in the state (default), in which rustup, nvm, pyenv and the like find the user's installations; or the user's own with its credentials, and the user's XDG variables.",
      ),
    git: z
      .enum(['user', 'private'])
      .optional()
      .describe(
        "user (default): the git of tools has the user's name, address, filters (LFS), trusted directories, core.autocrlf, init.defaultBranch and url.*.insteadOf. private: nothing of the user's git configuration is read.",
      ),
    offline: z
      .boolean()
      .optional()
      .describe(
        'Refuse, before the start, a configuration whose plugins, providers or MCP servers would have to be fetched. Default: false.',
      ),
    strict: z
      .boolean()
      .optional()
      .describe('A configured plugin or package that is missing after the start is an error. Default: false, it is a note.'),
    startupTimeoutMs: z
      .int()
      .min(1000)
      .max(maxStartupMs)
      .optional()
      .describe('Deadline of the whole start, in milliseconds. Default: 30000, or 120000 when opencode has packages to install.'),
  })
  .describe('Options of an isolated opencode server.');

/** Options of {@link launchServer}; see `serverConfigSchema` for each. @public */
export type ServerConfig = z.input<typeof serverConfigSchema> & {
  /** Aborting ends a start that is under way, or stops the server. */
  readonly signal?: AbortSignal;
  /** Learns the secrets of this server. Default: a new one, which the server's handle gives. */
  readonly redactor?: Redactor;
};
