import { OpencodeManagerError } from '../errors/index.ts';
import { residentBytes, sessionMark, sweepProcesses } from '../process/table.ts';
import type { Lifecycle } from './opencode-server.ts';
import type { LaunchPlan, PreparedFiles } from './launch-plan.ts';
import type { Incarnation, Run } from './run-state.ts';
import { endRun } from './run.ts';
import { prepareFiles, refuseAborted, restoreState, startIncarnation } from './start.ts';
import { clearIncarnation, endIncarnation } from './stop.ts';
import type { OpencodeServer } from './types.ts';

/** Deadline for the end of a session's tools, in milliseconds. */
const toolsSweepMs = 1000;

/** The part of a server's handle that is about processes. */
export function lifecycleOf(run: Run, plan: LaunchPlan, prepared: PreparedFiles, incarnation: Incarnation): Lifecycle {
  return {
    stop: () => endRun(run),
    relaunch: () =>
      redacted(
        plan,
        replacing(run, incarnation, (stopped) => startInPlace(run, plan, incarnation, stopped)),
      ),
    startSuccessor: () =>
      redacted(
        plan,
        replacing(run, incarnation, (stopped) => startBeside(run, plan, prepared, stopped)),
      ),
    retire: () => (incarnation.retiring ??= endIncarnation(run, incarnation)),
    residentBytes: () => residentBytes(incarnation.process.pid),
    endTools: async (sessionId) => (await sweepProcesses(sessionMark(run.runId, sessionId), toolsSweepMs)).swept,
  };
}

async function redacted({ config }: LaunchPlan, start: Promise<OpencodeServer>): Promise<OpencodeServer> {
  try {
    return await start;
  } catch (error) {
    throw config.redactor.error(error);
  }
}

/** Lets one start of another incarnation happen at a time, and none after a stop. @throws `SERVER_EXITED` */
function replacing(run: Run, incarnation: Incarnation, start: (stopped: AbortSignal) => Promise<OpencodeServer>): Promise<OpencodeServer> {
  const refusal = refusalOf(run, incarnation);
  if (refusal !== undefined) {
    return Promise.reject(new OpencodeManagerError('SERVER_EXITED', refusal, { output: incarnation.process.output() }));
  }
  const signal = new AbortController();
  const next = start(signal.signal).finally(() => {
    run.replacing = undefined;
  });
  const settled = next.then(
    () => undefined,
    () => undefined,
  );
  run.replacing = { signal, settled };
  return next;
}

/** Ends one incarnation, tools included, and starts the next on the same state. */
async function startInPlace(run: Run, plan: LaunchPlan, previous: Incarnation, stopped: AbortSignal): Promise<OpencodeServer> {
  await clearIncarnation(run, previous);
  refuseAborted(stopped);
  await restoreState(run);
  return startIncarnation(run, plan, await prepareFiles(run, plan), lifecycleOf, either(plan.config.signal, stopped));
}

/** Starts the next incarnation while the present one works: what that one reads is left as it is. */
async function startBeside(run: Run, plan: LaunchPlan, prepared: PreparedFiles, stopped: AbortSignal): Promise<OpencodeServer> {
  return startIncarnation(run, plan, prepared, lifecycleOf, either(plan.config.signal, stopped));
}

function either(callers: AbortSignal | undefined, stopped: AbortSignal): AbortSignal {
  return callers ? AbortSignal.any([callers, stopped]) : stopped;
}

function refusalOf(run: Run, incarnation: Incarnation): string | undefined {
  if (run.stopped) return 'This server was stopped; launch a new one.';
  if (run.replacing) return 'Another server is being started in the place of this one; wait for that.';
  if (run.newest && run.newest !== incarnation && !run.newest.process.exit()) {
    return 'Another server has taken the place of this one; use the newest handle.';
  }
  return undefined;
}
