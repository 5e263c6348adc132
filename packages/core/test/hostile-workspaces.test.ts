import { appendFile, chmod, chown, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ErrorCode, OpencodeServer } from '@opencode-manager/core';
import { createMessageIds, protocolNamed } from '../src/protocol/index.ts';
import { failureOf } from './support/failure.ts';
import { hostilePlace, pluginThatLeaves, type HostilePlace } from './support/hostile-place.ts';
import { startBench, type Bench } from './support/server.ts';
import { by, isV2 } from './support/tested.ts';

const secret = 'SECRET-OF-SOMEBODY-ELSE';
const isRoot = process.getuid?.() === 0;
const stranger = 65_534;

/** One fault of a workspace. The workspace is `w` below the place, a repository of its own unless `bare`. */
interface Row {
  readonly name: string;
  readonly bare?: boolean;
  readonly put: (place: HostilePlace) => Promise<unknown>;
  /** Where the session works; `w` when absent. */
  readonly directory?: string;
  /** Goes on while the turn begins. */
  readonly meanwhile?: (place: HostilePlace) => Promise<unknown>;
  /** The turn is refused so, before anything is sent; absent: it is answered. */
  readonly refused?: { readonly code: ErrorCode; readonly saying: string };
  /** What a note says, or each of several; with none, nothing is skipped. */
  readonly note?: string | readonly string[];
  /** What the model is sent of it. */
  readonly sent?: string | readonly string[];
  readonly asRoot?: boolean;
}

const untrusted = (saying: string) => ({ code: 'WORKSPACE_UNTRUSTED', saying }) as const;
const unreadable = (saying: string) => ({ code: 'WORKSPACE_UNREADABLE', saying }) as const;

interface InstructionFile {
  /** Puts it into the directory `at`. */
  readonly put: (place: HostilePlace, at: string) => Promise<unknown>;
  readonly note?: string;
  readonly sent?: string;
}

const up = (at: string) => '../'.repeat(at.split('/').length);

const instructionFiles: readonly InstructionFile[] = [
  { put: (p, at) => p.link(`${at}/AGENTS.md`, '/proc/self/environ'), note: 'leads out of' },
  { put: (p, at) => p.link(`${at}/AGENTS.md`, `${up(at)}secret`), note: 'leads out of' },
  {
    put: async (p, at) => {
      await p.link(`${at}/docs`, `${up(at)}other`);
      await p.link(`${at}/AGENTS.md`, 'docs/secret');
    },
    note: 'leads out of',
  },
  {
    put: async (p, at) => {
      await p.file(`${at}/docs/agents.md`, 'INSIDE-RULES');
      await p.link(`${at}/AGENTS.md`, 'docs/agents.md');
    },
    sent: 'INSIDE-RULES',
  },
  {
    put: async (p, at) => {
      await p.fifo(`${at}/pipe`);
      await p.link(`${at}/AGENTS.md`, 'pipe');
    },
    note: 'is not a regular file (FIFO)',
  },
  { put: (p, at) => p.fifo(`${at}/AGENTS.md`), note: 'is not a regular file (FIFO)' },
  { put: (p, at) => p.link(`${at}/AGENTS.md`, '/dev/zero'), note: 'leads out of' },
  { put: (p, at) => p.directory(`${at}/AGENTS.md`), note: 'is not a regular file (directory)' },
  { put: (p, at) => p.link(`${at}/AGENTS.md`, 'nothing'), note: 'is a link to nothing' },
  { put: (p, at) => p.link(`${at}/AGENTS.md`, 'AGENTS.md'), note: 'is a loop of links' },
  { put: (p, at) => p.file(`${at}/AGENTS.md`, `LARGE-RULES ${'x'.repeat(300 * 1024)}`), note: 'is larger than 256 KB' },
  {
    put: (p, at) => p.file(`${at}/AGENTS.md`, Buffer.concat([Buffer.from('LATIN-RULES '), Buffer.from([0xe9, 0xff])])),
    note: 'holds bytes that are not UTF-8',
    sent: 'LATIN-RULES',
  },
];

