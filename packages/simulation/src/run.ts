import type { SessionPool, SessionPoolOptions } from '@opencode-manager/actors';
import type { FaultId } from './fault-kinds.ts';
import { judge, type Violation } from './oracle/judge.ts';
import { mostAnswerBytes } from './plan/defaults.ts';
import type { Plan } from './plan/types.ts';
import type { PoolPorts } from './ports.ts';
import { policyOf, Users, type Call } from './users.ts';
import { World, type WorldOptions } from './world/world.ts';

/** What a world needs that is not in it. */
export interface RunOptions extends WorldOptions {
  /** The pool that is tried: `createPool` of `@opencode-manager/actors/hosts`. */
  readonly createPool: (options: SessionPoolOptions, ports: PoolPorts) => Promise<SessionPool>;
  /** Resolves when no promise is left that can settle without the world. */
  readonly drain: () => Promise<void>;
  /** What went wrong outside of all promises that the world knows, since the last call. */
  readonly uncaught?: () => readonly string[];
  /** As the pool's own option. */
  readonly inspect?: SessionPoolOptions['inspect'];
}

export interface WorldReport {
  readonly plan: Plan;
  readonly violations: readonly Violation[];
  readonly history: readonly string[];
  readonly digest: string;
  readonly faults: ReadonlyMap<FaultId, number>;
  /** What users asked for, and what they were told. */
  readonly calls: readonly Call[];
  readonly steps: number;
  readonly simulatedMs: number;
}

/** A world that lasts longer than this hangs, in milliseconds. */
const longestMs = 24 * 3600_000;

/** A world of more events runs away: one of thirty tasks has less than half of them. */
const mostSteps = 20_000;

/** Without a foreground event for so long, nothing will come any more, in milliseconds. */
const quietMs = 600_000;

/** How long turns are followed that nobody waits for, in milliseconds. */
const lingerMs = 150_000;

/** Options of the pool, as a plan has them. */
function poolOptionsOf({ pool }: Plan, world: World, { inspect }: RunOptions): SessionPoolOptions {
  const { maxSessions, sessions, taskTimeoutMs, onInterrupted, maxBytes, maxIdleDirectories } = pool;
  return {
    server: { directory: '/srv/main' },
    maxSessions,
    maxAnswerBytes: mostAnswerBytes,
    permissions: policyOf(pool, world),
    ...(inspect && { inspect }),
    ...(sessions && { sessions }),
    ...(taskTimeoutMs !== undefined && { taskTimeoutMs }),
    ...(onInterrupted && { onInterrupted }),
    ...(maxBytes !== undefined && { serverMemory: { maxBytes, minAgeMs: 2000 } }),
    ...(maxIdleDirectories !== undefined && { maxIdleDirectories }),
  };
}

/** Runs one world from its start to its end, and judges it. */
export async function runWorld(plan: Plan, options: RunOptions): Promise<WorldReport> {
  const world = new World(plan, options);
  const run = new WorldRun(world, options);
  await run.toTheEnd();
  const violations = judge({
    world,
    users: run.users,
    pool: run.pool,
    hang: run.hang,
    uncaught: run.uncaught,
    stopped: run.stopped,
    failure: run.failure,
  });
  for (const { rule, text } of violations) world.tell('oracle', `${rule}: ${text}`);
  const { lines } = world.history;
  const simulatedMs = world.clock.elapsed();
  const calls = run.users?.calls ?? [];
  return { plan, violations, history: lines, digest: world.history.digest(), faults: world.faults, calls, steps: run.steps, simulatedMs };
}

class WorldRun {
  users: Users | undefined;
  pool: SessionPool | undefined;
  hang: string | undefined;
  failure: unknown;
  stopped = false;
  steps = 0;
  readonly uncaught: string[] = [];
  readonly #world: World;
  readonly #options: RunOptions;

  constructor(world: World, options: RunOptions) {
    this.#world = world;
    this.#options = options;
  }

  async toTheEnd(): Promise<void> {
    const opening = this.#options.createPool(poolOptionsOf(this.#world.plan, this.#world, this.#options), this.#world.ports);
    opening.then(
      (pool) => (this.pool = pool),
      (error: unknown) => (this.failure = error),
    );
    if (!(await this.#until(() => this.pool !== undefined || this.failure !== undefined, 'createPool'))) return;
    // A pool whose server does not start at all says so; that is a result too.
    if (!this.pool) return this.#world.tell('user', `createPool: ${(this.failure as Error).message}`);
    this.users = new Users(this.#world, this.pool);
    await this.#live(this.users, this.#world.points);
  }

  async #live(users: Users, points: World['points']): Promise<void> {
    const isDone = () => points.scheduled === 0 && users.unsettled.length === 0;
    if (!(await this.#until(isDone, () => users.unsettled.map(({ name }) => name).join(', ')))) return;
    await this.#linger();
    if (!(await this.#until(isDone, () => users.unsettled.map(({ name }) => name).join(', ')))) return;
    users.stop();
    this.stopped = await this.#until(() => users.unsettled.length === 0, 'stop');
    if (this.stopped) await this.#until(() => this.#world.queue.foreground === 0, 'the queue');
  }

  /** Turns that run on, or may begin still, are watched for a while, and servers that answer nothing: somebody has to follow them. */
  async #linger(): Promise<void> {
    const { queue, processes } = this.#world;
    const untilMs = queue.nowMs + lingerMs;
    const isQuiet = () => processes.every(({ turns, state }) => turns.length === 0 && state !== 'wedged');
    let isOver = false;
    queue.after(2000, 'linger', () => undefined, { background: false });
    queue.at(untilMs, 'linger', () => (isOver = true), { background: true });
    const settledMs = queue.nowMs + 2000;
    await this.#until(() => isOver || (isQuiet() && queue.nowMs >= settledMs), 'linger');
  }

  /** Runs event after event until something is so; false when it cannot become so any more. */
  async #until(isSo: () => boolean, what: string | (() => string)): Promise<boolean> {
    const { queue, clock } = this.#world;
    for (;;) {
      await this.#options.drain();
      this.uncaught.push(...(this.#options.uncaught?.() ?? []));
      if (isSo()) return true;
      const isLate = clock.elapsed() > longestMs;
      const isQuiet = queue.foreground === 0 && queue.nowMs - queue.lastForegroundMs > quietMs;
      if (isLate || isQuiet || this.steps >= mostSteps || !this.#world.step()) {
        this.hang = typeof what === 'string' ? what : what();
        return false;
      }
      this.steps += 1;
    }
  }
}
