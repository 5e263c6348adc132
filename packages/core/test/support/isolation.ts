import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, vi } from 'vitest';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { isMuslSystem } from '../../src/process/musl.ts';
import { privateRoot } from './private-root.ts';

const decoy = 'DECOY-TEXT';

/** What a user may have in their home, their XDG directories and above the workspace; every file holds the decoy text. */
const decoys = [
  'home/.config/opencode/opencode.json',
  'home/.config/opencode/AGENTS.md',
  'home/.config/opencode/agent/decoy.md',
  'home/.config/opencode/plugin/decoy.js',
  'home/.local/share/opencode/auth.json',
  'home/.opencode/opencode.json',
  'home/.opencode/plugin/decoy.js',
  'home/.claude/CLAUDE.md',
  'home/.claude/skills/decoy/SKILL.md',
  'home/.agents/skills/decoy/SKILL.md',
  'home/.gitconfig',
  'home/.bashrc',
  'home/.bash_profile',
  'home/.npmrc',
  'xdg-config/opencode/opencode.json',
  'xdg-config/opencode/plugin/decoy.js',
  'xdg-config/git/config',
  'xdg-data/opencode/auth.json',
  'xdg-data/opencode/opencode.db',
  'xdg-cache/opencode/models.json',
  'xdg-state/opencode/state.json',
  'tmp/AGENTS.md',
  'tmp/opencode.json',
  'tmp/.claude/CLAUDE.md',
  'tmp/.claude/skills/decoy/SKILL.md',
];

const decoyText = (path: string): string => {
  if (path.endsWith('.json')) return JSON.stringify({ username: decoy, instructions: [decoy], command: { decoy: { template: decoy } } });
  if (path.endsWith('.js'))
    return `import { writeFileSync } from 'node:fs'\nwriteFileSync(new URL('./ran', import.meta.url), '${decoy}')\nexport const Decoy = async () => ({})`;
  if (path.endsWith('SKILL.md')) return `---\nname: decoy\ndescription: ${decoy}\n---\n${decoy}`;
  if (path.includes('bash')) return `export OPENCODE_DECOY=${decoy}\necho ${decoy}\n`;
  if (path.endsWith('config')) return `[user]\n\tname = ${decoy}\n`;
  return `${decoy}\n`;
};

async function fingerprint(root: string, names: readonly string[]): Promise<string[]> {
  const lines = await Promise.all(
    names.map(async (name) => {
      const path = join(root, name);
      const { size, mtimeMs } = await stat(path);
      return `${name} ${size} ${mtimeMs} ${createHash('sha256')
        .update(await readFile(path))
        .digest('hex')}`;
    }),
  );
  return lines.toSorted();
}

/** Every file below the places that a stray write would land in. */
async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/**
 * Starts a manager as a user with decoys in their home, their XDG directories and above the workspace, has one turn, and ends it: nothing of theirs is
 * read, changed or joined, and nothing is written outside the state and the workspace.
 * @param binary instead of the tested opencode
 */
