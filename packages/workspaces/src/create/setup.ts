import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import type { ErrorCode } from '@opencode-manager/core/errors';
import { failure } from '../errors.ts';
import { readable, type ByteString } from '../git/bytes.ts';
import type { Git } from '../git/git.ts';
import { hashOf } from '../keep/root.ts';
import type { Run } from '../run.ts';
import type { WorkspaceCommand } from '../types.ts';
import { copyTree } from './copy.ts';

/** A workspace in which commands run. */
export interface Place {
  readonly key: string;
  readonly path: string;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where logs go. */
  readonly artifacts: string;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a shell line in a workspace; what it prints is kept in `<name>.log`. @throws `code` */
export async function runCommand(run: Run, place: Place, name: string, command: WorkspaceCommand, code: ErrorCode): Promise<void> {
  const log = join(place.artifacts, `${name}.log`);
  await mkdir(place.artifacts, { recursive: true });
  const result = await execa('sh', ['-c', command.command], {
    cwd: place.directory,
    env: { ...run.tools, ...place.environment },
    extendEnv: false,
    stdin: 'ignore',
    stdout: { file: log },
    stderr: { file: log },
    buffer: false,
    timeout: command.timeoutMs ?? 600_000,
    ...(place.signal && { cancelSignal: place.signal }),
    killDescendants: true,
    reject: false,
  });
  if (!result.failed) return;
  const how = result.timedOut
    ? `did not end within ${command.timeoutMs ?? 600_000} ms`
    : `ended with ${result.exitCode ?? result.signal ?? 'an error'}`;
  const tail = (await readFile(log, 'utf8').catch(() => '')).slice(-2000);
  throw failure(
    code,
    `${name} of ${place.key} ${how}: ${command.command}. Its log is ${log}.`,
    { key: place.key, log, tail },
    result.cause,
  );
}

/** The directory of the template for a setup: by the command, the lock files of the base, the tools and the machine. */
export function templateOf(run: Run, lockFiles: readonly string[]): string {
  const told = [run.options.setup?.command ?? '', process.platform, process.arch, JSON.stringify(run.tools), ...lockFiles];
  return join(run.templates, createHash('sha256').update(told.join('\0')).digest('hex').slice(0, 16));
}

/** Puts a template's entries into a workspace; false when there is none. */
export async function useTemplate(run: Run, template: string, workspace: string): Promise<boolean> {
  if (!(await stat(template).catch(() => undefined))) return false;
  await copyTree(run, template, workspace);
  return true;
}

/**
 * Keeps what a setup made as template. Entries that hold the path of their workspace are no good elsewhere (virtual environments of Python,
 * some native builds): then there is none, and every workspace runs the command.
 */
export async function keepTemplate(run: Run, template: string, workspace: string, made: readonly ByteString[]): Promise<void> {
  const entries = made.map((entry) => readable(entry).replace(/\/$/, ''));
  if (entries.length === 0 || (await stat(template).catch(() => undefined))) return;
  const { exitCode } = await execa('grep', ['-rlF', '-m1', '-e', workspace, '--', ...entries], {
    cwd: workspace,
    reject: false,
    buffer: false,
    env: run.tools,
    extendEnv: false,
  });
  if (exitCode !== 1) {
    run.note({
      code: 'setup_not_kept',
      message: 'What the setup makes holds the path of its workspace, so every workspace runs the setup.',
    });
    return;
  }
  const draft = join(run.root, 'trash', `template-${randomUUID()}`);
  for (const entry of entries) {
    const to = join(draft, entry);
    await mkdir(made.includes(`${entry}/`) ? to : dirname(to), { recursive: true });
    await copyTree(run, join(workspace, entry), to);
  }
  await mkdir(dirname(template), { recursive: true, mode: 0o700 });
  // Of several that made it at once one wins.
  await rename(draft, template).catch(() => rm(draft, { recursive: true, force: true }));
}

/** The first of ten ports in a row that were free, below those that systems give to connections; 0 when there are none. */
export async function freePorts(run: Run, taken: ReadonlySet<number>): Promise<number> {
  const start = Number.parseInt(hashOf(run.id), 16) % blocks;
  for (let step = 0; step < blocks; step += 1) {
    const base = 10_000 + ((start + step) % blocks) * 10;
    const ports = Array.from({ length: 10 }, (_, n) => base + n);
    if (!taken.has(base) && (await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
  return 0;
}

const blocks = 2000;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Entries that are ignored, directories with a `/`: what a setup makes, and what no patch holds. */
export function ignoredEntries(git: Git): Promise<ByteString[]> {
  return git.list(['ls-files', '-z', '--others', '--ignored', '--exclude-standard', '--directory']);
}
