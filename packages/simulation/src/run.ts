import type { SessionPool, SessionPoolOptions } from '@opencode-manager/actors';
import type { FaultId } from './fault-kinds.ts';
import { judge, type Violation } from './oracle/judge.ts';
import { mostAnswerBytes } from './plan/defaults.ts';
import type { Plan } from './plan/types.ts';
import type { PoolPorts } from './ports.ts';
import { policyOf, Users, type Call } from './users.ts';
import { Driver, type DriverOptions } from './world/driver.ts';
import { World, type WorldOptions } from './world/world.ts';

/** What a world needs that is not in it. */
export interface RunOptions extends WorldOptions, DriverOptions {
  /** The pool that is tried: `createPool` of `@opencode-manager/actors/hosts`. */
  readonly createPool: (options: SessionPoolOptions, ports: PoolPorts) => Promise<SessionPool>;
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

/** A world of more events runs away: one of thirty tasks has less than half of them. */
const mostSteps = 20_000;

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
    hang: run.driver.hang,
    uncaught: run.driver.uncaught,
    stopped: run.stopped,
    failure: run.failure,
  });
  for (const { rule, text } of violations) world.tell('oracle', `${rule}: ${text}`);
  const { lines } = world.history;
  const simulatedMs = world.clock.elapsed();
  const calls = run.users?.calls ?? [];
  return {
    plan,
    violations,
    history: lines,
    digest: world.history.digest(),
    faults: world.faults,
    calls,
    steps: run.driver.steps,
    simulatedMs,
  };
}

class WorldRun {
  users: Users | undefined;
  pool: SessionPool | undefined;
  failure: unknown;
  stopped = false;
  readonly driver: Driver;
  readonly #world: World;
  readonly #options: RunOptions;

  constructor(world: World, options: RunOptions) {
    this.#world = world;
    this.#options = options;
    this.driver = new Driver(world, options, mostSteps);
  }

  async toTheEnd(): Promise<void> {
    const opening = this.#options.createPool(poolOptionsOf(this.#world.plan, this.#world, this.#options), this.#world.ports);
    opening.then(
      (pool) => (this.pool = pool),
      (error: unknown) => (this.failure = error),
    );
    if (!(await this.driver.until(() => this.pool !== undefined || this.failure !== undefined, 'createPool'))) return;
    // A pool whose server does not start at all says so; that is a result too.
    if (!this.pool) return this.#world.tell('user', `createPool: ${(this.failure as Error).message}`);
    this.users = new Users(this.#world, this.pool);
    await this.#live(this.users, this.#world.points);
  }

  async #live(users: Users, points: World['points']): Promise<void> {
    const isDone = () => points.scheduled === 0 && users.unsettled.length === 0;
    if (!(await this.driver.until(isDone, () => users.unsettled.map(({ name }) => name).join(', ')))) return;
    await this.#linger();
    if (!(await this.driver.until(isDone, () => users.unsettled.map(({ name }) => name).join(', ')))) return;
    users.stop();
    this.stopped = await this.driver.until(() => users.unsettled.length === 0, 'stop');
    if (this.stopped) await this.driver.until(() => this.#world.queue.foreground === 0, 'the queue');
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
    await this.driver.until(() => isOver || (isQuiet() && queue.nowMs >= settledMs), 'linger');
  }
}