export async function expectIsolation(binary?: string): Promise<void> {
  await using root = await privateRoot();
  for (const name of decoys) {
    await mkdir(dirname(join(root.path, name)), { recursive: true });
    await writeFile(join(root.path, name), decoyText(name));
  }
  await using model = await startScriptedModel({
    rules: [
      { when: { user: /look/, toolResult: /./ }, reply: 'Looked.' },
      {
        when: { user: /look/ },
        reply: {
          toolCalls: [
            { name: 'bash', arguments: { command: 'env; git config --list --show-origin; echo x > made-by-tool', description: 'look' } },
          ],
        },
      },
    ],
  });
  vi.stubEnv('TMPDIR', join(root.path, 'tmp'));
  await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n', 'AGENTS.md': 'own instructions\n' } });
  vi.unstubAllEnvs();
  const before = await fingerprint(root.path, decoys);
  const filesBefore = new Set(await filesBelow(root.path));

  const manager = execa(
    process.execPath,
    [
      '--conditions=@opencode-manager/source',
      fileURLToPath(new URL('manager.ts', import.meta.url)),
      JSON.stringify({
        directory: workspace.path,
        opencodeConfig: model.opencodeConfig(),
        env: { GIVEN: 'yes' },
        git: 'private',
        ...(binary !== undefined && { binary }),
      }),
      JSON.stringify(['look around']),
    ],
    {
      buffer: false,
      reject: false,
      extendEnv: false,
      env: {
        PATH: process.env['PATH'],
        HOME: join(root.path, 'home'),
        XDG_CONFIG_HOME: join(root.path, 'xdg-config'),
        XDG_DATA_HOME: join(root.path, 'xdg-data'),
        XDG_CACHE_HOME: join(root.path, 'xdg-cache'),
        XDG_STATE_HOME: join(root.path, 'xdg-state'),
        TMPDIR: join(root.path, 'tmp'),
        OPENCODE_BIN: process.env['OPENCODE_BIN'] ?? '',
        ANTHROPIC_API_KEY: `sk-${decoy}`,
        OPENCODE_CONFIG_CONTENT: JSON.stringify({ username: decoy }),
        OPENCODE_PERMISSION: JSON.stringify({ bash: decoy }),
        GIT_DIR: decoy,
      },
    },
  );
  const line = await new Promise<string>((resolve) => manager.stdout.setEncoding('utf8').once('data', resolve));
  const { stateDir, pid, password } = JSON.parse(line) as { stateDir: string; pid: number; password: string };
  await vi.waitFor(() => expect(model.calls.filter(({ purpose }) => purpose === 'turn').length).toBe(2), { timeout: 30_000 });
  await model.waitForIdle();

  const environment = Object.fromEntries(
    (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').map((entry) => entry.split(/=(.*)/s, 2)),
  );
  expect(password.length).toBeGreaterThanOrEqual(43);
  expect(JSON.stringify(environment)).not.toContain(password);
  // What makes a server fast with glibc (docs/decisions/0015).
  expect('Malloc' in environment).toBe(!(await isMuslSystem()));
  expect(JSON.stringify(environment)).not.toContain(decoy);
  for (const name of ['HOME', 'TMPDIR', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'XDG_STATE_HOME', 'XDG_RUNTIME_DIR']) {
    expect(environment[name]?.startsWith(`${stateDir}/`), name).toBe(true);
  }
  expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(password);

  const asked = JSON.stringify(model.calls);
  expect(asked).toContain('own instructions');
  expect(asked).toContain('OPENCODE_MANAGER_RUN_ID');
  expect(asked).toContain('GIVEN=yes');
  expect(asked).not.toContain(decoy);
  expect(asked).not.toContain(password);

  const places = [stateDir, workspace.path, '/dev/', '/proc/', '/sys/'];
  const open = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  const files = open.filter((path) => path.startsWith('/') && !places.some((place) => path.startsWith(place)));
  expect(files.filter((path) => path.startsWith(root.path) || path.includes('opencode.db'))).toEqual([]);

  const registry = join(root.path, 'tmp', `opencode-manager-${process.getuid?.()}`);
  const made = (await filesBelow(root.path)).filter((path) => !filesBefore.has(path));
  expect(made.filter((path) => ![stateDir, workspace.path, registry].some((place) => path.startsWith(`${place}/`)))).toEqual([]);
  expect(made).toContain(join(workspace.path, 'made-by-tool'));

  manager.kill('SIGUSR2');
  expect(await manager).toMatchObject({ exitCode: 0 });
  expect(await fingerprint(root.path, decoys)).toEqual(before);
  const left = (await filesBelow(root.path)).filter((path) => !filesBefore.has(path) && !path.startsWith(workspace.path));
  expect(left).toEqual([]);
}
