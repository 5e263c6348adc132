import type { ResolvedConfig } from '../config/index.ts';
import type { GitValues, NeededPackage, NetworkVariables } from '../isolation/index.ts';

/** A package that the configuration needs and that does not come with opencode. @public */
export interface LaunchedPackage extends NeededPackage {
  /** `unknown`: of a provider or an MCP server, whose package is fetched at its first use. */
  readonly status: 'installed' | 'failed' | 'unknown';
}

/** What of the user's own machine a server and its tools use, and what was fetched for them. @public */
export interface LaunchReport {
  readonly toolHome: 'private' | 'user';
  /** Keys of the user's git configuration that tools have. Empty with `git: 'private'`. */
  readonly git: { readonly source: 'user' | 'private'; readonly keys: readonly string[] };
  /** Names of variables: of proxies and certificates that were passed, and of proxies that were not, because they hold a user part. */
  readonly network: { readonly passed: readonly string[]; readonly withheld: readonly string[] };
  /** opencode's own npm is offline unless a plugin, a provider or the configuration directory needs a package. */
  readonly npm: { readonly online: boolean; readonly packages: readonly LaunchedPackage[] };
  /** Sentences for the user. */
  readonly notes: readonly string[];
}

export interface ReportParts {
  readonly config: Pick<ResolvedConfig, 'toolHome' | 'git' | 'redactor'>;
  readonly git: GitValues;
  readonly network: NetworkVariables;
  readonly packages: readonly LaunchedPackage[];
  /** opencode installs some of them. */
  readonly installs: boolean;
  readonly failures: readonly string[];
}

/** An address of a package may hold a key. */
export function launchReport({ config, git, network, packages, installs, failures }: ReportParts): LaunchReport {
  return {
    toolHome: config.toolHome,
    git: { source: config.git, keys: [...new Set(git.values.map(([key]) => key))] },
    network: { passed: Object.keys(network.variables), withheld: network.withheld },
    npm: {
      online: installs,
      packages: packages.map((each) => Object.assign({}, each, { package: config.redactor.text(each.package) })),
    },
    notes: [...(git.note === undefined ? [] : [git.note]), ...network.withheld.map(withheldNote), ...failures].map((note) =>
      config.redactor.text(note),
    ),
  };
}

const withheldNote = (name: string): string =>
  `${name} is not passed to the server and its tools, because its value holds a user part. Pass it by name: passEnv, --pass-env ${name}.`;
