import type { SessionPoolOptions } from '@opencode-manager/actors';
import { emptyPlan } from '../plan/defaults.ts';
import type { TurnScript } from '../plan/types.ts';
import type { FaultId } from '../fault-kinds.ts';
import { Driver, type DriverOptions } from '../world/driver.ts';
import { World, type WorldOptions } from '../world/world.ts';
import { SimulatedDisk } from './disk.ts';
import { Life } from './life.ts';
import { Manager, type RunHosts } from './manager.ts';
import { judgeRun, type HeardWish, type RunEvidence, type RunViolation } from './oracle.ts';
import type { ManagerKill, RunPlan, Stage } from './plan.ts';
import { simulatedStore } from './store.ts';
import { Witness } from './witness.ts';

export interface RunWorldOptions extends RunHosts, DriverOptions, Pick<WorldOptions, 'error'> {
  readonly inspect?: SessionPoolOptions['inspect'];
}

export interface RunReport {
  readonly plan: RunPlan;
  readonly violations: readonly RunViolation[];
  readonly history: readonly string[];
  readonly digest: string;
  readonly faults: ReadonlyMap<FaultId, number>;
  /** Final outcomes by key; `skipped` is one of them. */
  readonly outcomes: ReadonlyMap<string, string>;
  /** How far appends came, in their order: where a manager can be killed. */
  readonly stages: readonly { readonly append: number; readonly stage: Stage }[];
  readonly managers: number;
  readonly kills: number;
  readonly steps: number;
  readonly simulatedMs: number;
}

/** A run that is not done after so many managers never will be. */
const mostManagers = 60;

/** A world of more events runs away. */
const mostSteps = 200_000;

/** Runs a world of a run until the run is done, whoever dies meanwhile, and judges it. */
export async function runRunWorld(plan: RunPlan, options: RunWorldOptions): Promise<RunReport> {
  const run = new RunWorld(plan, options);
  await run.toTheEnd();
  const { world, driver, managers } = run;
  const { violations, outcomes } = judgeRun(run);
  for (const { rule, text } of violations) world.tell('oracle', `${rule}: ${text}`);
  return {
    plan,
    violations,
    outcomes,
    history: world.history.lines,
    digest: world.history.digest(),
    faults: world.faults,
    stages: run.stages,
    managers: managers.length,
    kills: run.kills,
    steps: driver.steps,
    simulatedMs: world.clock.elapsed(),
  };
}

class RunWorld implements RunEvidence {
  readonly plan: RunPlan;
  readonly world: World;
  readonly driver: Driver;
  readonly disk: SimulatedDisk;
  readonly witness: Witness;
  readonly managers: Manager[] = [];
  readonly stages: { readonly append: number; readonly stage: Stage }[] = [];
  /** The script of each turn that was sent, in the order of the ledger. */
  readonly scripts: number[] = [];
  readonly wishes: HeardWish[] = [];
  kills = 0;
  readonly #options: RunWorldOptions;

