import type { SessionPool, SessionPoolOptions } from '@opencode-manager/actors';
import type * as hosts from '@opencode-manager/runs/hosts';
import type { FinalResult, OutputCheck, Run, RunPorts, RunStore, RunSummary, RunTaskSpec } from '@opencode-manager/runs/hosts';
import { foldJournal, planResume, type ResumePlan, type SourceTask } from '@opencode-manager/runs/machine';
import { mostAnswerBytes } from '../plan/defaults.ts';
import type { PoolPorts } from '../ports.ts';
import { policyOf } from '../users.ts';
import type { World } from '../world/world.ts';
import type { Life } from './life.ts';
import { unfitAnswer, type RunPlan } from './plan.ts';
import { later } from './store.ts';

/** What a world of a run needs that is not in it: the host of a run and that of a pool, as they are or with a fault. */
export interface RunHosts {
  readonly createPool: (options: SessionPoolOptions, ports: PoolPorts) => Promise<SessionPool>;
  readonly host: Pick<typeof hosts, 'RunHost' | 'AttemptNames' | 'Redaction' | 'openedRun' | 'finishedRun'>;
  /** Changes the plan of a manager: for faults that are put in on purpose. */
  readonly changePlan?: (plan: ResumePlan) => ResumePlan;
}

export interface ManagerOptions extends RunHosts {
  readonly world: World;
  readonly plan: RunPlan;
  readonly life: Life;
  readonly store: RunStore;
  readonly number: number;
  /** Its user is told a result. */
  readonly onTold: (result: FinalResult) => void;
}

/** Deadline of tasks that name none, in milliseconds. */
const taskTimeoutMs = 600_000;

/** A process that takes the run up, as `ocm run` and `ocm resume` do, and whoever reads its results. */
export class Manager {
  readonly life: Life;
  readonly store: RunStore;
  readonly number: number;
  readonly beganAtMs: number;
  /** When something ended it; undefined for one that came to its own end. */
  killedAtMs: number | undefined;
  run: Run | undefined;
  summary: RunSummary | undefined;
  /** Why it could not begin. */
  failure: unknown;
  /** What its user was told. */
  readonly told: FinalResult[] = [];
  /** The results have come to their end. */
  hasToldAll = false;
  readonly #options: ManagerOptions;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.life = options.life;
    this.store = options.store;
    this.number = options.number;
    this.beganAtMs = options.world.queue.nowMs;
    this.#live().catch((error: unknown) => (this.failure = error));
  }

  /** It has nothing more to do. */
  get isOver(): boolean {
    return this.life.isOver || this.failure !== undefined || (this.summary !== undefined && this.hasToldAll);
  }

  async #live(): Promise<void> {
    const run = await this.#open();
    if (this.life.isOver) return;
    this.run = run;
    void run.ended.then((summary) => (this.summary = summary));
    for await (const result of run.results()) {
      if (this.life.isOver) return;
      this.told.push(result);
      this.#options.onTold(result);
      this.#options.world.tell('user', `${result.key} ${result.outcome}${result.reused ? ', again' : ''}`);
    }
    this.hasToldAll = true;
  }

  async #open(): Promise<Run> {
    const { world, plan: world_, store, host, life, changePlan = (plan) => plan } = this.#options;
    const planned = planResume(foldJournal(store.rows()), sourceOf(world_), {});
    if (planned.refusal) throw world.error(planned.refusal.code, planned.refusal.message);
    const plan = changePlan(planned.plan);
    if (plan.tasks.every(({ decision }) => decision === 'reuse' || decision === 'skip')) return host.finishedRun(plan, store);
    const pool = await this.#options.createPool(this.#poolOptions(), life.portsOf(world.ports));
    const running = new host.RunHost({
      store,
      pool,
      sharesPool: false,
      plan,
      settings: { concurrency: world_.concurrency },
      tasks: new Map(world_.tasks.map((task) => [task.key, specOf(task)])),
      taskLimits: {},
      maxRetryWaitMs: 55_000,
      outputs: new Map(world_.tasks.flatMap(({ key, hasSchema }) => (hasSchema ? [[key, checkAnswer] as const] : []))),
      models: Object.fromEntries(world_.tasks.map(({ key, provider }) => [key, `${provider}/one`])),
      names: new host.AttemptNames(),
      changesOf: undefined,
      hasOwnPlace: () => false,
      redaction: new host.Redaction(),
      transcripts: true,
      onNote: (note) => world.tell('manager', note),
      ports: this.#ports(),
    });
    const letGo = async () => {
      await running.ended;
      await running.settled();
      await running.sweep(1000);
      await pool.stop().catch(() => undefined);
      await store.close();
    };
    return host.openedRun({ host: running, plan, store, letGo });
  }

  /** As a prepared run has them. */
  #poolOptions(): SessionPoolOptions {
    const { world, plan } = this.#options;
    return {
      server: { directory: '/srv/main' },
      maxSessions: plan.concurrency,
      maxAnswerBytes: mostAnswerBytes,
      maxRetryWaitMs: 55_000,
      permissions: policyOf(plan.pool, world),
      taskTimeoutMs,
      recovery: true,
      repeat: false,
      restartBudget: { maxRestarts: 1_000_000, windowMs: 60_000 },
    };
  }

  #ports(): RunPorts {
    const { world, life, number } = this.#options;
    const random = world.random.of(`manager ${number}`);
    const chance = random.of('transcripts');
    return {
      clock: life.clock,
      random: random.next,
      pid: 100 + number,
      hasDirectory: () => true,
      async writeTranscript() {
        await later({ world, life }, chance.between(1, 20), 'a transcript is written');
        return chance.chance(0.02) ? 'The transcript could not be written.' : undefined;
      },
    };
  }
}

const checkAnswer: OutputCheck = (answer) =>
  answer.includes(unfitAnswer) ? { problems: ['it does not fit'] } : { value: answer, problems: [] };

export function sourceOf({ tasks }: RunPlan): SourceTask[] {
  return tasks.map(({ key, after, retries, timeoutMs = taskTimeoutMs }) => ({
    key,
    hash: `ocm-task-v1:${key}`,
    after,
    retries,
    limits: { timeout: timeoutMs },
  }));
}

function specOf({ key, after, retries, timeoutMs, directory, provider }: RunPlan['tasks'][number]): RunTaskSpec {
  const prompt = `${key} is to be done`;
  const model = `${provider}/one`;
  return {
    id: key,
    prompt,
    model,
    after,
    retries,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(directory !== undefined && { directory }),
  };
}
