import { setTimeout as sleep } from 'node:timers/promises';
import type { QueueClient } from '@opencode-manager/queue';
import { seededRandom } from '../random.ts';
import type { Hosts } from './hosts.ts';
import type { QueueSoakOptions } from './options.ts';
import type { QueuePlace } from './place.ts';
import { slowTask } from './tasks.ts';

export interface Struck {
  readonly kills: number;
  /** From the wish to the end of the call of the model on the host that had the task, in milliseconds; undefined when it never ended. */
  readonly cancelMs: number | undefined;
}

export interface Striking {
  readonly options: QueueSoakOptions;
  readonly place: QueuePlace;
  readonly hosts: Hosts;
  readonly client: QueueClient;
  readonly run: string;
  /** Aborted when the run is over. */
  readonly over: AbortSignal;
  readonly log: (line: string) => void;
}

/** What befalls the hosts, in an order that the seed decides. */
export async function strike(striking: Striking): Promise<Struck> {
  const { options, over, log } = striking;
  const random = seededRandom(options.seed + 1);
  const steps: ('kill' | 'freeze' | 'broker' | 'cut')[] = Array.from({ length: options.kills }, () => 'kill' as const);
  for (const other of ['freeze', 'broker', 'cut'] as const) steps.splice(Math.floor(random.between(1, steps.length)), 0, other);
  const cancelMs = await cancelSlow(striking);
  let kills = 0;
  for (const step of steps) {
    await sleep(random.between(4000, 8000), undefined, { signal: over }).catch(() => undefined);
    if (over.aborted) break;
    log(`strike: ${step}`);
    if (step === 'kill') kills += Number(await killOne(striking, random.between(0, 1)));
    else if (step === 'freeze') await freezeOne(striking);
    else if (step === 'broker') await restartBroker(striking);
    else await striking.place.network.cut(random.between(1000, 3000));
  }
  return { kills, cancelMs };
}

async function killOne({ hosts }: Striking, which: number): Promise<boolean> {
  const host = hosts.live[Math.floor(which * hosts.live.length)];
  if (!host) return false;
  await hosts.kill(host);
  void hosts.start();
  return true;
}

/** It is stopped until its leases are lost for certain, and then goes on as if nothing had happened. */
async function freezeOne({ hosts, options, log }: Striking): Promise<void> {
  const [host] = hosts.live;
  if (!host) return;
  host.isStopped = true;
  host.worker.signal('SIGSTOP');
  await sleep(options.leaseMs * 3);
  host.worker.signal('SIGCONT');
  log('strike: the frozen host goes on');
  host.isStopped = false;
}

async function restartBroker({ place }: Striking): Promise<void> {
  await place.engine.kill();
  await sleep(1500);
  await place.engine.restart();
}

/** The wish comes from one process, and the task runs in another. */
async function cancelSlow({ place, client, run, log }: Striking): Promise<number | undefined> {
  await untilRow(client, run, 'attempt.intended');
  const calls = () => place.model.calls.filter(({ user, purpose }) => purpose === 'turn' && user.includes(`[${slowTask}]`));
  while (calls().length === 0) await sleep(100);
  const command = place.ocm('ctl', 'task', 'cancel', slowTask, '--run', run, '--queue', place.url);
  await command.exit;
  const wished = await untilRow(client, run, 'task.cancelled');
  await untilRow(client, run, 'attempt.ended');
  // The host has given up its call of the model: that is when the wish has reached it.
  const [call] = calls();
  const cancelMs = wished === undefined || call?.endedAtMs === undefined ? undefined : call.endedAtMs - wished;
  log(`cancel reached its host after ${cancelMs} ms`);
  return cancelMs;
}

/** The time of the first row of a type about the slow task, in milliseconds since the epoch. */
async function untilRow({ ledger }: QueueClient, run: string, type: string): Promise<number | undefined> {
  const deadline = performance.now() + 30_000;
  for (let after = 0; performance.now() < deadline;) {
    const rows = await ledger.rows(run, after, 500).catch(() => []);
    const found = rows.find(({ event }) => event.type === type && 'key' in event && event.key === slowTask);
    if (found) return found.atMs;
    after = rows.at(-1)?.sequence ?? after;
    if (rows.length === 0) await sleep(50);
  }
  return undefined;
}
