import type { Call } from '../users.ts';
import type { World } from '../world/world.ts';
import { since, wasTroubled } from './evidence.ts';
import type { Evidence, Report } from './judge.ts';
import { isQuick } from './promptness.ts';

/** A task that waits past its limit is told within this. */
const overdueMs = 2000;
/** What has a slot is sent within this. */
const sentMs = 1000;

/** What waits for a slot waits no longer than it may, and in the order of priorities. */
export function judgeWaiting({ world, users }: Evidence, report: Report): void {
  if (!users || !isQuick(world)) return;
  for (const call of users.calls) judgeLimit(world, users.calls, call, report);
  for (const [fromMs, toMs] of awaysOf(users)) judgeOrder(world, users.calls, { fromMs, toMs }, report);
}

/** The limit of a prompt of a leased session counts the wait for a slot, and for the prompts before it. */
function judgeLimit(
  world: World,
  calls: readonly Call[],
  { name, task, plan, beganAtMs, endedAtMs = Infinity }: Call,
  report: Report,
): void {
  if (!name.startsWith('prompt ') || plan?.timeoutMs === undefined) return;
  const madeAtMs = calls.find((call) => call.name === `lease ${task!.split('.')[0]}`)?.endedAtMs ?? Infinity;
  const limitMs = Math.max(beganAtMs, madeAtMs) + plan.timeoutMs;
  const untilMs = limitMs + overdueMs;
  // One that has a slot waits for the answers of its server, before it is sent.
  if (wasTroubled(world, beganAtMs, untilMs)) return;
  const wasSent = world.ledger.sent.some((sent) => sent.task === task && sent.atMs <= untilMs);
  if (wasSent || endedAtMs <= untilMs || world.queue.nowMs <= untilMs) return;
  report('within-limits', `${task}: its limit passed at ${since(world, limitMs)} while it waited, and it was told later.`);
}

/** Whiles without a server: none of the tasks that come then has a slot before the next server is there. */
function awaysOf({ news }: NonNullable<Evidence['users']>): (readonly [number, number])[] {
  const states = news.flatMap((one) => (one.type === 'pool.changed' ? [one] : []));
  return states.flatMap(({ state, atMs }, index) => (state === 'recovering' ? [[atMs, states[index + 1]?.atMs ?? Infinity] as const] : []));
}

/** Of the tasks that came while no server was there, those of a higher priority are sent first. */
function judgeOrder(
  { ledger, plan, faults }: World,
  calls: readonly Call[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  report: Report,
): void {
  // A provider that refuses holds its own back.
  if (faults.has('disk-full') || ledger.turns.some(({ retries, how }) => retries > 0 || how === 'failed')) return;
  const waiting = calls
    .filter(({ name, beganAtMs }) => name.startsWith('run ') && beganAtMs > fromMs && beganAtMs < toMs)
    .map(({ task, plan: wanted }) => ({
      task,
      priority: wanted?.priority ?? 0,
      sentAtMs: ledger.sent.find((one) => one.task === task)?.atMs,
    }));
  const atOnceMs = plan.pool.maxSessions === 1 ? 0 : sentMs;
  for (const one of waiting)
    for (const other of waiting)
      if (one.priority > other.priority && (one.sentAtMs ?? 0) > (other.sentAtMs ?? Infinity) + atOnceMs)
        report('providers-apart', `${one.task}: was sent after ${other.task}, whose priority is lower.`);
}