/** The first in the repository's root, each of the others one directory below the one before. */
const levelOf = (index: number) => ['w', ...Array.from({ length: index }, (_, level) => `d${level + 1}`)].join('/');

const rows: readonly Row[] = [
  // Instructions
  {
    // Each in a directory of its own: opencode reads those of all directories above a session.
    name: 'an AGENTS.md of every kind above the session',
    put: async (p) => {
      await p.file('secret', secret);
      await p.file('other/secret', secret);
      for (const [index, { put }] of instructionFiles.entries()) await put(p, levelOf(index));
      await p.directory(levelOf(instructionFiles.length - 1));
    },
    directory: levelOf(instructionFiles.length - 1),
    note: instructionFiles.flatMap(({ note }, index) => (note === undefined ? [] : [`${levelOf(index)}/AGENTS.md ${note}`])).toReversed(),
    sent: instructionFiles.flatMap(({ sent }) => sent ?? []),
  },
  {
    name: 'AGENTS.md files that are too much together',
    put: async (p) => {
      for (const index of [0, 1, 2]) await p.file(`${levelOf(index)}/AGENTS.md`, `RULES-${index} ${'x'.repeat(100 * 1024)}`);
    },
    directory: levelOf(2),
    note: '/w/AGENTS.md was not sent: with the files nearer to the session it has more than 256 KB',
    sent: ['RULES-1', 'RULES-2'],
  },
  {
    // No AGENTS.md beside a CLAUDE.md: opencode 1 reads one only then, opencode 2 never.
    name: 'what opencode can live without, each with a note: instructions that lead out, links to nothing, a FIFO, a thousand directories',
    put: async (p) => {
      await p.file('secret', secret);
      await p.link('w/.opencode', 'nothing');
      await p.link(`w/sub/${by({ v1: 'CLAUDE.md', v2: 'AGENTS.md' })}`, '../../secret');
      await p.link('w/sub/opencode.json', 'nothing');
      await p.fifo('w/sub/.opencode/pipe');
      await p.link('w/sub/.opencode/command/up', '..');
      await p.file(`w/sub/.opencode/${'d/'.repeat(1000)}x.md`);
    },
    directory: 'w/sub',
    note: [
      'sub/opencode.json is a link to nothing; opencode cannot read it either',
      'sub/.opencode/pipe is not a regular file (FIFO)',
      'sub/.opencode is more than 16 directories deep',
      'w/.opencode is a link to nothing',
      `sub/${by({ v1: 'CLAUDE.md', v2: 'AGENTS.md' })} leads out of`,
    ],
  },
  {
    name: 'AGENTS.md grows while it is read',
    put: (p) => p.file('w/AGENTS.md', 'x'.repeat(250 * 1024)),
    meanwhile: async (p) => {
      for (let at = 0; at < 200; at += 1) await appendFile(p.at('w/AGENTS.md'), 'y'.repeat(1024));
    },
  },
  // What opencode itself would read
  {
    name: 'opencode.json is a FIFO',
    put: (p) => p.fifo('w/opencode.json'),
    refused: unreadable('opencode.json is not a regular file (FIFO)'),
  },
  {
    name: 'opencode.json never ends',
    put: (p) => p.link('w/opencode.json', '/dev/zero'),
    refused: unreadable('opencode.json is not a regular file (device)'),
  },
  {
    name: 'opencode.json is a directory',
    put: (p) => p.directory('w/opencode.jsonc'),
    refused: unreadable('opencode.jsonc is not a regular file (directory)'),
  },
  {
    name: 'opencode.json is too large to look for plugins in it',
    put: (p) => p.file('w/opencode.json', `{${' '.repeat(1024 * 1024)}"plugin":["x"]}`),
    refused: unreadable('opencode.json is larger than 1024 KB'),
  },
  {
    name: 'a command is a FIFO',
    put: (p) => p.fifo('w/.opencode/command/x.md'),
    refused: unreadable('.opencode/command/x.md is not a regular file (FIFO)'),
  },
  {
    name: '.opencode leads to itself',
    put: (p) => p.link('w/.opencode', '.opencode'),
    refused: unreadable('.opencode is a loop of links'),
  },
  { name: '.opencode is a FIFO', put: (p) => p.fifo('w/.opencode'), refused: unreadable('.opencode is not a regular file (FIFO)') },
  { name: '.opencode is a file', put: (p) => p.file('w/.opencode'), refused: unreadable('.opencode is not a directory') },
  {
    name: 'opencode.json leads to itself',
    put: (p) => p.link('w/.opencode/opencode.json', 'opencode.json'),
    refused: unreadable('.opencode/opencode.json is a loop of links'),
  },
  // Plugins, found as opencode finds them
  { name: 'a plugin', put: (p) => p.plugin('w/.opencode/plugin/x.js'), refused: untrusted('.opencode/plugin/x.js') },
  {
    // opencode takes them though project configuration is off.
    name: 'references of the workspace, which would open /etc to the agent',
    put: (p) => p.file('w/opencode.json', JSON.stringify({ references: { evil: { path: '/etc', description: 'EVIL' } } })),
    refused: untrusted('names references'),
  },
  {
    name: 'a plugin key behind a byte order mark',
    put: (p) => p.file('w/.opencode/opencode.json', '\uFEFF{ "plugin": ["x"] }'),
    refused: untrusted('plugin in '),
  },
  {
    name: 'a plugin key behind five thousand files',
    put: async (p) => {
      p.files('w/.opencode/a', 5100);
      await p.file('w/.opencode/opencode.json', '{ "plugins": { "x": {} } }');
    },
    refused: untrusted('plugins in '),
  },
  {
    name: 'more files than are compared, which is no fault',
    put: async (p) => {
      p.files('w/.opencode/a', 5100);
    },
    note: '.opencode has more than 5000 entries',
  },
  {
    name: '.opencode leads to plugins elsewhere',
    put: async (p) => {
      await p.plugin('elsewhere/plugins/x.js');
      await p.link('w/.opencode', '../elsewhere');
    },
    refused: untrusted('.opencode/plugins/x.js'),
  },
  {
    name: 'an empty .git below a plugin',
    put: async (p) => {
      await p.plugin('w/.opencode/plugin/x.js');
      await p.directory('w/sub/.git');
    },
    directory: 'w/sub',
    refused: untrusted('w/.opencode/plugin/x.js'),
  },
  {
    name: 'a .git of garbage below a plugin',
    put: async (p) => {
      await p.plugin('w/.opencode/plugin/x.js');
      await p.file('w/sub/.git', 'garbage');
    },
    directory: 'w/sub',
    refused: untrusted('w/.opencode/plugin/x.js'),
  },
  {
    name: 'a .git that is a FIFO below a plugin',
    put: async (p) => {
      await p.plugin('w/.opencode/plugin/x.js');
      await p.fifo('w/sub/.git');
    },
    directory: 'w/sub',
    refused: untrusted('w/.opencode/plugin/x.js'),
  },
  {
    name: 'a .git that never ends below a plugin',
    put: async (p) => {
      await p.plugin('w/.opencode/plugin/x.js');
      await p.link('w/sub/.git', '/dev/zero');
    },
    directory: 'w/sub',
    refused: untrusted('w/.opencode/plugin/x.js'),
  },
  {
    name: 'a repository whose configuration is a FIFO, which git would wait for',
    put: async (p) => {
      await rm(p.at('w/.git/config'));
      await p.fifo('w/.git/config');
    },
    refused: unreadable('git does not answer in'),
  },
  {
    name: 'a .git that points to a repository with a worktree elsewhere',
    put: async (p) => {
      await p.repository('other');
      await p.git('other', 'config', 'core.worktree', p.at('other'));
      await p.plugin('w/.opencode/plugin/x.js');
      await p.file('w/sub/.git', `gitdir: ${p.at('other/.git')}\n`);
    },
    directory: 'w/sub',
    refused: untrusted('w/.opencode/plugin/x.js'),
  },
  {
    name: 'a worktree configured above the plugin',
    put: async (p) => {
      await p.plugin('.opencode/plugin/x.js');
      await p.git('w', 'config', 'core.worktree', '../..');
    },
    refused: untrusted('.opencode/plugin/x.js'),
  },
  // Outside git, up to /
  {
    name: 'a workspace outside git below a directory of all',
    bare: true,
    put: (p) => p.file('w/x'),
    refused: untrusted('can be written by everybody'),
  },
  {
    name: 'a workspace outside git below a plugin',
    bare: true,
    put: async (p) => {
      await p.plugin('.opencode/plugin/x.js');
      await p.directory('w');
    },
    refused: untrusted('.opencode/plugin/x.js'),
  },
  {
    name: 'a workspace outside git below a directory of a stranger',
    bare: true,
    asRoot: true,
    put: async (p) => {
      await p.directory('theirs/w');
      await chown(p.at('theirs'), stranger, stranger);
    },
    directory: 'theirs/w',
    refused: untrusted('theirs above it belongs to another user'),
  },
  {
    name: 'a repository between the workspace and a directory of a stranger, which is no fault',
    bare: true,
    asRoot: true,
    put: async (p) => {
      await p.repository('theirs/w');
      await chown(p.at('theirs'), stranger, stranger);
    },
    directory: 'theirs/w',
  },
  {
    name: "a directory of a stranger's repository",
    bare: true,
    asRoot: true,
    put: async (p) => {
      await p.repository('theirs');
      await p.plugin('theirs/.opencode/plugin/x.js');
      await p.directory('theirs/sub');
      for (const path of ['theirs', 'theirs/.git']) await chown(p.at(path), stranger, stranger);
    },
    directory: 'theirs/sub',
    refused: untrusted('theirs/.opencode/plugin/x.js'),
  },
  // Ways to a workspace
  {
    name: 'a workspace a hundred directories deep, and a plugin above its repository, which are no fault',
    put: async (p) => {
      await p.plugin('.opencode/plugin/x.js');
      await p.directory(`w/${'d/'.repeat(100)}end`);
    },
    directory: `w/${'d/'.repeat(100)}end`,
  },
  {
    name: 'a repository that is reached over a link',
    put: async (p) => {
      await p.plugin('.opencode/plugin/x.js');
      await p.file('w/AGENTS.md', 'LINKED-RULES');
      await p.link('way/to/it', '../../w');
    },
    directory: 'way/to/it',
    sent: 'LINKED-RULES',
  },
];

