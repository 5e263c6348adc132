import { execFileSync } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { userId } from '../src/process/user.ts';
import { userMachine, type UserMachine } from './support/user-machine.ts';
import { isV2 } from './support/tested.ts';

const gitConfig = `[user]
	name = Ada User
	email = ada@example.org
[include]
	path = more.gitconfig
[core]
	autocrlf = input
	hooksPath = ~/hooks
	sshCommand = leak
[credential]
	helper = store
[url "https://mirror.example/"]
	insteadOf = https://code.example/
[url "https://token@private.example/"]
	insteadOf = https://private.example/
[safe]
	directory = *
`;

const proxyPassword = 'pass-of-the-proxy';

const home = {
  '.gitconfig': gitConfig,
  'more.gitconfig': '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\trequired = true\n',
  '.rustup/settings.toml': 'default_toolchain = "stable"\n',
  '.nvm/nvm.sh': 'nvm() { echo "nvm of $NVM_DIR"; }\n',
  '.pyenv/version': '3.13.1\n',
  '.npmrc': '//registry.example/:_authToken=SECRET\n',
  '.cargo/credentials.toml': 'SECRET\n',
};

const programs = {
  rustup: '#!/bin/sh\ncat "${RUSTUP_HOME:-$HOME/.rustup}/settings.toml"\necho "cargo home ${CARGO_HOME:-$HOME/.cargo}"\n',
  pyenv: '#!/bin/sh\ncat "${PYENV_ROOT:-$HOME/.pyenv}/version"\n',
  'git-lfs': '#!/bin/sh\ncase $1 in clean) echo "version lfs"; cat > /dev/null ;; *) cat ;; esac\n',
  'demo-format': '#!/bin/sh\necho "formatted in $HOME with $PYENV_ROOT" > "$1"\n',
  'of-the-user': '#!/bin/sh\necho found\n',
};

/** The custom tool of opencode's documentation. */
const customTool = `import { tool } from "@opencode-ai/plugin"
import { z } from "zod"
export default tool({
  description: "Greets",
  args: { name: tool.schema.string().describe("Who"), times: z.number().optional() },
  async execute(args) { return "hello " + args.name },
})
`;

/** One line that prints what each of the ways to run a program sees. */
const look = 'echo "$HOME|$XDG_CONFIG_HOME|$GIT_CONFIG_GLOBAL|$npm_config_offline|$OPENCODE_CONFIG|$BASH_ENV"; of-the-user';

