import type { SerializedError } from '@opencode-manager/core';
import { backoffOf, recentRestarts } from './pool-schedule.ts';
import type { ServerContext, ServerMachineEvent, WatchedServer } from './server.types.ts';
import { failure } from './turn-verdict.ts';

export type ServerEventOf<Type extends ServerMachineEvent['type']> = Extract<ServerMachineEvent, { type: Type }>;

type Unanswered = ServerEventOf<'probe.unanswered'>;

/** The server that an event is about. */
export function watchedOf({ watched, generation: current }: ServerContext, generation = current): WatchedServer | undefined {
  return watched.find((one) => one.generation === generation);
}

function change(context: ServerContext, generation: number | undefined, of: (one: WatchedServer) => WatchedServer): ServerContext {
  const known = watchedOf(context, generation);
  return known ? { ...context, watched: context.watched.map((one) => (one === known ? of(one) : one)) } : context;
}

const newlyWatched = (generation: number): WatchedServer => ({
  generation,
  strikes: 0,
  silentSinceMs: 0,
  streamRestarts: [],
  ending: false,
});

/** Any answer, errors included, and any byte is a sign of activity. */
export function clearStrikes(context: ServerContext, { generation }: ServerEventOf<'probe.answered'>): ServerContext {
  return watchedOf(context, generation)?.strikes === 0 ? context : change(context, generation, (one) => ({ ...one, strikes: 0 }));
}

/** Counts a probe without an answer; a byte on the event stream since the first begins the count anew. */
export function strike(context: ServerContext, event: Unanswered): ServerContext {
  return change(context, event.generation, (one) => (one.ending ? one : struck(one, event)));
}

function struck(one: WatchedServer, { startedAtMs, lastRecordAtMs }: Unanswered): WatchedServer {
  const heardSince = (sinceMs: number) => lastRecordAtMs !== null && lastRecordAtMs >= sinceMs;
  if (heardSince(startedAtMs)) return { ...one, strikes: 0 };
  if (one.strikes === 0 || heardSince(one.silentSinceMs)) return { ...one, strikes: 1, silentSinceMs: startedAtMs };
  return { ...one, strikes: one.strikes + 1 };
}

/** Whether one more probe without an answer makes the server lost. */
export function isSilent(context: ServerContext, event: Unanswered): boolean {
  const known = watchedOf(context, event.generation);
  return known !== undefined && !known.ending && struck(known, event).strikes >= context.maxStrikes;
}

export function silence({ maxStrikes, ...context }: ServerContext, { generation, output, atMs }: Unanswered): SerializedError {
  const silentMs = Math.round(atMs - (watchedOf({ ...context, maxStrikes }, generation)?.silentSinceMs ?? atMs));
  const message = `The opencode server runs and did not answer ${maxStrikes} probes; it has been silent for ${silentMs} ms.`;
  return { ...failure('SERVER_UNRESPONSIVE', message, { silentMs }), output };
}

/** Whether the event stream of a server may be opened once more within the restart limits. */
export function mayReopen(context: ServerContext, { generation, atMs }: ServerEventOf<'stream.failed'>): boolean {
  const { maxRestarts, windowMs } = context.restartLimits;
  const known = watchedOf(context, generation);
  return known !== undefined && !known.ending && recentRestarts(known.streamRestarts, windowMs, atMs).length < maxRestarts;
}

export function noteReopening(context: ServerContext, { generation, atMs }: ServerEventOf<'stream.failed'>): ServerContext {
  const { windowMs } = context.restartLimits;
  return change(context, generation, (one) => ({
    ...one,
    streamRestarts: [...recentRestarts(one.streamRestarts, windowMs, atMs), atMs],
  }));
}

/**
 * The restarts that still count. Their window is of time in which a server was there: where a start takes long, one that dies
 * whenever it is ready, or before, would otherwise be started for ever.
 */
function restartTimesAt(context: ServerContext, atMs: number): readonly number[] {
  const { restartTimes, restartLimits } = context;
  const downSinceMs = watchedOf(context) ? atMs : (restartTimes.at(-1) ?? atMs);
  const times = restartTimes.map((timeMs) => timeMs + atMs - downSinceMs);
  return recentRestarts(times, restartLimits.windowMs, atMs);
}

/** Whether another server may be started in the place of the present one. */
export function mayRestartServer(context: ServerContext, atMs: number): boolean {
  return context.mayStart && restartTimesAt(context, atMs).length < context.restartLimits.maxRestarts;
}

/** Nothing more is heard of a server that is lost. */
function withoutPresent(context: ServerContext): ServerContext {
  return { ...context, watched: context.watched.filter(({ generation }) => generation !== context.generation) };
}

/** Notes a loss, after which another server is started when its wait is over. */
export function planServerRestart(context: ServerContext, error: SerializedError, atMs: number, jitter = 0): ServerContext {
  const { backoffMs } = context.restartLimits;
  const recent = restartTimesAt(context, atMs);
  return {
    ...withoutPresent(context),
    error,
    rssBytes: null,
    rotationReason: null,
    restarts: context.restarts + 1,
    restartTimes: [...recent, atMs],
    restartDelayMs: backoffOf(backoffMs, recent.length, jitter),
  };
}

/** Notes that the server is lost for good. */
export function giveServerUp(context: ServerContext, cause: SerializedError, isExpected = false): ServerContext {
  const { maxRestarts, windowMs } = context.restartLimits;
  const base = { ...withoutPresent(context), rssBytes: null, rotationReason: null };
  if (!context.mayStart || isExpected) return { ...base, error: cause };
  const message = `The opencode server was lost, and ${maxRestarts} restarts within ${windowMs} ms are spent: ${cause.message}`;
  const spent = { ...failure('RESTART_BUDGET_SPENT', message), ...(cause.output !== undefined && { output: cause.output }), cause };
  return { ...base, error: spent };
}

/** A server takes the work; the one before it retires, unless it is lost. */
export function present(
  context: ServerContext,
  { atMs, generation = context.generation + 1 }: ServerEventOf<'server.ready'>,
  lost: boolean,
): ServerContext {
  const { generation: before, watched, retiring } = context;
  return {
    ...context,
    generation,
    sinceMs: atMs,
    restartTimes: restartTimesAt(context, atMs),
    rssBytes: null,
    error: null,
    rotationReason: null,
    replacedForMemory: !lost && context.rotationReason === 'memory',
    ...(before > 0 && !lost && { rotations: context.rotations + 1, retiring: [...retiring, before] }),
    watched: [...watched, newlyWatched(generation)],
  };
}

/** A generation that retires is being ended. */
export function markEnding(context: ServerContext, generation: number): ServerContext {
  return change(context, generation, (one) => ({ ...one, ending: true }));
}

export function forgetGeneration(context: ServerContext, gone: number): ServerContext {
  return {
    ...context,
    retiring: context.retiring.filter((one) => one !== gone),
    watched: context.watched.filter(({ generation }) => generation !== gone),
  };
}
