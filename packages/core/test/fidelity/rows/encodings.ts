import { custom, global, json, project, scripted, type Row } from '../row.ts';

const plain = json(scripted);

/** Bytes and syntax of a configuration file. */
export const encodingRows: readonly Row[] = [
  custom('UTF-8 with a byte order mark', `\uFEFF${plain}`),
  global('UTF-8 with a byte order mark, global', `\uFEFF${plain}`),
  custom('CRLF', plain.replaceAll('\n', '\r\n')),
  custom('UTF-16', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(plain, 'utf16le')])),
  custom(
    'bytes that are not UTF-8',
    Buffer.concat([Buffer.from('{"username":"caf'), Buffer.from([0xe9]), Buffer.from(`",${plain.slice(1)}`)]),
  ),
  custom(
    'comments and trailing commas',
    `// head\n{\n  /* block */ "username": "me", // tail\n  "permission": { "edit": "ask", },\n  ${plain.trim().slice(1, -1)},\n}\n// end`,
  ),
  custom('an empty file', ''),
  custom('an empty object', '{}'),
  custom('a list', '[]'),
  custom('broken', '{ "model": '),
  custom('a text with a slash pair', { ...scripted, agent: { a: { prompt: 'see https://example.com // not a comment' } } }),
  custom('escapes', `{ "agent": { "a": { "prompt": "\\u007benv:HOME} \\u00e9 \\/ tab\\t" } }, ${plain.trim().slice(1)}`),
  custom('a key twice', `{ "username": "one", "username": "two", ${plain.trim().slice(1)}`),
  custom('an unknown key', { ...scripted, something: { else: true } }),
  custom('a field of the wrong kind', { ...scripted, model: 5 }),
  custom('an old field of another product', { ...scripted, permissions: { allow: ['x'] } }),
  project('opencode.jsonc of a project', `{ // c\n ${plain.trim().slice(1)}`, { config: 'work/opencode.jsonc' }),
  {
    name: 'three files of one directory',
    place: 'global',
    files: {
      'home/.config/opencode/config.json': json({
        ...scripted,
        username: 'a',
        agent: { x: { prompt: 'a', temperature: 0.1 } },
        instructions: ['~/a.md'],
      }),
      'home/.config/opencode/opencode.json': json({
        username: 'b',
        agent: { x: { prompt: 'b' }, y: { prompt: 'y' } },
        instructions: ['~/b.md'],
      }),
      'home/.config/opencode/opencode.jsonc': '{ "agent": { "x": { "description": "c" } }, /* c */ }',
    },
  },
  {
    name: 'a directory and a file, joined at every depth',
    place: 'both',
    files: {
      'home/.config/opencode/opencode.json': json({
        ...scripted,
        instructions: ['~/a.md'],
        plugin: ['@fidelity/none-a'],
        permission: { bash: { '*': 'ask', 'git *': 'allow' } },
        agent: { x: { prompt: 'a', temperature: 0.1, permission: { edit: 'deny' } } },
        mcp: { m: { type: 'local', command: ['true'], enabled: false, environment: { A: '1' } } },
      }),
      'conf/opencode.json': json({
        instructions: ['~/b.md', '~/a.md'],
        plugin: ['@fidelity/none-b'],
        permission: { bash: { 'rm *': 'deny' } },
        agent: { x: { prompt: 'b', permission: { webfetch: 'deny' } } },
        mcp: { m: { type: 'local', command: ['false'], enabled: false, environment: { B: '2' } } },
        provider: { scripted: { models: { model: { name: 'Renamed' } } } },
      }),
      'home/a.md': 'rule a',
      'home/b.md': 'rule b',
    },
    turns: [{ prompt: 'x' }],
  },
];
