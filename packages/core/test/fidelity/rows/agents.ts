import { custom, global, json, scripted, type Row } from '../row.ts';

const review = `---
description: Reviews code for quality and best practices
mode: subagent
model: scripted/other
temperature: 0.1
tools:
  write: false
  edit: false
  bash: false
---

You are in code review mode. Focus on:

- Code quality and best practices
`;

/** Agents, modes and commands, in JSON and in markdown. */
export const agentRows: readonly Row[] = [
  custom(
    'agents: the documented ones in JSON',
    {
      ...scripted,
      agent: {
        build: {
          mode: 'primary',
          model: 'scripted/other',
          prompt: '{file:./prompts/build.txt}',
          tools: { write: true, edit: true, bash: true },
        },
        plan: { mode: 'primary', model: 'scripted/small', tools: { write: false, edit: false, bash: false } },
        'code-reviewer': {
          description: 'Reviews code',
          mode: 'subagent',
          model: 'scripted/other',
          prompt: 'You are a code reviewer.',
          tools: { write: false, edit: false },
        },
      },
    },
    { files: { 'conf/prompts/build.txt': 'Build it.' }, turns: [{ prompt: 'x' }, { prompt: 'y', agent: 'plan' }] },
  ),
  global('agents: the documented markdown', scripted, {
    files: {
      'home/.config/opencode/agent/review.md': review,
      'home/.config/opencode/agents/nested/deep.md': '---\ndescription: deep\n---\nDeep.',
    },
    turns: [{ prompt: '@review' }],
  }),
  custom('agents: options that pass through', {
    ...scripted,
    agent: {
      plan: { temperature: 0.1 },
      creative: { temperature: 0.8, top_p: 0.5, color: '#ff8800' },
      quick: { description: 'q', prompt: 'Quick.', maxSteps: 5 },
      slow: { description: 's', steps: 9, hidden: true, mode: 'subagent' },
      review: { disable: true },
      thinker: { description: 't', reasoningEffort: 'high', textVerbosity: 'low', options: { seed: 1 } },
    },
  }),
  custom(
    'agents: wildcards and task permissions',
    {
      ...scripted,
      agent: {
        readonly: { tools: { 'mymcp_*': false, write: false, edit: false } },
        orchestrator: { mode: 'primary', permission: { task: { '*': 'deny', 'orchestrator-*': 'allow', 'code-reviewer': 'ask' } } },
      },
      tools: { write: true, bash: false },
    },
    { turns: [{ prompt: 'x', agent: 'readonly' }] },
  ),
  custom(
    'default_agent with a model of its own and none above',
    { provider: scripted.provider, default_agent: 'docs', agent: { docs: { mode: 'primary', model: 'scripted/other', prompt: 'Docs.' } } },
    { turns: [{ prompt: 'x' }] },
  ),
  global(
    'default_agent in markdown with a model of its own',
    { provider: scripted.provider, default_agent: 'docs' },
    {
      files: { 'home/.config/opencode/agents/docs.md': '---\nmode: primary\nmodel: "scripted/other"\n---\nDocs of markdown.' },
      turns: [{ prompt: 'x' }],
    },
  ),
  custom('default_agent plan', { ...scripted, default_agent: 'plan' }, { turns: [{ prompt: 'x' }] }),
  custom(
    'modes of earlier versions',
    {
      ...scripted,
      mode: { build: { prompt: 'Mode build.' }, ask: { model: 'scripted/other', prompt: 'Mode ask.', tools: { bash: false } } },
    },
    { turns: [{ prompt: 'x', agent: 'ask' }] },
  ),
  global('modes in markdown', scripted, {
    files: { 'home/.config/opencode/mode/chat.md': '---\nmodel: scripted/other\n---\nChat.' },
    turns: [{ prompt: 'x', agent: 'chat' }],
  }),
  global(
    'agents: markdown over JSON',
    { ...scripted, agent: { a: { prompt: 'json', temperature: 0.5, description: 'json' } } },
    { files: { 'home/.config/opencode/agent/a.md': '---\ndescription: markdown\n---\nmarkdown' } },
  ),
  global('agents: permissions with a home directory in markdown', scripted, {
    files: {
      'home/.config/opencode/agent/a.md':
        '---\ndescription: a\npermission:\n  external_directory:\n    "~/notes/**": allow\n    $HOME/src/*: ask\n  edit:\n    \'~/notes/*\': deny\n  read: { "~/x": deny }\n---\nKeep ~/notes as they are.',
    },
  }),
  global('agents: front matter of many kinds', scripted, {
    files: {
      'home/.config/opencode/agent/crlf.md': '---\r\ndescription: crlf\r\nmodel: scripted/other\r\n---\r\nCRLF body.\r\n',
      'home/.config/opencode/agent/bom.md': '\uFEFF---\ndescription: bom\n---\nBOM body.',
      'home/.config/opencode/agent/none.md': 'No front matter.',
      'home/.config/opencode/agent/colon.md': '---\ndescription: with: a colon\n---\nColon.',
      'home/.config/opencode/agent/env.md': '---\ndescription: "{env:HOME}"\n---\n{env:HOME} {file:./x} stays.',
    },
  }),
  global('agents: a broken one', scripted, { files: { 'home/.config/opencode/agent/bad.md': '---\ntemperature: hot\n---\nBad.' } }),
  global('agents: markdown by links', scripted, {
    files: {
      'home/.config/opencode/agent': { link: '../../dotfiles/agent' },
      'home/dotfiles/agent/linked.md': '---\ndescription: linked\n---\nLinked.',
      'home/.config/opencode/command/c.md': { link: '../../../dotfiles/c.md' },
      'home/dotfiles/c.md': 'Linked command.',
    },
  }),
  {
    name: 'the whole directory is a link',
    place: 'global',
    files: {
      'home/.config/opencode': { link: '../dotfiles/opencode' },
      'home/dotfiles/opencode/opencode.json': json({ ...scripted, agent: { a: { prompt: '{file:./a.txt}' } } }),
      'home/dotfiles/opencode/a.txt': 'through a link',
    },
  },
  custom(
    'commands: the documented ones in JSON',
    {
      ...scripted,
      command: {
        test: {
          template: 'Run the full test suite.\nFocus on the failing tests.',
          description: 'Run tests',
          agent: 'build',
          model: 'scripted/other',
        },
        component: { template: 'Create a component named $ARGUMENTS with TypeScript.', description: 'Component' },
        file: { template: 'Create $1 in $2 with: $3' },
      },
    },
    {
      turns: [
        { command: 'test' },
        { command: 'component', arguments: 'Button' },
        { command: 'file', arguments: 'config.json src "{ 1 }"' },
      ],
    },
  ),
  global('commands: markdown, with files and shell parts', scripted, {
    files: {
      'home/.config/opencode/commands/look.md':
        '---\ndescription: Look\nagent: plan\nsubtask: false\n---\nReview @src/a.txt and @~/notes.md now.\n!`echo out of the shell`',
      'home/.config/opencode/command/git/log.md': 'Nested $ARGUMENTS',
      'work/src/a.txt': 'content of a',
      'home/notes.md': 'notes of home',
    },
    turns: [{ command: 'look' }, { command: 'git/log', arguments: 'here' }],
  }),
  custom(
    'commands: a file of the home directory',
    { ...scripted, command: { n: { template: 'Read @~/notes.md, then @missing.txt and mail me@~/x.' } } },
    { files: { 'home/notes.md': 'notes of home' }, turns: [{ command: 'n' }] },
  ),
];
