import { setTimeout as pause } from 'node:timers/promises';
import { launchServer, type OpencodeServer } from '@opencode-manager/core';
import { EventMonitor } from '@opencode-manager/events';
import { startFaultProxy, startScriptedModel, temporaryWorkspace, type FaultProxy, type ScriptedModel } from '@opencode-manager/testing';
import { createSessionPool, type SessionPool, type Task, type TaskResult } from '../src/index.ts';
import { checkCalls } from './checks/calls.ts';
import { checkEffects } from './checks/effects.ts';
import { checkLeftovers } from './checks/leftovers.ts';
import { checkPool } from './checks/pool.ts';
import { checkResults } from './checks/results.ts';
import { Injector } from './injector.ts';
import type { SoakOptions } from './options.ts';
import { plannedFaults, plannedTasks, type PlannedTask } from './plan.ts';
import { throughProxy } from './proxied-server.ts';
import { PoolRecord } from './record.ts';
import { figuresOf, type SoakReport } from './report.ts';
import { countResources, warmUp } from './resources.ts';
import type { Sandbox } from './sandbox.ts';
import { soakScript } from './script.ts';
import { watchThreads } from './stream-threads.ts';

/** The pool hangs when no task has ended for so long: more than every limit of a turn together. */
const hangMs = 120_000;

/** Short limits, so that a silent provider costs seconds: opencode asks again when a stream says nothing for so long. */
const chunkTimeoutMs = 3000;
const watchdogMs = 4000;

/** Runs the plan of a seed on a real server, stops everything, and says what was wrong. */
export async function soak(options: SoakOptions, sandbox: Sandbox, signal: AbortSignal): Promise<SoakReport> {
  await warmUp();
  const before = { resources: await countResources(), listing: await sandbox.listing() };
  const { runId, problems, figures } = await work(options, signal);
  return { figures, problems: [...problems, ...(await checkLeftovers(before, sandbox, runId))] };
}

interface Verdict extends SoakReport {
  readonly runId: string;
}

async function work(options: SoakOptions, signal: AbortSignal): Promise<Verdict> {
  const startedAtMs = Date.now();
  const { script, struck } = soakScript(options.seed);
  await using stack = new AsyncDisposableStack();
  const threads = stack.use(watchThreads());
  const model = stack.use(await startScriptedModel(script));
  const modelProxy = stack.use(await startFaultProxy({ target: model.url }));
  const workspace = stack.use(await temporaryWorkspace({ files: { 'readme.txt': 'first\n' } }));
  const server = stack.use(await launchServer({ directory: workspace.path, opencodeConfig: configOf(model, modelProxy) }));
  const serverProxy = stack.use(await startFaultProxy({ target: server.url }));
  const pool = stack.use(await openPool(throughProxy(server, serverProxy), options, stack));
  const record = new PoolRecord(pool);

  const injector = new Injector(plannedFaults(options.seed), { pool, serverProxy, modelProxy, threads });
  const { tasks, results } = await runTasks(pool, record, options, signal);
  await injector.stop();

  const faults = injector.struck();
  const modelRecord = { calls: model.turnCalls, cutsAtMs: injector.timesOf('model-cut') };
  const problems = [
    ...checkResults(tasks, results, record.finished, server.protocol),
    ...checkCalls(tasks, results, modelRecord),
    ...(await checkEffects(tasks, results, workspace)),
    ...checkPool(pool.snapshot(), record, faults.get('server-kill') ?? 0),
  ];
  const durationMs = Date.now() - startedAtMs;
  return { runId: server.runId, problems, figures: figuresOf({ results, record, snapshot: pool.snapshot(), faults, struck, durationMs }) };
}

function configOf(model: ScriptedModel, proxy: FaultProxy): Record<string, unknown> {
  const { provider, ...config } = model.opencodeConfig({ baseURL: proxy.url });
  const scripted = provider['scripted'] as { readonly options: object };
  return { ...config, provider: { scripted: { ...scripted, options: { ...scripted.options, chunkTimeout: chunkTimeoutMs } } } };
}

async function openPool(server: OpencodeServer, { concurrency }: SoakOptions, stack: AsyncDisposableStack): Promise<SessionPool> {
  const monitor = stack.use(EventMonitor.open(server, { watchdogMs }));
  await monitor.ready();
  return createSessionPool({ server, monitor, recovery: true, maxSessions: concurrency, permissions: 'allow' });
}

interface Batch {
  /** Those that were taken. */
  readonly tasks: PlannedTask[];
  readonly results: TaskResult[];
}

async function runTasks(pool: SessionPool, record: PoolRecord, options: SoakOptions, signal: AbortSignal): Promise<Batch> {
  const batch: Batch = { tasks: [], results: [] };
  const ended = new AbortController();
  const hung = watchForHang(record, ended.signal);
  const stop = AbortSignal.any([signal, hung]);
  for await (const result of pool.runAll(takeTasks(options, batch.tasks), { signal: stop })) batch.results.push(result);
  ended.abort();
  return batch;
}

function* takeTasks({ seed, tasks, durationMs }: SoakOptions, taken: PlannedTask[]): Generator<Task> {
  const endAtMs = Date.now() + durationMs;
  for (const task of plannedTasks(seed)) {
    if (taken.length >= tasks || Date.now() >= endAtMs) return;
    taken.push(task);
    yield { id: task.id, prompt: task.prompt };
  }
}

/** Aborts when no task has ended for too long; what hangs then shows as `aborted`. */
function watchForHang(record: PoolRecord, ended: AbortSignal): AbortSignal {
  const hung = new AbortController();
  const look = async () => {
    while (record.quietMs < hangMs) await pause(1000, undefined, { signal: ended });
    hung.abort(new Error(`No task has ended for ${hangMs} ms.`));
  };
  void look().catch(() => undefined);
  return hung.signal;
}
