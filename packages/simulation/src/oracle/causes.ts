import type { TaskResult } from '@opencode-manager/actors';
import type { Fault } from '../plan/types.ts';
import type { Call } from '../users.ts';
import type { World } from '../world/world.ts';
import { callsOf, since, wasTroubled, type Told } from './evidence.ts';
import { expectedOutcome } from './expected.ts';
import type { Evidence, Report } from './judge.ts';

/** Faults after which a turn may end in any way. Those of the event stream are not among them, nor a server that is replaced. */
const disturbing: ReadonlySet<Fault['what']> = new Set([
  'kill',
  'wedge',
  'dispose',
  'abortsOutside',
  'promptsOutside',
  'deletesOutside',
  'startFails',
]);

/** An event stream that fails is opened anew so often. */
const mostReopened = 3;

/** The deadline of most requests, in milliseconds: an answer that takes longer is lost. */
const deadlineMs = 15_000;

/** Requests that are lost, or refused without a reason. */
export function losesRequests({ plan: { link, faults } }: World): boolean {
  const isTooSlow = faults.some((fault) => fault.what === 'slow' && fault.delayMs >= deadlineMs);
  return isTooSlow || link.lostRequest + link.lostAnswer + link.brokenAnswer + link.refusal > 0;
}

/** Every outcome has its cause: in what the turn does, in what somebody asked for, or in what went wrong. */
export function judgeCauses({ world, users }: Evidence, told: Told, report: Report): void {
  const { result, task, plan } = told;
  const calls = users?.calls ?? [];
  const cause = causes[result.outcome]?.(world, calls, told) ?? true;
  if (!cause) report('results-are-true', `${task}: told as ${result.outcome}, and nothing gave cause for it.`);
  if (result.error?.message.includes('may be lost') && !losesRequests(world))
    report('results-are-true', `${task}: told that its request may be lost, and none was.`);
  if (!plan || isDisturbed(world) || isAborted(world, calls, told) || isAfterBadTurn(calls, told)) return;
  if (result.attempt > 1) report('results-are-true', `${task}: told as attempt ${result.attempt}, and nothing disturbed the first.`);
  // How much a turn said is judged with the claims of its result.
  if (result.error?.code === 'ANSWER_TOO_LARGE' || result.outcome === 'over_budget') return;
  const expected = expectedOutcome(world.plan, plan);
  // Its only word is an event, which a gap swallows.
  const isUnheard = world.plan.scripts[plan.script]!.unknownModel && world.ledger.darkness.length > 0;
  if (expected === undefined || isUnheard || result.outcome === expected || result.outcome === 'timed_out') return;
  report('results-are-true', `${task}: told as ${result.outcome} (${result.error?.code}); its turn ${expected}, and nothing disturbed it.`);
}

