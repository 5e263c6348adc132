import { custom, global, json, project, scripted, type Row } from '../row.ts';

const plugin = 'export const P = async () => ({})\n';
const skill = (name: string) => `---\nname: ${name}\ndescription: The ${name} skill.\n---\nDo ${name}.`;
const turns = [{ prompt: 'x' }] as const;

/** Permissions, MCP servers, plugins, formatters, language servers, skills and references. */
export const toolRows: readonly Row[] = [
  custom('permissions: for all, and by tool', { ...scripted, permission: { '*': 'ask', bash: 'allow', edit: 'deny' } }, { turns }),
  custom('permissions: one word', { ...scripted, permission: 'allow' }),
  custom('permissions: by pattern, in their order', {
    ...scripted,
    permission: {
      bash: { '*': 'ask', 'git *': 'allow', 'npm *': 'allow', 'rm *': 'deny', 'grep *': 'allow' },
      edit: { '*': 'deny', 'docs/*.mdx': 'allow' },
    },
  }),
  custom('permissions: the home directory', {
    ...scripted,
    permission: {
      external_directory: { '~/projects/personal/**': 'allow', '$HOME/src/*': 'ask', '~': 'deny', '/opt/**': 'allow' },
      edit: { '~/projects/personal/**': 'deny' },
      read: { '*.env': 'ask' },
    },
    agent: { build: { permission: { read: { '$HOME/.ssh/*': 'deny' } } } },
  }),
  custom('permissions: of an agent over those of all', {
    ...scripted,
    permission: { bash: { '*': 'ask', 'git push *': 'deny' } },
    agent: { build: { permission: { bash: { '*': 'ask', 'git commit *': 'ask' }, webfetch: 'deny' } } },
  }),
  custom('permissions: skills and tools by name', {
    ...scripted,
    permission: { skill: { '*': 'allow', 'internal-*': 'deny' }, 'mymcp_*': 'ask', doom_loop: 'allow' },
  }),
  custom('tools switched off', { ...scripted, tools: { write: false, bash: false, webfetch: true } }, { turns }),
  custom(
    'mcp: local and remote, off',
    {
      ...scripted,
      mcp: {
        local: {
          type: 'local',
          command: ['npx', '-y', '@modelcontextprotocol/server-everything'],
          enabled: false,
          environment: { MY_ENV: '{env:FIDELITY_MCP}' },
          timeout: 5000,
        },
        remote: {
          type: 'remote',
          url: 'https://mcp.example.com/mcp',
          enabled: false,
          headers: { Authorization: 'Bearer {env:FIDELITY_MCP}' },
          oauth: { clientId: 'x', scope: 'y' },
        },
        off: { enabled: false },
      },
    },
    { env: { FIDELITY_MCP: 'value-of-the-row' } },
  ),
  custom('mcp: a command that is missing', { ...scripted, mcp: { gone: { type: 'local', command: ['fidelity-no-such-command'] } } }),
  custom(
    'mcp: a working server that is told its environment',
    {
      ...scripted,
      mcp: { echo: { type: 'local', command: ['node', '@CONF@/mcp.mjs'], environment: { FIDELITY_TOOL: '{env:FIDELITY_TOOL}' } } },
    },
    { files: { 'conf/mcp.mjs': mcpServer() }, env: { FIDELITY_TOOL: 'tool_of_the_row' }, turns },
  ),
  custom(
    'plugins: by path, with options',
    { ...scripted, plugin: ['./a.js', ['../b.js', { x: 1 }], '@CONF@/c.js', 'file://@CONF@/d.js'] },
    { files: { 'conf/a.js': plugin, 'b.js': plugin, 'conf/c.js': plugin, 'conf/d.js': plugin } },
  ),
  custom('plugins: a directory', { ...scripted, plugin: ['./dir'] }, { files: { 'conf/dir/index.js': plugin } }),
  global(
    'plugins: files of the directory',
    { ...scripted, plugin: ['./plugin/one.js'] },
    { files: { 'home/.config/opencode/plugin/one.js': toolPlugin(), 'home/.config/opencode/plugins/two.ts': plugin }, turns },
  ),
  global('custom tools of the directory', scripted, {
    files: {
      'home/.config/opencode/tools/greet.js': 'export default { description: "Greets", args: {}, async execute() { return "hi" } }\n',
    },
    turns,
  }),
  custom('formatters of the documentation', {
    ...scripted,
    formatter: {
      prettier: { disabled: true },
      'custom-prettier': {
        command: ['npx', 'prettier', '--write', '$FILE'],
        environment: { NODE_ENV: 'development' },
        extensions: ['.js', '.ts'],
      },
    },
  }),
  custom('formatters off', { ...scripted, formatter: false }),
  custom(
    'language servers',
    {
      ...scripted,
      lsp: {
        typescript: { disabled: true },
        custom: { command: ['custom-lsp', '--stdio'], extensions: ['.custom'], env: { A: '{env:FIDELITY_LSP}' }, initialization: { a: 1 } },
      },
    },
    { env: { FIDELITY_LSP: 'a' } },
  ),
  global('skills: of the directory', scripted, {
    files: { 'home/.config/opencode/skills/one/SKILL.md': skill('one'), 'home/.config/opencode/skill/two/SKILL.md': skill('two') },
    turns,
  }),
  custom(
    'skills: by path',
    { ...scripted, skills: { paths: ['~/skills', '@ROOT@/absolute', 'relative'] } },
    {
      files: {
        'home/skills/three/SKILL.md': skill('three'),
        'absolute/four/SKILL.md': skill('four'),
        'work/relative/five/SKILL.md': skill('five'),
      },
      turns,
    },
  ),
  global(
    'references: of the global configuration',
    {
      ...scripted,
      references: {
        docs: { path: '../docs', description: 'The docs' },
        home: '~/library',
        abs: { path: '@ROOT@/abs', description: 'Absolute' },
        dot: './dot',
      },
    },
    { files: { 'home/.config/docs/x': '', 'home/library/x': '', 'abs/x': '', 'home/.config/opencode/dot/x': '' }, turns },
  ),
  project(
    'references: of a project',
    { ...scripted, references: { docs: { path: '../docs', description: 'The docs' } } },
    { files: { 'docs/x': '' }, turns },
  ),
  global(
    'the old name of references',
    { ...scripted, reference: { docs: { path: '../docs', description: 'The docs' } } },
    { files: { 'home/.config/docs/x': '' }, turns },
  ),
  {
    name: 'a directory with all kinds',
    place: 'both',
    files: {
      'home/.config/opencode/opencode.jsonc': json({ ...scripted, permission: { bash: 'ask' }, plugin: ['./plugins/two.js'] }),
      'home/.config/opencode/plugins/two.js': plugin,
      'home/.config/opencode/agents/a.md': '---\ndescription: a\n---\nA.',
      'home/.config/opencode/commands/c.md': 'C $ARGUMENTS',
      'home/.config/opencode/skills/s/SKILL.md': skill('s'),
      'home/.config/opencode/AGENTS.md': 'global rules',
      'conf/opencode.json': json({ agent: { build: { prompt: '{file:./build.md}' } }, instructions: ['docs/*.md'] }),
      'conf/build.md': 'Build well.',
      'work/docs/one.md': 'doc one',
    },
    turns: [{ prompt: 'x' }, { command: 'c', arguments: 'now' }],
  },
];

/** A plugin that says how often it was loaded. */
function toolPlugin(): string {
  return `globalThis.__fidelity = (globalThis.__fidelity ?? 0) + 1
export const One = async () => ({
  config: async (config) => { config.command = { ...config.command, ['loaded-' + globalThis.__fidelity]: { template: 'x' } } },
})
`;
}

/** An MCP server with one tool, named by its environment. */
function mcpServer(): string {
  return `import { createInterface } from 'node:readline'
const say = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n')
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize') say(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1' } })
  else if (method === 'tools/list') say(id, { tools: [{ name: process.env.FIDELITY_TOOL || 'none', description: 'd', inputSchema: { type: 'object', properties: {} } }] })
  else if (id !== undefined) say(id, {})
}
`;
}
