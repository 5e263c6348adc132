import { delimiter } from 'node:path';
import type { ToolEnvironment } from './tool-environment.ts';

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * What bash reads before a tool's line. opencode runs a shell line in a login shell, in which `/etc/profile` resets PATH: the one that the
 * user has goes first again, and what the profiles added stays behind it.
 */
export function toolShellText(path: string): string {
  return `unset BASH_ENV
if shopt -q login_shell; then
  ocm_path=${quote(path)}
  ocm_ifs=$IFS
  IFS=${delimiter}
  for ocm_entry in $PATH; do
    case "${delimiter}$ocm_path${delimiter}" in
      *"${delimiter}$ocm_entry${delimiter}"*) ;;
      *) ocm_path="$ocm_path${delimiter}$ocm_entry" ;;
    esac
  done
  IFS=$ocm_ifs
  export PATH=$ocm_path
  unset ocm_path ocm_ifs ocm_entry
fi
`;
}

/** What bash reads before a shell part of a command template: opencode gives it the server's own environment, and asks no plugin. */
export function templateShellText({ shell }: ToolEnvironment): string {
  const lines = Object.entries(shell).map(([name, value]) => (value === null ? `unset ${name}` : `export ${name}=${quote(value)}`));
  return `${lines.join('\n')}\nunset BASH_ENV\n`;
}

/** In a private home, for a login shell that is zsh. */
export function zshProfileText(path: string): string {
  return `export PATH=${quote(path)}\n`;
}