describe('in a private home', () => {
  let machine: UserMachine;
  let privateHome: string;
  beforeAll(async () => {
    machine = await userMachine({
      home,
      programs,
      files: { '.gitattributes': '*.bin filter=lfs\n', 'a.bin': 'binary\n' },
      given: { 'tool/greet.ts': customTool },
      env: { HTTP_PROXY: 'http://127.0.0.1:9', https_proxy: `http://user:${proxyPassword}@127.0.0.1:9`, SSL_CERT_DIR: '/etc/ssl/certs' },
      config: ({ root }) => ({
        opencodeConfigDir: join(root, 'given'),
        opencodeConfig: { formatter: { demo: { command: ['demo-format', '$FILE'], extensions: ['.fmt'] } } },
      }),
    });
    privateHome = join(machine.server.stateDir, 'tools', 'home');
  });
  afterAll(() => machine[Symbol.asyncDispose]());

  test('the ways to run a program see the same environment, and nothing of what isolates the server', async () => {
    const expected = `${privateHome}||${join(machine.server.stateDir, 'tools', 'gitconfig')}|||\nfound`;
    expect(await machine.tool(look)).toBe(expected);
    expect(await machine.shell(look)).toBe(expected);
    expect(await machine.template(look)).toBe(expected);
    const { HOME, XDG_CONFIG_HOME, GIT_CONFIG_GLOBAL, npm_config_offline, BASH_ENV, PATH } = await machine.mcp();
    expect({ HOME, XDG_CONFIG_HOME, GIT_CONFIG_GLOBAL, npm_config_offline, BASH_ENV }).toEqual({
      HOME: privateHome,
      XDG_CONFIG_HOME: join(privateHome, '.config'),
      GIT_CONFIG_GLOBAL: join(machine.server.stateDir, 'tools', 'gitconfig'),
      npm_config_offline: undefined,
      BASH_ENV: '',
    });
    expect(PATH).toContain(machine.bin);
  });

  test("a shell line has the user's PATH first, although its login shell resets it", async () => {
    expect((await machine.shell('echo $PATH')).split(':')[0]).toBe(machine.bin);
    expect(await machine.shell('of-the-user')).toBe('found');
  });

  test('rustup', async () => {
    expect(await machine.tool('rustup')).toBe(`default_toolchain = "stable"\ncargo home ${privateHome}/.cargo`);
  });

  test('nvm', async () => {
    expect(await machine.tool('. "$NVM_DIR/nvm.sh"; nvm')).toBe(`nvm of ${machine.home}/.nvm`);
  });

  test('pyenv', async () => {
    expect(await machine.tool('pyenv')).toBe('3.13.1');
    expect((await machine.mcp())['PYENV_ROOT']).toBe(join(machine.home, '.pyenv'));
  });

  test("git commit has the user's identity", async () => {
    expect(await machine.tool('git commit --quiet --allow-empty -m x; git log -1 --format="%an <%ae>"')).toBe('Ada User <ada@example.org>');
  });

  test('git add runs the filters (LFS)', async () => {
    expect(await machine.tool('echo changed > a.bin; git add a.bin; git show :a.bin')).toBe('version lfs');
  });

  test('what is taken over of the git configuration, and what is not', async () => {
    const lines = (await machine.tool('git config --global --list')).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining(['user.name=Ada User', 'core.autocrlf=input', 'url.https://mirror.example/.insteadof=https://code.example/']),
    );
    expect(lines.join('\n')).not.toMatch(/hookspath|sshcommand|credential|token@|include/i);
  });

  test.runIf(userId() === 0)("git works in a task's directory of another user that is trusted", async () => {
    const directory = join(machine.root, 'of-another');
    await mkdir(directory);
    execFileSync('git', ['init', '--quiet', directory]);
    execFileSync('chown', ['-R', '12345:12345', directory]);
    expect(await machine.tool('git rev-parse --show-toplevel', directory)).toBe(directory);
  });

  test.skipIf(isV2)('a custom tool that imports @opencode-ai/plugin (opencode 1 only: 2 loads no files of tools)', async () => {
    const session = await machine.server.createSession();
    expect((await session.prompt('greet Ada')).text).toBe('printed\nhello Ada');
  });

  test('nothing has to be fetched', () => {
    expect(machine.server.launch.npm).toEqual({ online: false, packages: [] });
  });

  test('a formatter of the configuration', async () => {
    const session = await machine.server.createSession({ permissions: 'allow' });
    expect((await session.prompt('write new.fmt')).text).toBe('Written.');
    expect(await machine.workspace.read('new.fmt')).toBe(`formatted in ${privateHome} with ${machine.home}/.pyenv\n`);
  });

  test('a proxy passes with loopback as an exception, and one with a user part does not', async () => {
    const line = 'echo "$HTTP_PROXY|$https_proxy|$NO_PROXY|$SSL_CERT_DIR"';
    const expected = 'http://127.0.0.1:9||127.0.0.1,localhost,::1|/etc/ssl/certs';
    expect([await machine.tool(line), await machine.shell(line), await machine.template(line)]).toEqual([expected, expected, expected]);
    expect((await machine.mcp())['HTTP_PROXY']).toBe('http://127.0.0.1:9');
    const { launch } = machine.server;
    expect(launch.network).toMatchObject({ passed: expect.arrayContaining(['HTTP_PROXY', 'SSL_CERT_DIR']), withheld: ['https_proxy'] });
    expect(machine.server.notes()).toEqual([expect.stringContaining('https_proxy is not passed')]);
    expect(JSON.stringify([launch, machine.model.calls])).not.toContain(proxyPassword);
  });

  test("no credential of the user's home is in the home of tools", async () => {
    expect(await machine.tool('cat ~/.npmrc ~/.cargo/credentials.toml 2>&1 | grep -c SECRET || true')).toBe('0');
  });
});

test("with toolHome 'user', programs see the user's home, XDG directories and git configuration", async () => {
  await using machine = await userMachine({
    home,
    programs,
    env: { XDG_CONFIG_HOME: '/xdg/config', https_proxy: `http://user:${proxyPassword}@127.0.0.1:9` },
    config: { toolHome: 'user', passEnv: ['https_proxy'] },
  });
  const expected = `${machine.home}|/xdg/config||||\nfound`;
  expect(await machine.tool(look)).toBe(expected);
  expect(await machine.shell(look)).toBe(expected);
  expect(await machine.template(look)).toBe(expected);
  expect(await machine.tool('cat ~/.npmrc')).toContain('SECRET');
  expect(await machine.tool('git config core.sshCommand; git config user.name')).toBe('leak\nAda User');
  const { HOME, XDG_CONFIG_HOME, XDG_DATA_HOME, GIT_CONFIG_GLOBAL } = await machine.mcp();
  expect([HOME, XDG_CONFIG_HOME, XDG_DATA_HOME]).toEqual([machine.home, '/xdg/config', join(machine.home, '.local', 'share')]);
  // A proxy that is named passes with its user part, and is known as a secret.
  expect(await machine.tool('echo ${#https_proxy}')).toBe(String(`http://user:${proxyPassword}@127.0.0.1:9`.length));
  expect(machine.server.redactor.text(`at ${proxyPassword}`)).toBe('at [redacted]');
  expect(await readFile(GIT_CONFIG_GLOBAL!, 'utf8')).toContain(join(machine.home, '.gitconfig'));
});

test("with git 'private', nothing of the user's git configuration is read", async () => {
  await using machine = await userMachine({ home, config: { git: 'private' } });
  expect(await machine.tool('git config --list --global')).toBe(
    `user.name=opencode\nuser.email=opencode@localhost\nsafe.directory=${machine.workspace.path}`,
  );
});
