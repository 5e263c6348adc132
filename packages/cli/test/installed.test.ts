import { execFile } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryWorkspace } from '@opencode-manager/testing';
import { beforeAll, expect, test } from 'vitest';

const installed = fileURLToPath(new URL('../bin/ocm.js', import.meta.url));
let directory: string;
let link: string;

// As package managers install it: a link of another name, in another directory.
beforeAll(async () => {
  const workspace = await temporaryWorkspace();
  directory = workspace.path;
  link = join(directory, 'ocm');
  await symlink(installed, link);
  return () => workspace.remove();
});

test('the installed command runs the built one, and hands on its exit code', async () => {
  const { stdout } = await start(['--version']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  await expect(start(['rnu'])).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean run?') });
});

test('arguments arrive as they are', async () => {
  const name = 'a  "quoted" $HOME `name`; *';
  await expect(start([name])).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(`unknown command '${name}'`) });
});

test('node starts with one arena of the C library, or with as many as the user has chosen', async () => {
  // What stands in for node tells what node would have been given.
  const bin = join(directory, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'node'), '#!/bin/sh\nprintf "%s|" "$MALLOC_ARENA_MAX" "$@"\n');
  await chmod(join(bin, 'node'), 0o755);
  const told = async (env: NodeJS.ProcessEnv) =>
    (await start(['run', 'a b'], { PATH: `${bin}${delimiter}${process.env['PATH']}`, ...env })).stdout;
  expect(await told({})).toBe(`1|${link}|run|a b|`);
  expect(await told({ MALLOC_ARENA_MAX: '4' })).toBe(`4|${link}|run|a b|`);
});

test('a closed standard output is seen, which node would replace by /dev/null', async () => {
  const line = ['-c', '"$@" >&-', 'sh', link, 'run', '--prompt', 'x', '--model', 'scripted/model'];
  const env = { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`, HOME: directory };
  await expect(promisify(execFile)('/bin/sh', line, { env })).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('OUTPUT_UNUSABLE: standard output is closed, and there is no --out'),
  });
});

function start(args: string[], env: NodeJS.ProcessEnv = { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` }) {
  return promisify(execFile)(link, args, { env });
}
