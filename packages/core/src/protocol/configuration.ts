import type { OpencodeConfig } from '../config/jsonc.ts';
import type { PermissionRuleset } from './sessions.ts';

/** What the server is started with, and what is compared with the running server afterwards. */
export interface EffectiveConfig {
  readonly config: OpencodeConfig;
  /** What stands in the configuration directory, where the files of the user's count after it. */
  readonly directoryConfig?: OpencodeConfig;
  /** The same under the names of opencode 1, for those that look something up in it. */
  readonly inOlderForm: OpencodeConfig;
  readonly providers: readonly string[];
  readonly model: string | undefined;
  readonly snapshots: boolean;
  /** Variables that the configuration refers to as `{env:NAME}`: naming them there passes them on. */
  readonly referencedVariables: readonly string[];
  /** Relative paths and patterns of `instructions`. They count from each session's directory, so that each prompt carries them. */
  readonly instructions: readonly string[];
  /** What does not mean what it seems to; sentences. */
  readonly notes: readonly string[];
}

/** What decides the configuration of a server besides what the user handed over. */
export interface ConfigurationSettings {
  readonly profile: 'batch' | 'interactive';
  readonly projectConfig: 'instructions' | 'all' | 'none';
  readonly enabledProviders?: readonly string[] | undefined;
  /** The running server must report it back. */
  readonly runId: string;
  /** Models that files of the configuration directory name. */
  readonly modelsInFiles: readonly string[];
  /** API keys of the auth file that was handed over, by provider. */
  readonly apiKeys?: Readonly<Record<string, string>>;
}

/** What a user handed over, with variables and paths resolved. */
export interface GivenConfiguration {
  readonly config: OpencodeConfig;
  readonly substitutions: readonly { readonly kind: string; readonly target: string }[];
  /** Variables that are not set, and the keys that lead to where each stands. */
  readonly unset: readonly { readonly name: string; readonly path: readonly string[] }[];
  /** What the configuration was joined from: that of the configuration directory, and the file or object over it. */
  readonly places?: { readonly directory: OpencodeConfig; readonly own: OpencodeConfig };
}

/** What the files of a server's configuration directory are made from. Directories are absolute paths. */
export interface DirectoryFilesInput {
  readonly config: OpencodeConfig;
  readonly directoryConfig?: OpencodeConfig | undefined;
  /** Of tools and shell lines, over the server's own environment; null takes a variable away. */
  readonly toolEnvironment: Readonly<Record<string, string | null>>;
  /** Holds a file with variables for each directory whose tools see some of their own. */
  readonly toolVariablesDirectory: string;
  /** Holds a file with instructions for each workspace. */
  readonly instructionsDirectory: string;
  /** The variable that tells whose session a tool's process belongs to. */
  readonly sessionVariable: string;
  /** A variable that has done its work at the server's start. */
  readonly startVariable: string;
}

/** Where opencode installs the packages that a configuration names. */
export interface PackagePlaces {
  /**
   * Of a plugin or a provider, below opencode's cache directory; settings of npm that stand there count.
   * @param versioned the name with its version, or with `@latest`
   */
  directoryOf(kind: 'plugin' | 'provider', spec: string, versioned: string): string;
  /** Each installation has a directory of its own in there. */
  readonly byInstallation: boolean;
  /** What the `package.json` of the configuration directory names is installed, too. */
  readonly configDirectory: boolean;
}

/** The configuration that a server is started with, in the form that its protocol wants. */
export interface ProtocolConfiguration {
  /**
   * The profile's defaults, then what the user handed over, then what isolation fixes.
   * @throws `CREDENTIALS_MISSING`
   */
  effective(settings: ConfigurationSettings, given: GivenConfiguration): EffectiveConfig;
  /** Whether a server with these providers can use the catalogue of models that its binary carries. */
  needsModelCatalogue(providers: readonly string[], version: string): boolean;
  /** The text of a configuration file. */
  text(config: OpencodeConfig): string;
  /** Texts of the files that stand in the configuration directory beside those of the user, by their relative paths. */
  directoryFiles(input: DirectoryFilesInput): Readonly<Record<string, string>>;
  readonly packages: PackagePlaces;
  /** With the configuration of workspaces (`projectConfig: 'all'`), that of the directories above a repository is loaded, too. */
  readonly readsAboveRepository: boolean;
  /** Names of the files of a workspace that opencode takes for instructions: those of the first that stands on the way up count. */
  readonly instructionFiles: readonly string[];
  /** The permission rules that a session is made with, from those that its caller wants. */
  sessionRules(rules: PermissionRuleset): PermissionRuleset;
}
