import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { beforeAll, describe, expect, test } from 'vitest';

const repository = new URL('../../../', import.meta.url);
const path = (name: string) => fileURLToPath(new URL(name, repository));
const installed = path('packages/cli/bin/ocm.js');
/** Where the oldest Node lies that the packages support. */
const oldestNode = path('scripts/oldest-node/node_modules/node/bin');
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

describe('under the oldest Node that is supported', () => {
  const PATH = `${oldestNode}${delimiter}${process.env['PATH']}`;

  test('it is the one that every manifest names', async () => {
    const { stdout } = await promisify(execFile)(join(oldestNode, 'node'), ['--version']);
    const names = await publishedPackages();
    const engines = await Promise.all(names.map(async (name) => (await manifestOf(path(`packages/${name}`))).engines?.node));
    expect(new Set(engines.map((range) => range?.replace('>=', 'v')))).toEqual(new Set([stdout.trim().replace(/\.0$/, '')]));
  });

  test('the built command runs tasks, and the library its example', async () => {
    await using model = await startScriptedModel({ rules: [{ when: { user: /^Review (\S+)/ }, reply: '{{user.1}} is fine.' }] });
    await using workspace = await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(model.opencodeConfig()) } });
    const options = { cwd: workspace.path, env: { ...process.env, PATH } };
    const command = ['run', '--prompt', 'Review x.ts', '--opencode-config', 'opencode.json', '--json'];
    const example = path('packages/actors/examples/quick-start.ts');
    const [ocm, library] = await Promise.all([
      promisify(execFile)(link, command, options),
      promisify(execFile)('node', ['--disable-warning=ExperimentalWarning', example], options),
    ]);
    const records = ocm.stdout.trim().split('\n');
    const finished = records.map((line) => JSON.parse(line) as { type: string }).find(({ type }) => type === 'task.finished');
    expect(finished).toMatchObject({ outcome: 'succeeded', output: 'x.ts is fine.' });
    expect(library.stdout.trim().split('\n').toSorted()).toEqual(
      ['cart', 'money', 'stock'].map((name) => `src/${name}.ts succeeded src/${name}.ts is fine.`),
    );
  }, 180_000);
});

test('an older Node gets one line, and exit code 2', async () => {
  const old = join(directory, 'old.cjs');
  await writeFile(old, "Object.defineProperty(process.versions, 'node', { value: '22.18.1' });");
  const env = { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`, NODE_OPTIONS: `--require=${old}` };
  const line = `error PLATFORM_UNSUPPORTED: ocm needs Node 22.19 or newer; this is Node 22.18.1 (${process.execPath}). Put a newer one first on PATH.\n`;
  await expect(start(['run', '--prompt', 'x'], env)).rejects.toMatchObject({ code: 2, stdout: '', stderr: line });
  const core = promisify(execFile)('node', ['--input-type=module', '-e', "import '@opencode-manager/core'"], {
    cwd: path('packages/cli'),
    env,
  });
  await expect(core).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/PLATFORM_UNSUPPORTED|needs Node 22\.19 or newer; this is Node 22\.18\.1/),
  });
  await expect(core).rejects.toMatchObject({ stderr: expect.not.stringMatching(/^ {4}at /m) });
});

test('what npm packs names versions, and the manifest is afterwards what it was', async () => {
  const copy = join(directory, 'copy');
  await cp(path('scripts/published-manifest.mjs'), join(copy, 'scripts', 'published-manifest.mjs'));
  await cp(path('pnpm-workspace.yaml'), join(copy, 'pnpm-workspace.yaml'));
  const names = await publishedPackages();
  for (const name of names) {
    await mkdir(join(copy, 'packages', name, 'dist'), { recursive: true });
    await cp(path(`packages/${name}/package.json`), join(copy, 'packages', name, 'package.json'));
  }
  const manifestFiles = Object.fromEntries(names.map((name) => [name, join(copy, 'packages', name, 'package.json')]));
  const originals = await Promise.all(names.map((name) => readFile(manifestFiles[name]!, 'utf8')));
  const script = (verb: string) => (name: string) =>
    promisify(execFile)(process.execPath, [join(copy, 'scripts', 'published-manifest.mjs'), verb], { cwd: dirname(manifestFiles[name]!) });

  await Promise.all(names.map(script('write')));
  const written = await Promise.all(names.map((name) => readFile(manifestFiles[name]!, 'utf8')));
  expect(written.filter((text) => /catalog:|workspace:|opencode-manager\/source/.test(text))).toEqual([]);
  await Promise.all(names.map(script('restore')));

  // npm takes seconds: one package stands for all.
  const cwd = dirname(manifestFiles['cli']!);
  const tarball = (await promisify(execFile)('npm', ['pack', '--silent'], { cwd })).stdout.trim();
  const { stdout } = await promisify(execFile)('tar', ['-xzOf', tarball, 'package/package.json'], { cwd });
  expect(stdout).toBe(written[names.indexOf('cli')]);
  expect(await Promise.all(names.map((name) => readFile(manifestFiles[name]!, 'utf8')))).toEqual(originals);
});

async function publishedPackages(): Promise<string[]> {
  const names = await readdir(path('packages'));
  const manifests = await Promise.all(names.map((name) => manifestOf(path(`packages/${name}`))));
  return names.filter((_, index) => manifests[index]!.private !== true);
}

async function manifestOf(place: string) {
  return JSON.parse(await readFile(join(place, 'package.json'), 'utf8')) as { private?: boolean; engines?: { node?: string } };
}

function start(args: string[], env: NodeJS.ProcessEnv = { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` }) {
  return promisify(execFile)(link, args, { env });
}