const causes: Partial<Record<TaskResult['outcome'], (world: World, calls: readonly Call[], told: Told) => boolean>> = {
  aborted: (world, calls, told) =>
    isAborted(world, calls, told) ||
    world.faults.has('abort-outside') ||
    world.faults.has('disposed') ||
    (world.behaviour.deletesWork && world.faults.has('delete-while-busy')),
  timed_out: ({ plan }, _calls, { plan: task, name, beganAtMs, endedAtMs }) => {
    const timeoutMs = task?.timeoutMs ?? plan.pool.taskTimeoutMs;
    return timeoutMs !== undefined && (name.startsWith('result') || endedAtMs - beganAtMs >= timeoutMs - 1);
  },
  over_budget: (world, _calls, { plan: task, result, endedAtMs }) => {
    const turn = world.ledger.turnOf(result.message_id ?? '');
    return task?.steps !== undefined && turn !== undefined && callsOf(world, turn, endedAtMs) >= task.steps;
  },
  stalled: (_world, _calls, { name, beganAtMs, endedAtMs }) => name.startsWith('result') || endedAtMs - beganAtMs >= 300_000 - 1,
  needs_input: (world, _calls, { result, endedAtMs }) => {
    const { deliveredAtMs = Infinity } = world.ledger.turnOf(result.message_id ?? '') ?? {};
    const isDark = wasTroubled(world, deliveredAtMs, endedAtMs);
    return world.ledger.asks.some(({ rootId, kind, openedAtMs, staleAtMs = Infinity }) => {
      // No event tells that nobody waits for an ask any more, when it is lost.
      const untilMs = isDark ? endedAtMs : Math.min(endedAtMs, staleAtMs);
      const isOpen = kind === 'question' || untilMs - openedAtMs >= 60_000 - 1;
      return rootId === result.session_id && openedAtMs >= deliveredAtMs && isOpen;
    });
  },
  runaway: ({ plan }, _calls, { plan: task }) => task !== undefined && plan.scripts[task.script]!.loopsTo !== undefined,
  quota_exhausted: ({ plan }, _calls, { plan: task }) =>
    task !== undefined && plan.scripts[task.script]!.steps.some(({ refusal }) => refusal?.statusCode === 429),
  // Three restarts are allowed.
  server_lost: (world) => lossesOf(world) > 3,
};

function isDisturbed(world: World): boolean {
  const { faults } = world.plan;
  // One that answers too late for three probes in a row is lost, too.
  if (world.ledger.losses.length > 0) return true;
  const reopened = faults.filter(({ what }) => what === 'streamFails').length;
  return losesRequests(world) || reopened > mostReopened || faults.some(({ what }) => disturbing.has(what));
}

/** Somebody asked for the end of a task, before it was told. */
function isAborted(world: World, calls: readonly Call[], { task, endedAtMs }: Told): boolean {
  const [batch = ''] = task.split('.');
  const names = new Set([`run ${task}`, `prompt ${task}`, `runAll ${batch}`]);
  if (calls.some(({ name, abortedAtMs = Infinity }) => names.has(name) && abortedAtMs <= endedAtMs)) return true;
  const left = world.plan.actions.some((action) => action.do === 'runAll' && action.key === batch && action.leaveAfter !== undefined);
  const ends = new Set(['stop', `abort ${batch}`, `delete ${batch}`]);
  return left || calls.some(({ name, beganAtMs }) => ends.has(name) && beganAtMs <= endedAtMs);
}

/** A leased session whose other turns did not end well is another matter. */
function isAfterBadTurn(calls: readonly Call[], { task, name }: Told): boolean {
  if (!name.startsWith('prompt')) return false;
  const [lease] = task.split('.');
  return calls.some((other) => other.task !== task && other.task?.split('.')[0] === lease && other.result?.outcome !== 'succeeded');
}

function lossesOf({ ledger, faults }: World): number {
  return ledger.losses.length + (faults.get('start-fails') ?? 0) + (faults.get('stream-failed') ?? 0);
}

/** Calls that fail say why: the pool takes no work because somebody drained or stopped it, or because its server is lost. */
export function judgeErrors({ world, users, failure }: Evidence, report: Report): void {
  if (failure !== undefined && lossesOf(world) === 0)
    report('results-are-true', `createPool failed with ${failure instanceof Error ? failure.message : 'no error'}, for no reason.`);
  const calls = users?.calls ?? [];
  for (const { name, error, endedAtMs = Infinity } of calls) {
    if (!error || !/^(?:run|runAll|drain|stop)\b/.test(name)) continue;
    const isClosed = calls.some((other) => (other.name === 'drain' || other.name === 'stop') && other.beganAtMs <= endedAtMs);
    const isRefusal = error.code === 'POOL_STOPPED' && !/^(?:drain|stop)\b/.test(name);
    if (isRefusal && (isClosed || lossesOf(world) > 3)) continue;
    report('results-are-true', `${name} failed at ${since(world, endedAtMs)} with ${error.code}, for no reason.`);
  }
}
