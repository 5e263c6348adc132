import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { recoverLeftWorkspaces, type WorkspaceMode } from '../../src/index.ts';
import { slugOf } from '../../src/keep/root.ts';
import { git } from './repository.ts';

interface Work {
  readonly ref: string;
  readonly key: string;
  readonly path: string;
  readonly content: string;
  readonly commit?: string;
  readonly process?: number;
}

export interface Crashes {
  /** Processes that were killed. */
  readonly killed: number;
  /** Workspaces in which an agent had worked. */
  readonly worked: number;
  /** What recovery found in the ledgers, by state. */
  readonly states: Record<string, number>;
  /** Agents' processes that outlived their manager. */
  readonly alive: number;
  /** Workspaces that the test removed before recovery. */
  readonly removed: number;
  /** What is wrong: work that no ref has, and what was left over. */
  readonly wrong: readonly string[];
}

const program = fileURLToPath(new URL('crash-task.ts', import.meta.url));

const workspaceModes: readonly WorkspaceMode[] = ['clone', 'worktree', 'copy'];

/** A sequence of numbers below 1 from a seed. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** Kills runs of one repository, `together` at a time and each at a moment by chance in its share of their lives, and recovers after each round. */
export async function crash(
  source: string,
  logs: string,
  kills: number,
  together: number,
  seed: number,
  onRound: (now: Crashes) => void = () => {},
): Promise<Crashes> {
  const random = randomFrom(seed);
  const total = { killed: 0, worked: 0, states: {} as Record<string, number>, alive: 0, removed: 0, wrong: [] as string[] };
  const config = readFileSync(join(source, '.git', 'config'), 'utf8');
  for (let round = 0; total.killed < kills; round += 1) {
    // Every kind of workspace by turns, and every stretch of a run's life once, the early ones first.
    const modes = Array.from({ length: Math.min(together, kills - total.killed) }, (_, n) => workspaceModes[(n + round) % 3]!);
    const works = await Promise.all(
      modes.map((mode, n) =>
        killOne(source, mode, `r${round}-${n}`, join(logs, `${round}-${n}.log`), (total.killed + n + random()) / kills),
      ),
    );
    total.killed += modes.length;
    const all = works.flat();
    total.worked += all.length;
    for (const state of statesOf(source)) total.states[state] = (total.states[state] ?? 0) + 1;
    const removed = all.filter(({ path }) => existsSync(path) && random() < 0.15);
    for (const { path } of removed) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    total.removed += removed.length;
    await recoverLeftWorkspaces(source);
    // Where a process of an agent goes on, the workspace must be there still.
    for (const work of all.filter(({ process: pid }) => pid !== undefined && isAlive(pid))) {
      total.alive += 1;
      if (!removed.includes(work) && !existsSync(work.path)) total.wrong.push(`${work.path} was removed under process ${work.process}`);
      process.kill(work.process!, 'SIGKILL');
      while (isAlive(work.process!)) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const ends = await recoverLeftWorkspaces(source);
    for (const { leases } of ends)
      total.wrong.push(...leases.filter(({ outcome }) => outcome === 'kept').map((lease) => JSON.stringify(lease)));
    total.wrong.push(...all.filter((work) => !removed.includes(work)).flatMap((work) => lostOf(source, work)), ...leftOf(source, config));
    onRound(total);
  }
  return total;
}

async function killOne(source: string, mode: string, run: string, log: string, chance: number): Promise<Work[]> {
  const child = spawn(process.execPath, ['--conditions=@opencode-manager/source', program, source, mode, run, log], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  // Some are killed while they open; the others some steps later, and a while after that.
  if (chance < 0.1) await new Promise((resolve) => setTimeout(resolve, chance * 8000));
  else await after(child, Math.floor(chance * 14));
  await killed(child, () => Buffer.concat(errors).toString());
  const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
  return lines
    .filter((line) => line.endsWith('}'))
    .map((line) => {
      const work = JSON.parse(line) as Work;
      return Object.assign(work, { ref: `refs/ocm/${run}/${slugOf(work.key)}/${work.ref}` });
    });
}

/** Waits for lines of a run, and then for as long as one may take. */
async function after(child: ChildProcess, lines: number): Promise<void> {
  const start = performance.now();
  let seen = 0;
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.stdout!.on('data', (chunk: Buffer) => {
      seen += chunk.toString().split('\n').length - 1;
      if (seen >= lines) resolve();
    });
  });
  const step = (performance.now() - start) / lines;
  await new Promise((resolve) => setTimeout(resolve, Math.random() * step));
}

async function killed(child: ChildProcess, errors: () => string): Promise<void> {
  if (child.exitCode !== null) throw new Error(`a run ended by itself: ${errors()}`);
  child.kill('SIGKILL');
  if (child.signalCode === null) await once(child, 'exit');
}

function isAlive(pid: number): boolean {
  return /^\d+ \(sleep\) [^Z]/.test(existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '');
}

function statesOf(source: string): string[] {
  const runs = existsSync(`${source}.ocm`) ? readdirSync(`${source}.ocm`) : [];
  return runs.flatMap((run) => {
    const ledger = join(`${source}.ocm`, run, 'ledger.jsonl');
    const states = new Map<string, string>();
    for (const line of existsSync(ledger) ? readFileSync(ledger, 'utf8').split('\n') : []) {
      if (!line.endsWith('}')) continue;
      const { event, id, lease } = JSON.parse(line) as { event: string; id?: string; lease?: { id: string } };
      const of = id ?? lease?.id;
      if (of !== undefined) states.set(of, event);
    }
    return [...states.values()].filter((state) => state !== 'removed');
  });
}

function lostOf(source: string, { ref, content, commit }: Work): string[] {
  const read = (...args: string[]) => {
    try {
      return execFileSync('git', args, { cwd: source, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      return undefined;
    }
  };
  const lost = read('show', `${ref}:work.txt`) === content ? [] : [`${ref} has not "${content}"`];
  if (commit !== undefined && read('merge-base', '--is-ancestor', commit, `${ref}.agent`) === undefined)
    lost.push(`${ref}.agent has not ${commit}`);
  return lost;
}

function leftOf(source: string, config: string): string[] {
  const listOf = (path: string) => (existsSync(path) ? readdirSync(path) : []);
  const inGit = listOf(join(source, '.git', 'ocm')).filter((name) => name !== 'lock');
  const runs = listOf(`${source}.ocm`).flatMap((run) => listOf(join(`${source}.ocm`, run)).filter((name) => name !== 'artifacts'));
  const pins = git(source, 'for-each-ref', '--format=%(refname)')
    .split('\n')
    .filter((ref) => ref.includes('/bases/'));
  const worktrees = listOf(join(source, '.git', 'worktrees'));
  const left = { inGit, runs, pins, worktrees, config: readFileSync(join(source, '.git', 'config'), 'utf8') === config ? [] : ['changed'] };
  return Object.entries(left).flatMap(([name, values]) => values.map((value) => `left: ${name} ${value}`));
}
