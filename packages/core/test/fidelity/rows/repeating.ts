/**
 * Rows of a kind that another row shows too, by the name of that row. They are recorded as all are, and compared when `OCM_FIDELITY=all` is
 * set: each costs an instance of the server, and many a turn.
 */
export const repeating: Readonly<Record<string, readonly string[]>> = {
  'env: the documented model': ['env: an api key', 'env: in a path', 'env: HOME in a permission'],
  'file: in a command and in headers': [
    'file: beside the configuration, with ./',
    'file: beside the configuration, bare',
    'file: above the configuration',
    'file: an absolute path',
  ],
  'UTF-8 with a byte order mark': ['UTF-8 with a byte order mark, global'],
  'an unknown key': ['an old field of another product'],
  'instructions: of a project, all kinds at once': [
    'instructions: the documented ones',
    'instructions: ./ and a directory above',
    'instructions: of every package',
    'instructions: at any depth',
    'instructions: missing, a directory, a link',
    'instructions: a link that leads out',
    'instructions: one file twice, and AGENTS.md by name',
    'instructions: a URL that does not answer',
    'instructions: a name with a space and brackets',
    'instructions: braces',
    'instructions: empty and blank files',
  ],
  'instructions: of the global directory, all kinds at once': [
    'instructions: in the home directory',
    'instructions: relative, in the global configuration',
    'instructions: relative, in a custom configuration',
    'instructions: absolute',
    'AGENTS.md of the global directory',
  ],
  'agents: the documented ones in JSON': [
    'agents: options that pass through',
    'agents: wildcards and task permissions',
    'default_agent plan',
  ],
  'agents: front matter of many kinds': ['agents: permissions with a home directory in markdown'],
  'default_agent with a model of its own and none above': ['default_agent in markdown with a model of its own'],
  'modes of earlier versions': ['modes in markdown'],
  'commands: markdown, with files and shell parts': ['commands: a file of the home directory'],
  'providers: options of one that is known': ['providers: bedrock with a region'],
  'providers: headers, limits, costs, variants': ['providers: a local one', 'providers: only some models'],
  'permissions: for all, and by tool': ['permissions: one word', 'permissions: skills and tools by name'],
  'a directory with all kinds': ['skills: of the directory'],
  'plugins: by path, with options': ['plugins: a directory'],
  'snapshots, formatters and LSP on': ['formatters off'],
  'references: of the global configuration': ['references: of a project'],
};
