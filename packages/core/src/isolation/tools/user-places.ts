import { stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Variables by which programs find what they consist of, with the place that each takes below a home when it is not set. */
const places: Readonly<Record<string, string | undefined>> = {
  RUSTUP_HOME: '.rustup',
  NVM_DIR: '.nvm',
  PYENV_ROOT: '.pyenv',
  RBENV_ROOT: '.rbenv',
  NODENV_ROOT: '.nodenv',
  GOENV_ROOT: '.goenv',
  JENV_ROOT: '.jenv',
  PHPENV_ROOT: '.phpenv',
  SDKMAN_DIR: '.sdkman',
  ASDF_DATA_DIR: '.asdf',
  VOLTA_HOME: '.volta',
  FNM_DIR: join('.local', 'share', 'fnm'),
  MISE_DATA_DIR: join('.local', 'share', 'mise'),
  OPAMROOT: '.opam',
  ELAN_HOME: '.elan',
  PROTO_HOME: '.proto',
  // Without a usual place: they say which version is chosen, or where a whole installation stands.
  ASDF_DIR: undefined,
  NVM_BIN: undefined,
  FNM_MULTISHELL_PATH: undefined,
  PYENV_VERSION: undefined,
  RUSTUP_TOOLCHAIN: undefined,
  OPAM_SWITCH_PREFIX: undefined,
  JAVA_HOME: undefined,
  MAVEN_HOME: undefined,
  ANDROID_HOME: undefined,
  ANDROID_SDK_ROOT: undefined,
  GOROOT: undefined,
  DOTNET_ROOT: undefined,
  FLUTTER_ROOT: undefined,
  CUDA_HOME: undefined,
  CONDA_EXE: undefined,
  CONDA_PREFIX: undefined,
  CONDA_DEFAULT_ENV: undefined,
  MAMBA_ROOT_PREFIX: undefined,
  VIRTUAL_ENV: undefined,
  HOMEBREW_PREFIX: undefined,
  HOMEBREW_CELLAR: undefined,
  HOMEBREW_REPOSITORY: undefined,
  NIX_PATH: undefined,
  NIX_PROFILES: undefined,
};

/**
 * What rustup, nvm, pyenv and the like need to find the user's installations: the variables that are set, and in a private home those
 * whose usual place exists below the user's. Where programs keep caches or what they install for themselves (CARGO_HOME, GOPATH) is not among them.
 */
export async function userPlaces(
  source: NodeJS.ProcessEnv,
  home: string | undefined,
  toolHome: 'private' | 'user',
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, usual] of Object.entries(places)) {
    const value = source[name] ?? (toolHome === 'private' ? await existing(home, usual) : undefined);
    if (value !== undefined && value !== '') found[name] = value;
  }
  // A toolchain that a project names and the user has not would be installed below the user's home.
  if (toolHome === 'private' && found['RUSTUP_HOME'] !== undefined) found['RUSTUP_AUTO_INSTALL'] = '0';
  return found;
}

async function existing(home: string | undefined, usual: string | undefined): Promise<string | undefined> {
  if (home === undefined || usual === undefined) return undefined;
  const place = join(home, usual);
  return (await stat(place).catch(() => undefined))?.isDirectory() === true ? place : undefined;
}
