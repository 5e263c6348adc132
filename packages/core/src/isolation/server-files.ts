import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readJsonc, type OpencodeConfig } from '../config/index.ts';
import { sessionMarkerVariable } from '../process/table.ts';
import type { ProtocolConfiguration } from '../protocol/index.ts';
import { engineAllocatorVariable } from './engine-allocator.ts';
import { instructionsDirectory } from './instructions-files.ts';
import { letInstall, seedPluginPackage, type NeededPackage } from './packages/index.ts';
import type { StateLayout } from './state-directory.ts';
import { clearToolVariables, toolVariablesDirectory } from './tool-variables.ts';
import { gitConfigText, templateShellText, toolShellText, trustedDirectories, zshProfileText } from './tools/index.ts';
import type { GitValue, GitValues, ToolEnvironment } from './tools/index.ts';

/** What a server and its tools are started with. */
export interface ServerFiles {
  readonly configuration: ProtocolConfiguration;
  readonly config: OpencodeConfig;
  readonly directoryConfig: OpencodeConfig | undefined;
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
export async function writeServerFiles(layout: StateLayout, { configuration, config, auth, ...given }: ServerFiles): Promise<void> {
  const { workspace, tools, git, path, gitFiles } = given;
  const ownFiles = configuration.directoryFiles({
    config,
    directoryConfig: given.directoryConfig,
    toolEnvironment: tools.shell,
    toolVariablesDirectory: toolVariablesDirectory(layout.root),
    instructionsDirectory: instructionsDirectory(layout.root),
    sessionVariable: sessionMarkerVariable,
    startVariable: engineAllocatorVariable,
  });
  // Not before each file: a state that is deleted meanwhile must not come again.
  const places = new Set(Object.keys(ownFiles).map((file) => dirname(join(layout.opencodeConfig, file))));
  for (const place of places) await mkdir(place, { recursive: true, mode: 0o700 });
  const trusted = [...trustedDirectories(git), workspace].map((directory): GitValue => ['safe.directory', directory]);
  const files = [
    ...Object.entries(ownFiles).map(([file, text]) => [join(layout.opencodeConfig, file), text] as const),
    [layout.configFile, configuration.text(config)],
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
  await rm(instructionsDirectory(layout.root), { recursive: true, force: true });
  await clearToolVariables(layout.root);
  await seedPluginPackage(layout.opencodeConfig);
  await declareInstalled(layout.opencodeConfig);
  await letInstall(layout, configuration.packages, given.needed);
  if (auth === undefined) await rm(layout.authFile, { force: true });
  else await writeFile(layout.authFile, auth, { mode: 0o600 });
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