let bench: Bench;
let root: string;

beforeAll(async () => {
  bench = await startBench([
    { when: { user: /^run /, toolResult: /./ }, reply: 'Ran.' },
    {
      when: { user: /^run / },
      reply: ({ user }) => ({ toolCalls: [{ name: 'bash', arguments: { command: user.slice('run '.length), description: 'run it' } }] }),
    },
    { when: { user: /^write /, toolResult: /./ }, reply: ({ toolResult }) => `Said: ${toolResult}` },
    {
      when: { user: /^write / },
      reply: ({ user }) => ({ toolCalls: [{ name: 'write', arguments: { filePath: user.slice('write '.length), content: 'x' } }] }),
    },
    { reply: 'Done.' },
  ]);
  root = await mkdtemp(join(tmpdir(), 'opencode-manager-hostile-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
  await bench[Symbol.asyncDispose]();
});

let places = 0;

/** A fresh place; the repository `w` is in it. */
async function newPlace({ bare = false } = {}): Promise<HostilePlace> {
  places += 1;
  await mkdir(join(root, String(places)));
  const place = hostilePlace(join(root, String(places), 'p'));
  await place.directory('.');
  if (!bare) await place.repository('w');
  return place;
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** What the model was sent while something was done. */
async function sentDuring(work: () => Promise<unknown>): Promise<string> {
  const before = bench.model.calls.length;
  await work();
  return JSON.stringify(bench.model.calls.slice(before).map(({ messages }) => messages));
}

describe('hostile workspaces', () => {
  for (const row of rows) {
    test.skipIf(row.asRoot === true && !isRoot)(row.name, { timeout: 60_000 }, async () => {
      const place = await newPlace(row);
      await row.put(place);
      const directory = place.at(row.directory ?? 'w');
      const { server } = bench;
      const notesBefore = new Set(server.notes());
      let answer: string | undefined;
      const sent = await sentDuring(async () => {
        const turn = async () => (await (await server.createSession({ directory })).prompt('hello', { timeoutMs: 45_000 })).text;
        if (row.refused) {
          const error = await failureOf(turn());
          expect([error.code, error.message]).toEqual([row.refused.code, expect.stringContaining(row.refused.saying)]);
        } else [answer] = await Promise.all([turn(), row.meanwhile?.(place)]);
      });
      const notes = server.notes().filter((note) => !notesBefore.has(note));
      expect(answer).toBe(row.refused ? undefined : 'Done.');
      if (row.note === undefined) expect(row.meanwhile ? [] : notes).toEqual([]);
      else expect(notes).toEqual([row.note].flat().map((said) => expect.stringContaining(said)));
      for (const text of [row.sent ?? []].flat()) expect(sent).toContain(text);
      for (const never of [secret, 'LARGE-RULES', 'PATH=']) expect(sent).not.toContain(never);
      expect(await exists(place.ran)).toBe(false);
    });
  }

  test(`the plugin of these rows ${by({ v1: 'would run', v2: 'does not run (with projectConfig all it would, see below)' })}, were nothing checked`, async () => {
    const place = await newPlace();
    const { server } = bench;
    const session = await server.createSession({ directory: place.at('w') });
    await place.plugin('w/.opencode/plugin/x.js');
    const messageId = createMessageIds().next();
    const unchecked = protocolNamed(server.protocol).calls(server.client).session(session.id, session.directory);
    await unchecked.submit({ kind: 'prompt', messageId, parts: [{ type: 'text', text: 'hi' }] });
    await vi.waitFor(async () => expect((await session.messages()).at(-1)?.info).toHaveProperty('completedAtMs'), { timeout: 15_000 });
    await vi.waitFor(async () => expect(await exists(place.ran)).toBe(by({ v1: true, v2: false })), { timeout: 15_000 });
    await vi.waitFor(async () => expect(await session.getState()).toMatchObject({ status: 'idle' }), { timeout: 15_000 });
  });

  test.skipIf(isRoot)('an AGENTS.md that may not be read is left out, and told (not as root, who may read everything)', async () => {
    const place = await newPlace();
    await place.file('w/AGENTS.md', secret);
    await chmod(place.at('w/AGENTS.md'), 0);
    expect((await bench.server.checkWorkspace(place.at('w'))).notes).toEqual([expect.stringContaining('cannot be read (EACCES)')]);
  });
});

/** What an agent does in a turn with the bash tool, in a workspace that was trusted. Works in `w`, or in `w/sub`. */
interface Deed {
  readonly name: string;
  readonly before?: (place: HostilePlace) => Promise<unknown>;
  readonly directory?: string;
  readonly command: (place: HostilePlace) => string;
  readonly changes: readonly string[];
}

/** The plugin stands outside the workspace. */
const anywhere = [{ permission: 'external_directory', pattern: '*', action: 'allow' as const }];

const plant = (path: string) => (place: HostilePlace) => `mkdir -p $(dirname ${path}) && cp ${place.at('planted.js')} ${path}`;

const deeds: readonly Deed[] = [
  {
    name: 'plants a plugin above, names one, rewrites a command in place with its size and time, and writes through a link that the deny rule does not know',
    before: (p) => p.file('w/sub/.opencode/command/x.md', 'say hello'),
    directory: 'w/sub',
    command: (p) =>
      [
        plant('../.opencode/plugins/x.js')(p),
        `echo '{"plugin":["./x.js"]}' > opencode.json`,
        'touch -r .opencode/command/x.md t && printf "say hallo" > .opencode/command/x.md && touch -r t .opencode/command/x.md',
        `ln -s .opencode side && ${plant('side/plugin/x.js')(p)}`,
      ].join(' && '),
    changes: [
      'w/.opencode/plugins/x.js is new',
      'w/sub/opencode.json is new',
      'w/sub/.opencode/command/x.md has changed',
      'w/sub/.opencode/plugin/x.js is new',
    ],
  },
  {
    name: 'turns .opencode into a link',
    before: (p) => p.file('w/.opencode/command/x.md', 'say hello'),
    command: () => 'cp -r .opencode ../evil && rm -r .opencode && ln -s ../evil .opencode',
    changes: ['.opencode has changed'],
  },
  {
    name: 'takes the repository away, so that what lies above counts',
    before: (p) => p.repository('.'),
    command: () => 'mv .git gone',
    changes: ['its repository was'],
  },
];

describe('what an agent writes is not loaded by a later turn', () => {
  for (const deed of deeds) {
    test(`an agent ${deed.name}`, async () => {
      const place = await newPlace();
      await place.plugin('planted.js');
      await place.directory(deed.directory ?? 'w');
      await deed.before?.(place);
      const session = await bench.server.createSession({ directory: place.at(deed.directory ?? 'w'), permission: anywhere });
      // opencode looks for plugins in the background of the first turn (docs/security.md); that is over after this one.
      expect((await session.prompt('hello')).text).toBe('Done.');
      // The turn in which it happens ends as usual.
      expect((await session.prompt(`run ${deed.command(place)}`)).text).toBe('Ran.');
      await bench.server.disposeDirectory(session.directory);
      const sent = await sentDuring(async () => {
        const error = await failureOf(session.prompt('hello'));
        expect(error.code).toBe('WORKSPACE_CHANGED');
        expect(error.details['changes']).toEqual(expect.arrayContaining(deed.changes.map((change) => expect.stringContaining(change))));
        expect(error.message).toContain('has changed since its first use: ');
        expect((await failureOf(session.executeShell('true'))).code).toBe('WORKSPACE_CHANGED');
        expect((await failureOf(session.executeCommand('init'))).code).toBe('WORKSPACE_CHANGED');
        expect((await failureOf(bench.server.createSession({ directory: session.directory }))).code).toBe('WORKSPACE_CHANGED');
      });
      expect(sent).toBe('[]');
      expect(await exists(place.ran)).toBe(false);
    });
  }

  test('what is put back is trusted again; a change can be accepted, a plugin cannot', async () => {
    const place = await newPlace();
    const { server } = bench;
    const session = await server.createSession({ directory: place.at('w') });
    await session.prompt('run mkdir -p .opencode/command; echo x > .opencode/command/x.md');
    expect((await failureOf(session.prompt('hello'))).code).toBe('WORKSPACE_CHANGED');
    await rm(place.at('w/.opencode'), { recursive: true });
    expect((await session.prompt('hello')).text).toBe('Done.');
    await place.file('w/.opencode/command/y.md', 'y');
    expect((await server.checkWorkspace(session.directory, { acceptChanges: true })).notes).toEqual([
      expect.stringContaining('.opencode is new'),
      expect.stringContaining('.opencode/command is new'),
      expect.stringContaining('.opencode/command/y.md is new'),
      expect.stringContaining('configuration of the workspace is not used (.opencode/command/y.md)'),
    ]);
    expect((await session.prompt('hello')).text).toBe('Done.');
    await place.plugin('w/.opencode/plugin/x.js');
    const refusal = await failureOf(server.checkWorkspace(session.directory, { acceptChanges: true }));
    expect([refusal.code, refusal.message]).toEqual(['WORKSPACE_UNTRUSTED', expect.stringContaining('x.js')]);
  });

  test('the edit tools are denied what lies below .opencode', async () => {
    const place = await newPlace();
    await place.directory('w/sub');
    const session = await bench.server.createSession({
      directory: place.at('w/sub'),
      permission: [{ permission: '*', pattern: '*', action: 'allow' }],
    });
    for (const path of ['w/.opencode/plugin/x.js', 'w/sub/.opencode/command/x.md']) {
      expect((await session.prompt(`write ${place.at(path)}`)).text).toContain(
        by({ v1: 'The user has specified a rule which prevents you', v2: 'Permission denied: edit' }),
      );
      expect(await exists(place.at(path))).toBe(false);
    }
    expect((await session.prompt(`write ${place.at('w/sub/other.md')}`)).text).toContain(
      by({ v1: 'Wrote file successfully', v2: 'Created file successfully' }),
    );
  });

  test('nor by the next server, after a crash or beside the old one', async () => {
    const place = await newPlace();
    await using own = await startBench(
      [
        { when: { user: /^run /, toolResult: /./ }, reply: 'Ran.' },
        {
          when: { user: /^run / },
          reply: { toolCalls: [{ name: 'bash', arguments: { command: plant('.opencode/plugin/x.js')(place), description: 'x' } }] },
        },
        { reply: 'Done.' },
      ],
      { directory: place.at('w'), opencodeConfig: { permission: { external_directory: 'allow' } } },
    );
    await place.plugin('planted.js');
    const session = await own.server.createSession();
    expect((await session.prompt('hello')).text).toBe('Done.');
    expect((await session.prompt('run it')).text).toBe('Ran.');
    async function refuses(server: OpencodeServer): Promise<void> {
      await server.catalogue();
      await server.listSessions();
      expect((await failureOf((await server.getSession(session.id)).prompt('hello'))).code).toBe('WORKSPACE_CHANGED');
      expect(await exists(place.ran)).toBe(false);
    }
    await own.server.disposeDirectory(place.at('w'));
    await refuses(own.server);
    const second = await own.server.startSuccessor();
    await refuses(second);
    process.kill(second.pid, 'SIGKILL');
    await second.exited;
    await refuses(await second.relaunch());
  });

  test("with projectConfig 'all' a workspace with a plugin starts, a change is told, and plugins run", async () => {
    const place = await newPlace();
    await place.file('w/.opencode/plugin/first.js', pluginThatLeaves(`${place.ran}-first`));
    await using own = await startBench([{ reply: 'Done.' }], { directory: place.at('w'), projectConfig: 'all' });
    const session = await own.server.createSession();
    expect((await session.prompt('hello')).text).toBe('Done.');
    expect(own.server.notes()).toEqual([]);
    await vi.waitFor(async () => expect(await exists(`${place.ran}-first`)).toBe(true), { timeout: 15_000 });
    await place.plugin('w/.opencode/plugin/x.js');
    // Where opencode cannot forget a directory, its next process loads what is new.
    const forgot = await own.server.disposeDirectory(session.directory);
    expect(forgot).toBe(!isV2);
    const server = forgot ? own.server : await own.server.relaunch();
    expect((await (await server.getSession(session.id)).prompt('hello')).text).toBe('Done.');
    expect(server.notes()).toContainEqual(expect.stringContaining('.opencode/plugin/x.js is new, and opencode may load it'));
    await vi.waitFor(async () => expect(await exists(place.ran)).toBe(true), { timeout: 15_000 });
  });

  test.skipIf(!isV2)(
    "with projectConfig 'all' a plugin above the repository is refused (opencode 2 only: 1.x stops at the repository)",
    async () => {
      const place = await newPlace();
      await place.plugin('.opencode/plugin/x.js');
      const error = await failureOf(startBench([], { directory: place.at('w'), projectConfig: 'all' }));
      expect([error.code, error.message]).toEqual(['WORKSPACE_UNTRUSTED', expect.stringContaining('x.js stands above the repository')]);
      expect(await exists(place.ran)).toBe(false);
    },
  );
});
