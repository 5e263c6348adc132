/** A word of a shell line: its place, and its text without quotes and backslashes. */
interface Word {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/**
 * Options that write a file of any name, run a program, or set up what git runs, in one subcommand or another. git takes any
 * unambiguous beginning of them, so those count too.
 */
const options = [
  '--output',
  '--exec',
  '--upload-pack',
  '--receive-pack',
  '--config',
  '--git-dir',
  '--work-tree',
  '--separate-git-dir',
  '--template',
  '--ext-diff',
  '--extcmd',
  '--textconv',
  '--open-files-in-pager',
  '--export-marks',
  '--export-pack-edges',
  '--index-output',
  '--in-place',
  '--prefix',
  '--unsafe-paths',
  '--build-fake-ancestor',
];

/** `-o` and `-O` (a file, a pager), `-c` and `-C` (settings, another directory), `-x` (a program), alone or in a cluster. */
const shortOptions = /^-[A-Za-z0-9]*[oOcCx]/;

/** Words of which the shell makes others, which may be options: `$x`, `{a,b}`, file names that match. */
const expanding = /\$|\{.*(?:,|\.\.).*\}|^[*?[]|^-[^=]*[*?[]/;

/** Options before the subcommand that change nothing of what it may do. Of any other one nobody knows whether the next word is its value. */
const tameOptions = new Set([
  '--no-pager',
  '-P',
  '--no-optional-locks',
  '--literal-pathspecs',
  '--no-replace-objects',
  '--version',
  '--help',
  '-h',
]);

/**
 * Subcommands that `*` may stand for: what they write stays in the repository and its work tree. Any other word may be an alias, which runs
 * a program, or a tool that writes where it is told.
 */
const tameSubcommands = new Set(
  `add am annotate apply archive blame branch cat-file check-attr check-ignore checkout cherry cherry-pick clean commit count-objects
  describe diff diff-files diff-index diff-tree fetch for-each-ref format-patch fsck gc grep help log ls-files ls-remote ls-tree merge
  merge-base mv name-rev notes prune pull push range-diff rebase reflog remote rerere reset restore rev-list rev-parse revert rm shortlog show
  show-branch show-ref sparse-checkout stash status submodule switch symbolic-ref tag update-index update-ref version whatchanged`.split(
    /\s+/,
  ),
);

/** Subcommands whose work is to run programs, to set up what git runs later, or to write a file of any name. */
const subcommands = new Set([
  'bisect run',
  'bundle create',
  'config',
  'credential',
  'daemon',
  'difftool',
  'filter-branch',
  'for-each-repo',
  'hook',
  'instaweb',
  'maintenance',
  'mergetool',
  'send-email',
  'submodule foreach',
]);

/**
 * The words at which a git command writes a file or runs a program; none for other commands. Quotes are taken out, not read: a
 * word in a quoted text counts like any other.
 */
export function gitHazards(line: string): readonly Word[] {
  const words = wordsOf(line);
  const command = words.findIndex(({ text }) => !/^\w+\+?=/.test(text));
  if (command === -1 || !/^(?:.*\/)?git$/.test(words[command]!.text)) return [];
  const after = words.slice(command + 1);
  // Variables before the command can name a pager, a diff program, another configuration.
  return [...words.slice(0, command), ...after.filter(isHazard), ...untamed(after), ...hazardousSubcommand(after)];
}

/** What stands before the subcommand, and the subcommand itself, unless both are known. */
function untamed(after: readonly Word[]): readonly Word[] {
  const at = after.findIndex(({ text }) => !text.startsWith('-'));
  const before = after.slice(0, at === -1 ? after.length : at).filter(({ text }) => !tameOptions.has(text));
  const subcommand = after[at];
  return subcommand === undefined || tameSubcommands.has(subcommand.text) ? before : [...before, subcommand];
}

function wordsOf(line: string): readonly Word[] {
  return Array.from(line.matchAll(/\S+/g), ({ 0: word, index }) => ({
    from: index,
    to: index + word.length,
    text: word.replaceAll(/['"\\]/g, ''),
  }));
}

function isHazard({ text }: Word): boolean {
  if (expanding.test(text) || shortOptions.test(text) || text.startsWith('ext::')) return true;
  const name = text.split('=', 1)[0]!;
  // `--` alone ends the options.
  return name.length > 2 && name.startsWith('--') && options.some((option) => option.startsWith(name) || name.startsWith(option));
}

/** Looks at the first words only: an option's value may stand before the subcommand. */
function hazardousSubcommand(after: readonly Word[]): readonly Word[] {
  const plain = after.filter(({ text }) => !text.startsWith('-'));
  const hazards = plain.slice(0, 3).filter(({ text }, index) => {
    const pair = `${plain[index - 1]?.text ?? ''} ${text}`;
    return subcommands.has(text) || subcommands.has(pair);
  });
  // `git clone -u PROGRAM`; elsewhere `-u` is harmless.
  const clones = plain.slice(0, 3).some(({ text }) => text === 'clone');
  return clones ? [...hazards, ...after.filter(({ text }) => /^-[A-Za-z]*u/.test(text))] : hazards;
}
