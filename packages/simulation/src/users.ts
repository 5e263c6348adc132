import type { PermissionPolicy, PooledSession, PoolEvent, SessionPool, Task, TaskResult } from '@opencode-manager/actors';
import type { Action, PoolPlan, TaskPlan } from './plan/types.ts';
import type { World } from './world/world.ts';

/** A call to the pool, and what came of it. */
export interface Call {
  readonly name: string;
  /** The task that it runs, by its key; absent for other calls. */
  readonly task?: string;
  readonly plan?: TaskPlan;
  readonly beganAtMs: number;
  endedAtMs?: number;
  /** When its signal was aborted. */
  abortedAtMs?: number;
  result?: TaskResult;
  error?: { readonly code: string; readonly message: string };
}

/** What the pool tells of itself and of its servers. */
export type PoolNews = Extract<PoolEvent, { type: 'pool.changed' | `server.${string}` }>;

interface Lease {
  readonly session: Promise<PooledSession | undefined>;
  held: boolean;
}

/** The text of a prompt: which task, which script. */
const textOf = (key: string, { script }: TaskPlan): string => `${key} ${script}`;

/** The task of a plan as a caller of the pool writes it. */
function taskOf(key: string, plan: TaskPlan): Task {
  const { kind = 'prompt', provider, directory, timeoutMs, steps, priority, group, emptyAnswer } = plan;
  const text = textOf(key, plan);
  return {
    id: key,
    ...(kind === 'prompt' && { prompt: text }),
    ...(kind === 'shell' && { shell: text }),
    ...(kind === 'command' && { command: `do ${text}` }),
    ...(kind !== 'shell' && { model: `${provider ?? 'alpha'}/one` }),
    ...(directory !== undefined && { directory }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(steps !== undefined && { limits: { steps } }),
    ...(priority !== undefined && { priority }),
    ...(group !== undefined && { group }),
    ...(emptyAnswer && { emptyAnswer: 'allow' }),
  };
}

/** How the pool of a plan answers asks. */
export function policyOf({ permissions }: PoolPlan, world: World): PermissionPolicy {
  if (permissions === 'escalate') return [{ permission: '*', action: 'escalate' }];
  if (typeof permissions !== 'number') return permissions;
  return () => new Promise((resolve) => void world.queue.after(permissions, 'the callback answers', () => resolve({ action: 'allow' })));
}

/** Those who use a pool: they carry out the actions of a plan, and remember what they were told. */
export class Users {
  readonly calls: Call[] = [];
  /** What the pool told of its sessions. */
  readonly phases: { readonly sessionId: string; readonly atMs: number; readonly path: string }[] = [];
  /** What the pool told of itself and of its servers. */
  readonly news: PoolNews[] = [];
  readonly #world: World;
  readonly #pool: SessionPool;
  readonly #aborts = new Map<string, AbortController>();
  readonly #leases = new Map<string, Lease>();

  constructor(world: World, pool: SessionPool) {
    this.#world = world;
    this.#pool = pool;
    pool.on('session.changed', ({ session: { sessionId, path } }) => this.phases.push({ sessionId, path, atMs: world.queue.nowMs }));
    pool.on('*', (event) => isNews(event) && this.news.push({ ...event, atMs: world.queue.nowMs }));
    for (const action of world.plan.actions) world.points.at(action.when, action.do, () => this.act(action));
  }

  get unsettled(): Call[] {
    return this.calls.filter(({ endedAtMs }) => endedAtMs === undefined);
  }

  /** Leases that nobody has given back. */
  get held(): number {
    return [...this.#leases.values()].filter(({ held }) => held).length;
  }

  act(action: Action): void {
    this.#world.tell('user', JSON.stringify({ ...action, when: undefined }));
    if (action.do === 'run') this.#run(action.key, action.task);
    else if (action.do === 'abort') this.#abort(action.key);
    else if (action.do === 'lease') this.#lease(action);
    else if (action.do === 'runAll') this.#runAll(action);
    else if (action.do === 'drain') this.call('drain', () => this.#pool.drain());
    else if (action.do === 'stop') this.stop();
    else if (action.do === 'rotate') this.call('rotate', () => this.#pool.rotateServer());
    else if (action.do === 'cleanup') this.call('cleanup', () => this.#pool.cleanupDeadSessions());
    else if ('lease' in action) this.#useLease(action);
  }

  stop(): void {
    this.call('stop', () => this.#pool.stop());
  }

  call(name: string, begin: () => Promise<unknown>, task?: { readonly key: string; readonly plan: TaskPlan }): void {
    const call: Call = { name, beganAtMs: this.#world.queue.nowMs, ...(task && { task: task.key, plan: task.plan }) };
    this.calls.push(call);
    const end = (what: Partial<Call>) => {
      Object.assign(call, what, { endedAtMs: this.#world.queue.nowMs });
      this.#world.tell('user', `${name} is told ${describe(call)}`);
      if (call.result) this.#world.hit('told');
    };
    // A call that throws at once has been answered too.
    const begun = new Promise((resolve) => resolve(begin()));
    begun.then(
      (value) => end(isResult(value) ? { result: value } : {}),
      (error: unknown) =>
        end({ error: { code: (error as { code?: string }).code ?? 'UNKNOWN', message: (error as Error)?.message ?? String(error) } }),
    );
  }

  #run(key: string, plan: TaskPlan): void {
    const signal = this.#signalOf(key);
    this.call(`run ${key}`, () => this.#pool.run(taskOf(key, plan), { signal }), { key, plan });
  }

  #signalOf(key: string): AbortSignal {
    const abort = new AbortController();
    this.#aborts.set(key, abort);
    return abort.signal;
  }

  #abort(key: string): void {
    const call = this.unsettled.find(({ name }) => name === `run ${key}` || name === `runAll ${key}`);
    if (call) call.abortedAtMs ??= this.#world.queue.nowMs;
    this.#aborts.get(key)?.abort('the user changed his mind');
  }

  #runAll({ key, tasks, leaveAfter = Infinity }: Extract<Action, { do: 'runAll' }>): void {
    const numbered = tasks.map((task, index) => taskOf(`${key}.${index}`, task));
    const signal = this.#signalOf(key);
    const take = async () => {
      let count = 0;
      for await (const result of this.#pool.runAll(numbered, { signal })) {
        const index = Number(result.id.split('.')[1]);
        this.call(`result ${result.id}`, () => Promise.resolve(result), { key: result.id, plan: tasks[index]! });
        if ((count += 1) >= leaveAfter) break;
      }
    };
    this.call(`runAll ${key}`, take);
  }

  #lease({ key, how, directory }: Extract<Action, { do: 'lease' }>): void {
    const lease: Lease = { session: this.#takeSession(how, directory).catch(() => undefined), held: false };
    this.#leases.set(key, lease);
    this.call(`lease ${key}`, async () => {
      lease.held = (await lease.session) !== undefined;
    });
  }

  async #takeSession(how: 'create' | 'idle', directory: string | undefined): Promise<PooledSession | undefined> {
    const where = directory === undefined ? {} : { directory };
    return how === 'idle' ? this.#pool.getIdleSession(where) : this.#pool.createSession('leased', where);
  }

  #useLease(action: Extract<Action, { lease: string }>): void {
    const lease = this.#leases.get(action.lease);
    if (!lease) return;
    const use = (what: string, how: (session: PooledSession) => unknown, task?: { readonly key: string; readonly plan: TaskPlan }) =>
      this.call(`${what} ${action.lease}`, async () => lease.session.then((session) => session && how(session)), task);
    if (action.do === 'prompt') {
      const { directory: _, ...task } = taskOf(action.key, action.task);
      use(`prompt ${action.key}`, (session) => session.run(task), { key: action.key, plan: action.task });
    } else if (action.do === 'abortLease') use('abort', (session) => session.abort());
    else if (action.do === 'alive') use('alive', (session) => session.isAlive());
    // A change of nothing: what counts is its place between the turns.
    else if (action.do === 'revert') use('revert', (session) => session.revertMessage('msg_zzzz'));
    else if (action.do === 'release') use('release', (session) => this.#end(lease, () => session.release()));
    else if (action.do === 'delete') use('delete', (session) => session.delete().then(() => this.#end(lease, () => undefined)));
  }

  #end(lease: Lease, how: () => void): void {
    lease.held = false;
    how();
  }
}

function isNews(event: PoolEvent): event is PoolNews {
  return event.type === 'pool.changed' || event.type.startsWith('server.');
}

function isResult(value: unknown): value is TaskResult {
  return typeof value === 'object' && value !== null && 'outcome' in value;
}

function describe({ result, error }: Call): string {
  if (error) return `${error.code}: ${error.message}`;
  if (!result) return 'done';
  const { outcome, attempt, output } = result;
  return `${outcome} (attempt ${attempt}) ${JSON.stringify(output)}${result.error ? ` ${result.error.code}: ${result.error.message}` : ''}`;
}
