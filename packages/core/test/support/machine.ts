import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinary, type ServerConfig } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace, type ScriptedModel, type TemporaryWorkspace } from '@opencode-manager/testing';
import { expect, vi } from 'vitest';
import { privateRoot } from './private-root.ts';

const supportFile = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url));

export interface ProgramOptions {
  /** A command that runs the rest of its line, for example in a namespace of its own. */
  readonly within?: readonly string[];
  /** On top of PATH, HOME and TMPDIR; undefined takes one away. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** A private temporary directory, a workspace and a scripted model that any user can use, for programs of `support/`. */
export interface Machine extends AsyncDisposable {
  readonly root: string;
  readonly tmp: string;
  readonly workspace: TemporaryWorkspace;
  readonly model: ScriptedModel;
  config(more?: ServerConfig): ServerConfig;
  start(program: string, args: readonly unknown[], options?: ProgramOptions): Program;
  /** One launch, turn and stop in a process of its own; what it printed. */
  turn(options?: ProgramOptions & { readonly config?: ServerConfig }): Promise<Told>;
  /** Fails when a process, or anything in the temporary directory, is still there after a moment. */
  expectNothingLeft(): Promise<void>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- asserted field by field
type Told = any;

export async function openMachine(rules: Parameters<typeof startScriptedModel>[0] = {}): Promise<Machine> {
  await using stack = new AsyncDisposableStack();
  const { path: root } = stack.use(await privateRoot());
  const model = stack.use(await startScriptedModel(rules));
  const workspace = stack.use(await temporaryWorkspace({ files: { 'a.txt': 'a\n' } }));
  const tmp = join(root, 'tmp');
  await mkdir(tmp);
  for (const path of [root, tmp]) await chmod(path, 0o777);
  // The place of the workspace is for its user alone.
  await chmod(dirname(workspace.path), 0o755);
  spawnSync('chmod', ['-R', 'a+rwX', workspace.path]);
  // The one under test, or the pinned one, whatever PATH has.
  const { OPENCODE_BIN: tested = '' } = process.env;
  const { path: binary } = await findBinary({ environment: tested === '' ? {} : { OPENCODE_BIN: tested } });
  const config = (more: ServerConfig = {}) => ({ directory: workspace.path, binary, opencodeConfig: model.opencodeConfig(), ...more });
  const start = (program: string, args: readonly unknown[], options: ProgramOptions = {}) =>
    new Program([supportFile(program), ...args.map((arg) => JSON.stringify(arg))], tmp, options);
  const owned = stack.move();
  return {
    root,
    tmp,
    workspace,
    model,
    config,
    start,
    async turn({ config: more, ...options } = {}) {
      const program = start('one-turn', [config(more)], options);
      await using _ = program;
      return JSON.parse(await program.line()) as unknown;
    },
    async expectNothingLeft() {
      await vi.waitFor(async () => expect(await processesOf(root)).toEqual([]), { timeout: 5000, interval: 50 });
      expect(await readdir(tmp)).toEqual([]);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A program under way; ends with the test. */
export class Program implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exit: Promise<number | string>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], tmp: string, { within = [], env, cwd }: ProgramOptions) {
    const [command = '', ...line] = [...within, process.execPath, '--conditions=@opencode-manager/source', ...args];
    const git = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
    const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
    const environment = { PATH, HOME, NODE_COMPILE_CACHE, TMPDIR: tmp, ...git, ...env };
    this.child = spawn(command, line, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], ...(cwd !== undefined && { cwd }) });
    this.child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (this.stdout += chunk));
    this.child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
    this.exit = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The first line, or what the program said when it ended without one. */
  async line(): Promise<string> {
    return vi.waitFor(
      () => {
        if (this.stdout.includes('\n')) return this.stdout.slice(0, this.stdout.indexOf('\n'));
        throw new Error(`no line yet; stderr: ${this.stderr.slice(-1500)}`);
      },
      { timeout: 50_000, interval: 20 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.exit;
  }
}

/** Processes that know of a place by their environment or their arguments, as `pid command`. */
export async function processesOf(place: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [environment, command] = await Promise.all(
        ['environ', 'cmdline'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
      );
      return `${environment}${command}`.includes(place) ? [`${pid} ${command!.replaceAll('\0', ' ').slice(0, 60)}`] : [];
    }),
  );
  return found.flat();
}

/** The pids of the guards of a run, wherever they are. */
export async function guardsOf(runId: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, index) => commands[index]!.includes('opencode-manager-guard') && commands[index]!.includes(runId)).map(Number);
}

/** Whether a command can be run here and succeeds. */
export function can(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0;
}
