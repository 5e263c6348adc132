import { custom, fifo, global, project, scripted, type Row } from '../row.ts';

const turns = [{ prompt: 'x' }] as const;

function instructions(...entries: string[]): object {
  return { ...scripted, instructions: entries };
}

/** What of `instructions` reaches the model. */
export const instructionRows: readonly Row[] = [
  project(
    'instructions: of a project, all kinds at once',
    instructions(
      'CONTRIBUTING.md',
      'docs/guidelines.md',
      '.cursor/rules/*.md',
      './custom-instructions.md',
      '../outside.md',
      'packages/*/AGENTS.md',
      '**/RULES.md',
      'missing.md',
      'dir',
      'link.md',
      'dangling.md',
      'out.md',
      'AGENTS.md',
      'A.md',
      './A.md',
      'A*.md',
      'http://127.0.0.1:9/style.md',
      'my rules.md',
      '[b].md',
      '{ONE,TWO}.md',
      'EMPTY.md',
      'BLANK.md',
    ),
    {
      files: {
        'work/CONTRIBUTING.md': 'contribute',
        'work/docs/guidelines.md': 'guide',
        'work/.cursor/rules/a.md': 'rule a',
        'work/custom-instructions.md': 'custom',
        'outside.md': 'outside',
        'work/packages/a/AGENTS.md': 'package a',
        'work/RULES.md': 'top',
        'work/.hidden/RULES.md': 'hidden',
        'work/a/b/RULES.md': 'deep',
        'work/dir/x': '',
        'work/target.md': 'target',
        'work/link.md': { link: 'target.md' },
        'work/dangling.md': { link: 'nowhere' },
        'work/out.md': { link: '../secret.md' },
        'secret.md': 'outside the repository',
        'work/AGENTS.md': 'agents',
        'work/A.md': 'a',
        'work/my rules.md': 'spaced',
        'work/b.md': 'bracket',
        'work/ONE.md': 'one',
        'work/TWO.md': 'two',
        'work/EMPTY.md': '',
        'work/BLANK.md': ' \n',
      },
      turns,
    },
  ),
  global(
    'instructions: of the global directory, all kinds at once',
    instructions(
      '~/rules.md',
      '~/rules/*.md',
      'STYLE.md',
      'instructions/*.md',
      '@ROOT@/rules/a.md',
      '@ROOT@/rules/*.txt',
      '@ROOT@/**/deep.md',
    ),
    {
      files: {
        'home/rules.md': 'rules of home',
        'home/rules/one.md': 'one of many',
        'work/STYLE.md': 'style of the work',
        'home/.config/opencode/STYLE.md': 'style of the directory',
        'home/.config/opencode/instructions/x.md': 'of the directory',
        'home/.config/opencode/AGENTS.md': 'global agents',
        'work/AGENTS.md': 'agents of the work',
        'rules/a.md': 'absolute a',
        'rules/b.txt': 'absolute b',
        'rules/x/deep.md': 'deep',
      },
      turns,
    },
  ),
  project('instructions: the documented ones', instructions('CONTRIBUTING.md', 'docs/guidelines.md', '.cursor/rules/*.md'), {
    files: { 'work/CONTRIBUTING.md': 'contribute', 'work/docs/guidelines.md': 'guide', 'work/.cursor/rules/a.md': 'rule a' },
    turns,
  }),
  project('instructions: ./ and a directory above', instructions('./custom-instructions.md', '../outside.md'), {
    files: { 'work/custom-instructions.md': 'custom', 'outside.md': 'outside' },
    turns,
  }),
  project('instructions: of every package', instructions('packages/*/AGENTS.md'), {
    files: { 'work/packages/a/AGENTS.md': 'package a', 'work/AGENTS.md': 'root agents' },
    turns,
  }),
  project('instructions: at any depth', instructions('**/RULES.md'), {
    files: { 'work/RULES.md': 'top', 'work/.hidden/RULES.md': 'hidden', 'work/a/b/RULES.md': 'deep' },
    turns,
  }),
  project('instructions: found above the session', instructions('TEAM.md'), {
    files: { 'work/TEAM.md': 'team at the root', 'work/sub/TEAM.md': 'team below', 'work/sub/x': '' },
    session: 'sub',
    turns,
  }),
  global('instructions: in the home directory', instructions('~/rules.md', '~/rules/*.md'), {
    files: { 'home/rules.md': 'rules of home', 'home/rules/one.md': 'one of many' },
    turns,
  }),
  global('instructions: relative, in the global configuration', instructions('STYLE.md', 'instructions/*.md'), {
    files: {
      'work/STYLE.md': 'style of the work',
      'home/.config/opencode/STYLE.md': 'style of the directory',
      'home/.config/opencode/instructions/x.md': 'of the directory',
    },
    turns,
  }),
  custom('instructions: relative, in a custom configuration', instructions('STYLE.md', './more.md'), {
    files: { 'work/STYLE.md': 'style of the work', 'conf/STYLE.md': 'style of the file', 'conf/more.md': 'more of the file' },
    turns,
  }),
  custom('instructions: absolute', instructions('@ROOT@/rules/a.md', '@ROOT@/rules/*.txt', '@ROOT@/**/deep.md'), {
    files: { 'rules/a.md': 'absolute a', 'rules/b.txt': 'absolute b', 'rules/x/deep.md': 'deep' },
    turns,
  }),
  project('instructions: missing, a directory, a link', instructions('missing.md', 'dir', 'link.md', 'dangling.md'), {
    files: { 'work/dir/x': '', 'work/target.md': 'target', 'work/link.md': { link: 'target.md' }, 'work/dangling.md': { link: 'nowhere' } },
    turns,
  }),
  project('instructions: a link that leads out', instructions('out.md'), {
    files: { 'work/out.md': { link: '../secret.md' }, 'secret.md': 'outside the repository' },
    turns,
  }),
  project('instructions: one file twice, and AGENTS.md by name', instructions('AGENTS.md', 'A.md', './A.md', '*.md'), {
    files: { 'work/AGENTS.md': 'agents', 'work/A.md': 'a' },
    turns,
  }),
  project('instructions: a URL that does not answer', instructions('http://127.0.0.1:9/style.md'), { turns }),
  project('instructions: a name with a space and brackets', instructions('my rules.md', '[a].md'), {
    files: { 'work/my rules.md': 'spaced', 'work/a.md': 'bracket' },
    turns,
  }),
  project('instructions: braces', instructions('{ONE,TWO}.md'), { files: { 'work/ONE.md': 'one', 'work/TWO.md': 'two' }, turns }),
  project('instructions: empty and blank files', instructions('EMPTY.md', 'BLANK.md'), {
    files: { 'work/EMPTY.md': '', 'work/BLANK.md': ' \n' },
    turns,
  }),
  global(
    'AGENTS.md of the global directory',
    { ...scripted },
    { files: { 'home/.config/opencode/AGENTS.md': 'global agents', 'work/AGENTS.md': 'agents of the work' }, turns },
  ),
  project('instructions: CLAUDE.md and CONTEXT.md, where there is no AGENTS.md', scripted, {
    files: { 'work/CLAUDE.md': 'claude', 'work/CONTEXT.md': 'context' },
    turns,
  }),
  project(
    'instructions: AGENTS.md with a byte order mark beside CLAUDE.md, and named by an absolute pattern',
    instructions('@ROOT@/work/*S.md'),
    {
      files: { 'work/AGENTS.md': '\uFEFFagents', 'work/CLAUDE.md': 'claude', 'work/NOTES.md': 'notes' },
      turns,
    },
  ),
  global(
    'a FIFO and links to nothing in the directory',
    { ...scripted },
    {
      files: {
        'home/.config/opencode/agent/pipe.txt': fifo,
        'home/.config/opencode/agent/gone.md': { link: 'nowhere.md' },
        'home/.config/opencode/theme.json': { link: 'nowhere.json' },
        'home/.config/opencode/agent/there.md': '---\ndescription: there\n---\nI am there.',
        'home/.config/opencode/loop': { link: '.' },
      },
    },
  ),
];
