// What a stranger gets: packs the packages with `npm pack`, installs them from a registry on this machine, and uses them under the oldest
// Node that is supported, under this one, and under one that is too old. Takes two to four minutes; needs the npm registry for the rest.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { startRegistry } from './loopback-registry.mjs';

const example = `
import { createSessionPool } from '@opencode-manager/actors';
import { startScriptedModel } from '@opencode-manager/testing';
const model = await startScriptedModel({ rules: [{ reply: 'It works when installed.' }] });
const pool = await createSessionPool({ server: { opencodeConfig: model.opencodeConfig() } });
try {
  const { outcome, output } = await pool.run({ prompt: 'Does it?' });
  console.log(outcome, output);
} finally {
  await pool.stop();
  await model.stop();
}
`;

/** Every entry that has types, used in strict TypeScript that checks the declarations too. */
const consumer = `
import { createSessionPool, type TaskResult } from '@opencode-manager/actors';
import { sessionMachine } from '@opencode-manager/actors/machines';
import { launchServer, type OpencodeServer } from '@opencode-manager/core';
import { EventMonitor } from '@opencode-manager/events';
import { startScriptedModel } from '@opencode-manager/testing';
import { main } from '@opencode-manager/cli';
import * as hosts from '@opencode-manager/actors/hosts';
import * as world from '@opencode-manager/simulation';
import * as node from '@opencode-manager/simulation/node';
export async function first(): Promise<TaskResult> {
  await using model = await startScriptedModel();
  await using pool = await createSessionPool({ server: { opencodeConfig: model.opencodeConfig() } });
  return pool.run({ prompt: 'Hello' });
}
export const parts: readonly unknown[] = [launchServer, EventMonitor, sessionMachine, main, hosts, world, node];
export type Server = OpencodeServer;
`;

const oldest = resolve('scripts/oldest-node/node_modules/node/bin');
/** The newest of the last line that is too old. */
const tooOld = '20.20.2';
const start = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), 'ocmpacked-'));

/** Runs a command with this Node first on PATH, in a home of its own. */
async function run(node, command, args, options = {}) {
  const PATH = [node, process.env.PATH].join(delimiter);
  const env = { ...process.env, HOME: directory, OPENCODE_BIN: '', ...options.env, PATH };
  return (await start(command, args, { cwd: directory, ...options, env })).stdout.trim();
}

const npm = (node, ...args) => run(node, 'npm', [...args, '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']);

async function pack() {
  const tarballs = join(directory, 'tarballs');
  mkdirSync(tarballs);
  for (const name of readdirSync('packages')) {
    if (JSON.parse(readFileSync(join('packages', name, 'package.json'), 'utf8')).private) continue;
    await start('npm', ['pack', '--silent', '--pack-destination', tarballs], { cwd: join('packages', name) });
  }
  return readdirSync(tarballs).map((file) => join(tarballs, file));
}

/** As the README says: the command with opencode beside it, into a prefix of its own. */
async function installCommand(node, registry, opencode) {
  const prefix = join(directory, 'prefix');
  rmSync(prefix, { recursive: true, force: true });
  await npm(node, 'install', '--global', '--engine-strict', `--prefix=${prefix}`, ours(registry), '@opencode-manager/cli', opencode);
  return join(prefix, 'bin');
}

const ours = ({ url }) => `--@opencode-manager:registry=${url}`;

async function installLibrary(node, registry, opencode) {
  const packages = registry.names.filter((name) => name !== '@opencode-manager/cli');
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  // A workspace outside git below a directory of everybody is refused.
  await start('git', ['init', '--quiet'], { cwd: directory });
  await npm(node, 'install', '--engine-strict', ours(registry), ...packages, '@opencode-manager/cli', opencode, '@types/node@24');
  writeFileSync(join(directory, 'one.mjs'), example);
}

async function useWith(node, bin) {
  const name = await run(node, 'node', ['--version']);
  console.log(`node ${name}: ocm ${await run(node, join(bin, 'ocm'), ['--version'])}`);
  await run(node, join(bin, 'ocm'), ['doctor']);
  console.log('ocm doctor: passed');
  console.log(await run(node, 'node', ['--import', '@opencode-manager/core/small-memory', 'one.mjs']));
}

/** One line each, and no stack. */
async function refusedBy(node, bin) {
  const failed = await run(node, join(bin, 'ocm'), ['run', '--prompt', 'x']).catch((error) => error);
  const loaded = await run(node, 'node', ['--input-type=module', '-e', "import '@opencode-manager/core'"]).catch((error) => error);
  const line =
    /^error PLATFORM_UNSUPPORTED: ocm needs Node 22\.19 or newer; this is Node \d+\S* \(.*\)\. Put a newer one first on PATH\.\n$/;
  if (failed.code !== 2 || !line.test(failed.stderr)) throw new Error(`ocm under Node ${tooOld}: ${failed.stderr ?? failed}`);
  if (!/opencode-manager needs Node 22\.19 or newer/.test(loaded.stderr) || /^ {4}at /m.test(loaded.stderr))
    throw new Error(`core under Node ${tooOld}: ${loaded.stderr ?? loaded}`);
  console.log(failed.stderr.trim());
}

async function typecheckConsumer() {
  const options = { module: 'nodenext', target: 'es2024', strict: true, skipLibCheck: false, noEmit: true, types: ['node'] };
  writeFileSync(join(directory, 'consumer.ts'), consumer);
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['consumer.ts'] }));
  await start(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', directory]).catch(({ stdout }) => {
    throw new Error(`A TypeScript program that checks the declarations does not compile:\n${stdout}`);
  });
  console.log('tsc: strict, with skipLibCheck: false');
}

let registry;
try {
  const { version } = JSON.parse(readFileSync('packages/core/node_modules/opencode-ai/package.json', 'utf8'));
  const opencode = `opencode-ai@${version}`;
  registry = await startRegistry(await pack());
  await installLibrary(oldest, registry, opencode);
  let bin;
  for (const node of [oldest, dirname(process.execPath)]) {
    bin = await installCommand(node, registry, opencode);
    await useWith(node, bin);
  }
  await typecheckConsumer();
  const old = join(directory, 'old');
  await npm(oldest, 'install', `--prefix=${old}`, `node@${tooOld}`);
  await refusedBy(join(old, 'node_modules', 'node', 'bin'), bin);
} finally {
  registry?.stop();
  rmSync(directory, { recursive: true, force: true });
}
