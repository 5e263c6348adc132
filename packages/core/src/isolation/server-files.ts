import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonc, type OpencodeConfig } from '../config/index.ts';
import { instructionsDirectory, instructionsPlugin } from './instructions-plugin.ts';
import { listedAsksPlugin } from './listed-asks-plugin.ts';
import { pacedAnswersPlugin } from './paced-answers-plugin.ts';
import { letInstall, seedPluginPackage, type NeededPackage } from './packages/index.ts';
import type { StateLayout } from './state-directory.ts';
import { toolEnvironmentPlugin } from './tool-environment-plugin.ts';
import { toolVariablesDirectory } from './tool-variables.ts';
import { gitConfigText, templateShellText, toolShellText, trustedDirectories, zshProfileText } from './tools/index.ts';
import type { GitValue, GitValues, ToolEnvironment } from './tools/index.ts';

/** What a server and its tools are started with. */
export interface ServerFiles {
  readonly config: OpencodeConfig;
  readonly auth: string | undefined;
  readonly workspace: string;
  readonly tools: ToolEnvironment;
  readonly git: GitValues;
  readonly needed: readonly NeededPackage[];
  /** PATH of tools. */
  readonly path: string;
  /** Where the user's own git configuration stands, in the order in which git reads it. */
  readonly gitFiles: readonly string[];
}

/** Writes what the server is started with, and what its tools read. */
export async function writeServerFiles(layout: StateLayout, { config, auth, ...given }: ServerFiles): Promise<void> {
  const { workspace, tools, git, path, gitFiles } = given;
  const plugins = join(layout.opencodeConfig, 'plugin');
  await mkdir(plugins, { recursive: true, mode: 0o700 });
  const trusted = [...trustedDirectories(git), workspace].map((directory): GitValue => ['safe.directory', directory]);
  const files = [
    [join(plugins, 'opencode-manager-tool-environment.js'), toolEnvironmentPlugin(tools, toolVariablesDirectory(layout.root))],
    [join(plugins, 'opencode-manager-paced-answers.js'), pacedAnswersPlugin],
    [join(plugins, 'opencode-manager-listed-asks.js'), listedAsksPlugin],
    [join(plugins, 'opencode-manager-instructions.js'), instructionsPlugin(instructionsDirectory(layout.root))],
    [layout.configFile, configText(config)],
    [join(layout.opencodeConfig, 'opencode.json'), configText(referencesOf(config))],
    [layout.gitConfigFile, gitConfigText([...identity, ...trusted])],
    [layout.noModelsFile, '{}'],
    // The npm that the server carries: what nobody configured is never fetched.
    [join(layout.home, '.npmrc'), 'offline=true\n'],
    [layout.toolGitConfigFile, gitConfigText([...identity, ...git.values, ['safe.directory', workspace]])],
    [layout.includingGitConfigFile, gitConfigText(gitFiles.map((file): GitValue => ['include.path', file]))],
    [layout.toolShellFile, toolShellText(path)],
    [layout.templateShellFile, templateShellText(tools)],
    [join(layout.toolHome, '.zprofile'), zshProfileText(path)],
  ] as const;
  // One after the other: what fails leaves nothing under way behind.
  for (const [file, text] of files) await writeFile(file, text, { mode: 0o600 });
  // Those of an earlier run of the same state, or of a server that is lost: each turn writes its own, each workspace is told of anew.
  for (const old of [instructionsDirectory, toolVariablesDirectory]) await rm(old(layout.root), { recursive: true, force: true });
  await seedPluginPackage(layout.opencodeConfig);
  await declareInstalled(layout.opencodeConfig);
  await letInstall(layout, given.needed);
  if (auth === undefined) await rm(layout.authFile, { force: true });
  else await writeFile(layout.authFile, auth, { mode: 0o600 });
}

/** Texts that look like variables are texts by now, and opencode would replace them once more. */
function configText(config: OpencodeConfig): string {
  return JSON.stringify(config, null, 2).replaceAll(/\{(?=(?:env|file):)/g, '\\u007b');
}

/** opencode resolves these alone from its configuration directory, and not from the file that a variable names. */
function referencesOf(config: OpencodeConfig): OpencodeConfig {
  const references = config['references'] ?? config['reference'];
  return references === undefined ? {} : { references };
}

/** Agents need a name to commit under; the user's own goes over it. */
const identity: readonly GitValue[] = [
  ['user.name', 'opencode'],
  ['user.email', 'opencode@localhost'],
];

/**
 * Says that the packages of a configuration directory are installed: opencode compares its manifest, and `@opencode-ai/plugin`, with its
 * lock, and installs what is missing there, at every start and for every directory that it serves.
 */
async function declareInstalled(directory: string): Promise<void> {
  const manifest = await readJsonc(join(directory, 'package.json'), 'opencodeConfigDir').catch((): OpencodeConfig => ({}));
  const lock = await readJsonc(join(directory, 'package-lock.json'), 'opencodeConfigDir').catch((): OpencodeConfig => ({
    lockfileVersion: 3,
  }));
  const kinds = ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'];
  const dependencies = Object.assign({ '@opencode-ai/plugin': '*' }, ...kinds.map((kind) => manifest[kind])) as Record<string, string>;
  const packages = { ...(lock['packages'] as object | undefined), '': { dependencies } };
  await writeFile(join(directory, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
}