  constructor(plan: RunPlan, options: RunWorldOptions) {
    this.plan = plan;
    this.#options = options;
    const { seed, profile, protocol, pool, link, scripts, faults } = plan;
    const scriptOf = (prompt: string) => this.#scriptOf(prompt);
    this.world = new World({ ...emptyPlan, seed, profile, protocol, pool, link, scripts, faults }, { error: options.error, scriptOf });
    const { queue, random, points } = this.world;
    this.driver = new Driver(this.world, options, mostSteps);
    this.disk = new SimulatedDisk(() => queue.nowMs, random.of('disk'));
    this.witness = new Witness(this.disk);
    for (const { when, forMs } of plan.disk.full) points.at(when, 'the disk is full', () => this.#fillDisk(forMs));
    for (const { when, wish } of plan.wishes) points.at(when, wish, () => this.#wish(wish));
    for (const kill of plan.kills) if ('when' in kill) points.at(kill.when, 'the manager ends', () => this.#kill(kill.how));
  }

  async toTheEnd(): Promise<void> {
    const { queue } = this.world;
    while (this.managers.length < mostManagers) {
      const manager = this.#begin();
      if (!(await this.driver.until(() => manager.isOver, `manager ${manager.number}`))) return;
      if (manager.summary?.reason === 'done') {
        await this.driver.until(() => queue.foreground === 0, 'the queue');
        return;
      }
      if (!(await this.#pause())) return;
    }
    this.driver.hang = `the run: it is not done after ${mostManagers} managers`;
  }

  #begin(): Manager {
    const { world, disk, witness } = this;
    const number = this.managers.length + 1;
    const life = new Life(world.clock, (server) => world.endOrphan(server));
    world.tell('world', `manager ${number} begins`);
    const store = simulatedStore({
      world,
      disk,
      life,
      plan: this.plan,
      onStage: (append, stage) => this.#reach(append, stage),
      onLines: (rows) => witness.seeLines(rows),
      onState: (state) => witness.seeState(state),
      onFault: (text) => witness.see('one-append-at-a-time', text),
    });
    const { createPool, host, changePlan } = this.#options;
    const hosts: RunHosts = { createPool, host, ...(changePlan && { changePlan }) };
    const manager = new Manager({ ...hosts, world, plan: this.plan, life, store, number, onTold: (result) => witness.seeResult(result) });
    this.managers.push(manager);
    return manager;
  }

  #reach(append: number, stage: Stage): void {
    this.stages.push({ append, stage });
    const counts = this.managers.at(-1)?.run?.counts();
    if (counts) this.witness.seeCounts(counts);
    const kill = this.plan.kills.find((one): one is ManagerKill & { how: 'kill' | 'power' } => {
      return 'append' in one && one.append === append && one.stage === stage;
    });
    if (kill) this.#kill(kill.how);
  }

  /** The guard ends the server when its manager is gone; a loss of power ends both. */
  #kill(how: 'kill' | 'power'): void {
    const manager = this.managers.at(-1);
    if (!manager || manager.isOver) return;
    const { world } = this;
    this.kills += 1;
    world.tell('world', `manager ${manager.number} ends: ${how}`);
    manager.life.end();
    manager.killedAtMs = world.queue.nowMs;
    for (const stream of world.streams) void stream.close();
    this.disk.crash(how);
    const delayMs = how === 'power' ? 0 : world.random.of(`guard ${this.kills}`).between(10, 400);
    const end = () => {
      for (const process of world.processes) process.end({ expected: false, inOrder: how === 'kill' });
    };
    if (how === 'power') end();
    else world.queue.after(delayMs, 'the guard ends the server', end, { background: false });
  }

  #fillDisk(forMs: number): void {
    this.world.tell('world', `the disk is full for ${forMs} ms`);
    this.disk.fill(forMs);
  }

  #wish(wish: 'abort' | 'drain'): void {
    const { run, isOver, number } = this.managers.at(-1)!;
    if (!run || isOver) return;
    this.world.tell('user', `wishes: ${wish}`);
    this.wishes.push({ wish, atMs: this.world.queue.nowMs, manager: number });
    if (wish === 'abort') run.abort('The user has pressed a key.');
    else run.drain();
  }

  /** Somebody takes the run up again: not before its old server is gone, and there is room on the disk. */
  async #pause(): Promise<boolean> {
    const { queue, processes, random } = this.world;
    const untilMs = Math.max(queue.nowMs + random.of(`pause ${this.managers.length}`).between(50, 4000), this.disk.fullUntilMs);
    let isTime = false;
    queue.at(untilMs, 'somebody resumes the run', () => (isTime = true), { background: false });
    return this.driver.until(() => isTime && processes.every(({ state }) => state === 'ended'), 'the old server');
  }

  #scriptOf(prompt: string): TurnScript {
    const [key = ''] = prompt.split(' ');
    const { tasks, scripts } = this.plan;
    const { ledger } = this.world;
    const own = tasks.find((task) => task.key === key)?.scripts ?? [0];
    const turns = ledger.turnsOf(key);
    const ended = turns.filter(({ how }) => how === 'finished' || how === 'failed').length;
    const index = own[Math.min(ended, own.length - 1)]!;
    this.scripts[ledger.sent.length] = index;
    return turns.some(({ waits }) => waits.length > 0) ? withoutRefusals(scripts[index]!) : scripts[index]!;
  }
}

/** A provider that has refused a task takes its next turn: its quota is free again. */
function withoutRefusals(script: TurnScript): TurnScript {
  return { ...script, steps: script.steps.map(({ refusal: _refusal, ...step }) => step) };
}
