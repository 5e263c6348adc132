import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinary, findMarkedProcesses } from '@opencode-manager/core';
import {
  startScriptedModel,
  temporaryWorkspace,
  type ScriptedModel,
  type Script,
  type TemporaryWorkspace,
} from '@opencode-manager/testing';
import { expect, vi } from 'vitest';
import { runHere, type CapturedRun } from './terminal.ts';

const bin = fileURLToPath(new URL('../../src/bin.ts', import.meta.url));

/** One line of `--json`; what a test looks at is asserted there. */
// oxlint-disable-next-line typescript/no-explicit-any -- records are checked field by field
export type Record_ = { readonly type: string } & { readonly [key: string]: any };

/** A private temporary directory, a git workspace, a scripted model and its configuration, for real child processes. */
export interface Bench extends AsyncDisposable {
  readonly root: string;
  readonly workspace: TemporaryWorkspace;
  readonly model: ScriptedModel;
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  /** `within`: a command that runs the rest of its line, for example in a namespace of its own. */
  start(args: readonly string[], options?: { readonly env?: NodeJS.ProcessEnv; readonly within?: readonly string[] }): Running;
  /** Fails when anything of a run is left in the private temporary directory. */
  expectNothingLeft(): Promise<void>;
}

export async function openBench(script: Script = {}): Promise<Bench> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'ocm-cli-')));
  const temporary = join(root, 'tmp');
  const workspace = await temporaryWorkspace({ files: { 'README.md': '# Bench\n' } });
  const model = await startScriptedModel(script);
  const configFile = join(root, 'opencode.json');
  await writeFile(configFile, JSON.stringify(model.opencodeConfig()));
  await Promise.all([mkdir(temporary), mkdir(join(root, 'home'))]);
  // The one under test, or the pinned one, whatever PATH has.
  const { OPENCODE_BIN: tested = '' } = process.env;
  const { path } = await findBinary({ environment: tested === '' ? {} : { OPENCODE_BIN: tested } });
  const compileCache = process.env['NODE_COMPILE_CACHE'];
  const env = {
    PATH: process.env['PATH'],
    HOME: join(root, 'home'),
    TMPDIR: temporary,
    OPENCODE_BIN: path,
    LANG: 'C.UTF-8',
    // Each command would strip the types of all sources anew.
    ...(compileCache !== undefined && { NODE_COMPILE_CACHE: compileCache }),
  };
  return {
    root,
    workspace,
    model,
    configFile,
    env,
    start: (args, options = {}) => new Running(args, { ...env, ...options.env }, options.within),
    expectNothingLeft: async () => expect(await readdir(temporary)).toEqual([]),
    async [Symbol.asyncDispose]() {
      await model.stop();
      await workspace.remove();
      await rm(root, { recursive: true, force: true });
    },
  };
}

function recordsIn(text: string): Record_[] {
  const lines = text.split('\n');
  return lines.slice(0, -1).map((line) => {
    const record = JSON.parse(line) as Record_;
    if (record['schema_version'] !== 1) throw new Error(`a record without a version: ${line.slice(0, 300)}`);
    const name = camelCased(record);
    if (name !== undefined) throw new Error(`${name} is not snake_case in a record: ${line.slice(0, 300)}`);
    return record;
  });
}

/** Fields whose content users, opencode or tools have named. */
const foreign: ReadonlySet<string> = new Set(['raw', 'input', 'metadata', 'properties', 'opencode_config', 'task']);

/** A field that is not `snake_case`: every record that a test sees is checked. */
function camelCased(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, item] of Object.entries(value)) {
    const found = /[a-z][A-Z]/.test(name) ? name : foreign.has(name) ? undefined : camelCased(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A running `ocm`. Its standard input is a pipe that is never written and never closed. */
export class Running implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exit: Promise<number | string>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, within: readonly string[] = []) {
    const [command = '', ...line] = [...within, process.execPath, '--conditions=@opencode-manager/source', bin, ...args];
    this.child = spawn(command, line, { env, stdio: 'pipe' });
    this.child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (this.stdout += chunk));
    this.child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
    this.exit = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The records so far; fails when stdout holds anything else. */
  get records(): Record_[] {
    return recordsIn(this.stdout);
  }

  /** Waits for a record. */
  async record(type: string, matches: (record: Record_) => boolean = () => true): Promise<Record_> {
    return vi.waitFor(
      () => {
        const found = this.records.find((record) => record.type === type && matches(record));
        if (!found) throw new Error(`no record ${type} yet; stdout: ${this.stdout.slice(-500)}; stderr: ${this.stderr.slice(-1500)}`);
        return found;
      },
      { timeout: 60_000, interval: 50 },
    );
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** For a test that fails before the command has ended: nothing may outlive it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.exit;
  }
}

/** A command line that ends by itself, run in this process: node's own start is most of what a client of a manager costs. */
export async function runClient({ env }: Bench, ...args: string[]): Promise<CapturedRun & { readonly records: Record_[] }> {
  vi.stubEnv('TMPDIR', env['TMPDIR']);
  const run = await runHere(...args);
  return { ...run, records: args.includes('--json') ? recordsIn(run.stdout) : [] };
}

/** Fails when a process with the mark of the run is left. */
export async function expectNoProcess(runId: string): Promise<void> {
  expect(await findMarkedProcesses(runId)).toEqual([]);
}

/** The password that a server was started with; it overwrites its own. For one that was started with `recordingPasswords`. */
export function passwordOf({ root }: Bench, serverPid: number): Promise<string> {
  return readFile(join(root, `password-${serverPid}`), 'utf8');
}

/** Environment in which `ocm` starts opencode through a script that notes the password. */
export async function recordingPasswords({ root, env }: Bench): Promise<NodeJS.ProcessEnv> {
  const script = join(root, 'opencode-that-tells');
  const lines = ['#!/bin/sh', `[ "$1" = serve ] && printf %s "\${OPENCODE_SERVER_PASSWORD:-$OPENCODE_PASSWORD}" > '${root}'/password-$$`];
  await writeFile(script, [...lines, `exec '${env['OPENCODE_BIN']}' "$@"`, ''].join('\n'), { mode: 0o755 });
  return { OPENCODE_BIN: script };
}

/** The arguments of every process of this machine that can be read. */
export async function allArguments(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.join('\n');
}

/** Kills a manager together with its guard: stopped, it cannot start another one in time. */
export async function killWithGuard(manager: Running): Promise<void> {
  manager.signal('SIGSTOP');
  for (const pid of await guardsOf(manager.pid)) process.kill(pid, 'SIGKILL');
  manager.signal('SIGKILL');
}

/** The guard of a manager: a child of it that leads a session of its own and carries no mark. */
async function guardsOf(managerPid: number): Promise<number[]> {
  const children = (await readFile(`/proc/${managerPid}/task/${managerPid}/children`, 'utf8')).trim().split(' ').map(Number);
  const named = await Promise.all(children.map(async (pid) => [pid, await readFile(`/proc/${pid}/cmdline`, 'utf8')] as const));
  const guards = named.filter(([, command]) => command.includes('opencode-manager-guard')).map(([pid]) => pid);
  expect(guards).toHaveLength(1);
  return guards;
}
