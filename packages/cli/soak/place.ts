import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinary } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace, type ScriptedModel } from '@opencode-manager/testing';
import type { SoakOptions } from './options.ts';
import type { PlannedTask } from './plan.ts';
import { scriptOf } from './script.ts';

/** All that a soak has on this machine: what is left outside of it at the end is a fault. */
export interface Place extends AsyncDisposable {
  readonly root: string;
  readonly repository: string;
  readonly model: ScriptedModel;
  readonly taskFile: string;
  readonly configFile: string;
  /** `--out` of the run. */
  readonly out: string;
  /** Directory for temporary files of every `ocm`. */
  readonly temporary: string;
  /** A small file system on which the run lies; undefined when it lies beside its repository. */
  readonly disk: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

const diskSize = '600m';

export async function openPlace(options: SoakOptions, tasks: readonly PlannedTask[]): Promise<Place> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'ocm-soak-')));
  const [temporary, home, disk] = [join(root, 'tmp'), join(root, 'home'), join(root, 'disk')];
  await Promise.all([temporary, home, disk].map((path) => mkdir(path)));
  const hasDisk = options.weather.includes('full-disk');
  if (hasDisk) await command('mount', '-t', 'tmpfs', '-o', `size=${diskSize},mode=700`, 'tmpfs', disk);
  const workspace = await temporaryWorkspace({ files: { 'README.md': '# Soak\n' } });
  const model = await startScriptedModel(scriptOf(tasks));
  const [configFile, taskFile] = [join(root, 'opencode.json'), join(root, 'tasks.jsonl')];
  await writeFile(configFile, JSON.stringify(model.opencodeConfig()));
  await writeFile(taskFile, taskLines(tasks));
  const { path: binary } = await findBinary(options.binary === undefined ? {} : { binary: options.binary });
  const cache = process.env['NODE_COMPILE_CACHE'] ?? join(root, 'compiled');
  return {
    root,
    repository: workspace.path,
    model,
    taskFile,
    configFile,
    out: join(root, 'out.jsonl'),
    temporary,
    disk: hasDisk ? disk : undefined,
    env: { PATH: process.env['PATH'], HOME: home, TMPDIR: temporary, OPENCODE_BIN: binary, LANG: 'C.UTF-8', NODE_COMPILE_CACHE: cache },
    async [Symbol.asyncDispose]() {
      await model.stop();
      // What is mounted here goes with this process.
      if (options.keep && hasDisk) await cp(disk, join(root, 'disk-as-it-was'), { recursive: true });
      if (options.keep) return console.log(`kept: ${root} ${workspace.path}`);
      await workspace.remove();
      if (hasDisk) await command('umount', '-l', disk);
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** As the file of tasks has them. */
export function taskLines(tasks: readonly PlannedTask[], { raised = false } = {}): string {
  const timeoutOf = ({ timeoutSeconds }: PlannedTask) =>
    timeoutSeconds === undefined ? {} : { timeout: raised ? '20m' : `${timeoutSeconds}s` };
  return tasks.map((task) => `${JSON.stringify({ id: task.id, prompt: task.prompt, ...timeoutOf(task) })}\n`).join('');
}

async function command(name: string, ...args: readonly string[]): Promise<void> {
  const child = spawn(name, args, { stdio: 'inherit' });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${name} ${args.join(' ')} ended with ${code}. A full disk needs the right to mount.`);
}
