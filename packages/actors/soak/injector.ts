import { setTimeout as pause } from 'node:timers/promises';
import type { FaultProxy } from '@opencode-manager/testing';
import type { SessionPool } from '../src/index.ts';
import type { FaultKind, PlannedFault } from './plan.ts';
import type { ThreadWatch } from './stream-threads.ts';

/** What faults can strike. */
export interface Targets {
  readonly pool: SessionPool;
  /** Between the pool and its server. */
  readonly serverProxy: FaultProxy;
  /** Between the server and its model. */
  readonly modelProxy: FaultProxy;
  readonly threads: ThreadWatch;
}

export interface InjectedFault {
  readonly kind: FaultKind;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** False when there was nothing to strike, for example no stream while the server was away. */
  readonly struck: boolean;
}

/** Carries out the plan, each fault at its time, until it is stopped. */
export class Injector {
  readonly injected: InjectedFault[] = [];
  readonly #targets: Targets;
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>;
  #finishedAtKill = -1;

  constructor(faults: Iterable<PlannedFault>, targets: Targets) {
    this.#targets = targets;
    this.#running = this.#run(faults, Date.now());
  }

  /** How often each kind has struck. A lost answer counts when it was lost, not when that was arranged. */
  struck(): Map<FaultKind, number> {
    const counts = new Map<FaultKind, number>([['lost-answer', this.#targets.serverProxy.faults.filter(isLostAnswer).length]]);
    for (const { kind, struck } of this.injected) if (struck) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts;
  }

  timesOf(kind: FaultKind): number[] {
    return this.injected.filter((fault) => fault.kind === kind && fault.struck).map(({ atMs }) => atMs);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
    this.#targets.serverProxy.resume();
  }

  async #run(faults: Iterable<PlannedFault>, startedAtMs: number): Promise<void> {
    for (const fault of faults) {
      if (!(await this.#sleep(startedAtMs + fault.atMs - Date.now()))) return;
      this.injected.push({ kind: fault.kind, atMs: Date.now(), struck: this.#inject(fault) });
    }
  }

  #sleep(forMs: number): Promise<boolean> {
    return pause(Math.max(0, forMs), true, { signal: this.#stopped.signal }).catch(() => false);
  }

  #inject(fault: PlannedFault): boolean {
    const { serverProxy, modelProxy, threads } = this.#targets;
    if (fault.kind === 'server-kill') return this.#killServer();
    if (fault.kind === 'worker-crash') return threads.crash();
    if (fault.kind === 'model-cut') return modelProxy.dropStreams() > 0;
    if (fault.kind === 'stream-drop') return serverProxy.dropStreams(fault.how, streams) > 0;
    if (fault.kind === 'stream-stall') return this.#stall(fault.forMs);
    serverProxy.rule({ name: lostAnswer, when: prompts, times: 1, fault: { type: 'drop', at: 'response' } });
    return false;
  }

  /**
   * A server that is started at the moment is left alone, and so is one that has not finished a task yet: on a slow machine the
   * same turns would be hit again and again, until the pool rightly gives them up.
   */
  #killServer(): boolean {
    const { pool } = this.#targets;
    const { state, finished } = pool.snapshot();
    if (state !== 'running' || finished === this.#finishedAtKill) return false;
    this.#finishedAtKill = finished;
    return process.kill(pool.server.pid, 'SIGKILL');
  }

  #stall(forMs: number): boolean {
    const { serverProxy } = this.#targets;
    const stalled = serverProxy.stallStreams(streams);
    void this.#sleep(forMs).then(() => serverProxy.resume());
    return stalled > 0;
  }
}

/** Of either protocol. */
const prompts = { path: /\/prompt(_async)?(\?|$)/ };
const streams = { path: /^\/(global|api)\/event/ };
const lostAnswer = 'lost answer';
const isLostAnswer = ({ rule }: { readonly rule: string | null }) => rule === lostAnswer;
