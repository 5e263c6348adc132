import { custom, global, json, project, scripted, type Row } from '../row.ts';

const { provider } = scripted;

function withKey(apiKey: string): object {
  return { ...scripted, provider: { scripted: { ...provider.scripted, options: { baseURL: '@MODEL@', apiKey } } } };
}

/** `{env:}` and `{file:}`, wherever a text can stand. */
export const variableRows: readonly Row[] = [
  custom(
    'env: the documented model',
    { ...scripted, model: '{env:OPENCODE_MODEL}' },
    { env: { OPENCODE_MODEL: 'scripted/other' }, turns: [{ prompt: 'x' }] },
  ),
  custom('env: an api key', withKey('{env:FIDELITY_KEY}'), { env: { FIDELITY_KEY: 'key-of-the-row-1234' } }),
  custom('env: not set, in a text that nobody needs', {
    ...scripted,
    username: 'me',
    command: { a: { template: 'x{env:FIDELITY_UNSET}y' } },
  }),
  custom('env: not set, as the key of a provider that is not used', {
    ...scripted,
    provider: { ...provider, spare: { npm: '@ai-sdk/openai-compatible', options: { apiKey: '{env:FIDELITY_UNSET}' }, models: { m: {} } } },
  }),
  custom('env: not set, as the key of the model', withKey('{env:FIDELITY_UNSET}')),
  custom(
    'env: in a path',
    { ...scripted, instructions: ['{env:FIDELITY_PLACE}/rules.md'] },
    {
      files: { 'conf/rules.md': 'rule of the place' },
      env: { FIDELITY_PLACE: '@CONF@' },
      turns: [{ prompt: 'x' }],
    },
  ),
  custom('env: HOME in a permission', { ...scripted, permission: { external_directory: { '{env:HOME}/src/**': 'allow' } } }),
  custom(
    'env: a whole value that is no text',
    `{ ${inner(scripted)}, "compaction": { "auto": {env:FIDELITY_AUTO}, "reserved": {env:FIDELITY_RESERVED} } }`,
    {
      env: { FIDELITY_AUTO: 'false', FIDELITY_RESERVED: '1234' },
    },
  ),
  custom(
    'env: several in one text, and in a key',
    { ...scripted, agent: { 'a-{env:FIDELITY_A}': { prompt: '{env:FIDELITY_A}{env:FIDELITY_B}' } } },
    {
      env: { FIDELITY_A: 'one', FIDELITY_B: 'two' },
    },
  ),
  custom(
    'env: a value with a quote, a backslash and a newline',
    { ...scripted, agent: { a: { prompt: '{env:FIDELITY_ODD}' } } },
    {
      env: { FIDELITY_ODD: 'say "hi" \\ and\nmore' },
    },
  ),
  custom(
    'env: a value that names a file',
    { ...scripted, agent: { a: { prompt: '{env:FIDELITY_REF}' } } },
    {
      env: { FIDELITY_REF: '{file:./p.txt}' },
      files: { 'conf/p.txt': 'from the file' },
    },
  ),
  custom('env: in a comment', `{ ${inner(scripted)} // {env:FIDELITY_UNSET}\n, /* {env:FIDELITY_UNSET} */ "username": "me" }`),
  custom(
    'file: beside the configuration, with ./',
    { ...scripted, agent: { a: { prompt: '{file:./prompts/a.txt}' } } },
    {
      files: { 'conf/prompts/a.txt': 'You are a.\n\nSay "yes" \\ no.\n' },
      turns: [{ prompt: 'x', agent: 'a' }],
    },
  ),
  custom(
    'file: beside the configuration, bare',
    { ...scripted, agent: { a: { prompt: '{file:prompts/a.txt}' } } },
    { files: { 'conf/prompts/a.txt': 'bare' } },
  ),
  custom(
    'file: above the configuration',
    { ...scripted, agent: { a: { prompt: '{file:../shared/a.txt}' } } },
    { files: { 'shared/a.txt': 'above' } },
  ),
  global('file: in the home directory', withKey('{file:~/.secrets/openai-key}'), {
    files: { 'home/.secrets/openai-key': 'file-key-of-the-row\n' },
  }),
  custom(
    'file: an absolute path',
    { ...scripted, agent: { a: { prompt: '{file:@ROOT@/elsewhere/a.txt}' } } },
    { files: { 'elsewhere/a.txt': 'absolute' } },
  ),
  global(
    'file: beside the global configuration',
    { ...scripted, agent: { a: { prompt: '{file:./prompts/a.txt}' } } },
    {
      files: { 'home/.config/opencode/prompts/a.txt': 'global prompt' },
    },
  ),
  project(
    'file: of a project',
    { ...scripted, agent: { a: { prompt: '{file:./docs/a.md}' } } },
    { files: { 'work/docs/a.md': '# from the project' } },
  ),
  custom(
    'file: its own tokens stay',
    { ...scripted, agent: { a: { prompt: '{file:./a.txt}' } } },
    { files: { 'conf/a.txt': 'keep {env:HOME} and {file:./b.txt}' } },
  ),
  custom(
    'file: a link',
    { ...scripted, agent: { a: { prompt: '{file:./a.txt}' } } },
    { files: { 'conf/a.txt': { link: '../far/b.txt' }, 'far/b.txt': 'linked' } },
  ),
  custom(
    'file: with a byte order mark and CRLF',
    { ...scripted, agent: { a: { prompt: '{file:./a.txt}' } } },
    { files: { 'conf/a.txt': '\uFEFFone\r\ntwo\r\n' } },
  ),
  custom('file: empty', { ...scripted, agent: { a: { prompt: 'before {file:./a.txt} after' } } }, { files: { 'conf/a.txt': '' } }),
  custom('file: missing', { ...scripted, agent: { a: { prompt: '{file:./missing.txt}' } } }),
  custom('file: a directory', { ...scripted, agent: { a: { prompt: '{file:./dir}' } } }, { files: { 'conf/dir/x': '' } }),
  custom(
    'file: a link to nothing',
    { ...scripted, agent: { a: { prompt: '{file:./a.txt}' } } },
    { files: { 'conf/a.txt': { link: 'nothing' } } },
  ),
  custom('file: commented out', `{\n  // "x": "{file:./missing.txt}",\n  ${inner(scripted)}\n}`),
  custom('file: commented out behind a value', `{ "username": "me", // {file:./missing.txt}\n  ${inner(scripted)}\n}`),
  custom(
    'file: a link to the configuration itself',
    { ...scripted, agent: { a: { prompt: '{file:./a.txt}' } } },
    {
      files: {
        'conf/opencode.json': { link: 'deep/real.json' },
        'conf/deep/real.json': json({ ...scripted, agent: { a: { prompt: '{file:./a.txt}' } } }),
        'conf/a.txt': 'beside the link',
        'conf/deep/a.txt': 'beside the file',
      },
    },
  ),
  custom(
    'file: in a command and in headers',
    {
      ...scripted,
      command: { c: { template: '{file:./c.md}' } },
      mcp: { m: { type: 'remote', url: 'http://127.0.0.1:9/mcp', enabled: false, headers: { Authorization: 'Bearer {file:./token}' } } },
    },
    { files: { 'conf/c.md': 'do $ARGUMENTS', 'conf/token': 'token-of-the-row\n' }, turns: [{ command: 'c', arguments: 'this' }] },
  ),
];

/** An object's fields without its braces. */
function inner(config: object): string {
  return json(config).trim().slice(1, -1);
}
