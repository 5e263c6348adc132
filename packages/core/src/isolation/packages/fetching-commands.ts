import { basename } from 'node:path';
import { isPackage } from './package-name.ts';

/** Commands that fetch what they run, each with the words before the package's name. */
const fetchingCommands: Readonly<Record<string, readonly (readonly string[])[]>> = {
  npx: [[]],
  pnpx: [[]],
  bunx: [[]],
  uvx: [[]],
  npm: [['exec'], ['x']],
  pnpm: [['dlx']],
  yarn: [['dlx']],
  bun: [['x']],
  pipx: [['run']],
  uv: [['tool', 'run']],
  docker: [['run']],
  podman: [['run']],
};

const shells = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash']);

/** What a command fetches: the first word that is no option. A path needs no network. */
export function fetchedBy(words: readonly string[]): string | undefined {
  const [program = '', ...rest] = withoutEnvironment(words);
  const name = basename(program);
  if (shells.has(name)) return fetchedByLine(rest);
  if (name === 'deno') return rest.find((word) => /^(npm|jsr|https?):/.test(word));
  const starts = fetchingCommands[name]?.find((start) => start.every((word, index) => rest[index] === word));
  if (starts === undefined) return undefined;
  const its = rest.slice(starts.length);
  if (its.some((word) => /^--(offline|no|no-install)$/.test(word))) return undefined;
  const fetched = its.find((word) => !word.startsWith('-'));
  return fetched === undefined || !isPackage(fetched) ? undefined : fetched;
}

/** `env A=1 npx x`, and within a shell's line `A=1 exec npx x`. */
function withoutEnvironment(words: readonly string[]): readonly string[] {
  const first = words.findIndex((word) => !/^(\w+=|-)/.test(word) && !/^(exec|env)$/.test(basename(word)));
  return first < 0 ? [] : words.slice(first);
}

/** Of a shell's `-c` line, each command by itself; quotes within are not looked into. */
function fetchedByLine(words: readonly string[]): string | undefined {
  const index = words.findIndex((word) => /^-\w*c$/.test(word));
  const line = index < 0 ? undefined : words[index + 1];
  for (const command of line?.split(/[;&|\n]+/) ?? []) {
    const fetched = fetchedBy(command.trim().split(/\s+/));
    if (fetched !== undefined) return fetched;
  }
  return undefined;
}
