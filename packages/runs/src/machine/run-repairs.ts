import type { SerializedError } from '@opencode-manager/core/errors';
import { failure } from './failure.ts';
import { changeFlight, flightOf, tell } from './run-tasks.ts';
import type { EventOf, Flight, RunContext } from './run.types.ts';

/** So often a task is told what is wrong with its answer, in the session of its attempt. */
const mostRepairs = 2;

/** Phases in which the server has, or may have, a prompt whose answer can come. */
const answerable: ReadonlySet<Flight['phase']> = new Set(['sending', 'accepted']);

/** A turn has ended well: its answer is taken, or corrected in the same session, or the attempt has failed. */
export function judgeAnswer(context: RunContext, event: EventOf<'attempt.answered'>): RunContext {
  const { key, token, problems, spent } = event;
  const flight = flightOf(context, key);
  if (flight?.token !== token || !answerable.has(flight.phase)) return context;
  if (problems.length === 0) return tell(context, { type: 'takeAnswer', params: { key, token, error: null } });
  const { repairs } = flight;
  if (isUncorrectable(repairs)) return tell(context, { type: 'takeAnswer', params: { key, token, error: outputInvalid(problems) } });
  const repairing: Flight = { ...flight, phase: 'repairing', repairs: repairs + 1, spent };
  return tell(changeFlight(context, repairing), { type: 'repair', params: { key, token, problems } });
}

/** Whether an answer that does not fit is the last one. */
export function isUncorrectable(repairs: number): boolean {
  return repairs >= mostRepairs;
}

export function outputInvalid(problems: readonly string[]): SerializedError {
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const message = `The answer does not fit the output schema after ${mostRepairs} corrections: ${problems[0]}${more}.`;
  return failure('OUTPUT_INVALID', message, { details: { errors: [...problems] } });
}
