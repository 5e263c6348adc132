import { isUncorrectable, outputInvalid } from './output-invalid.ts';
import { heedBudget } from './run-budget.ts';
import { changeFlight, flightOf, tell } from './run-tasks.ts';
import { takenBy } from './spent.ts';
import type { EventOf, Flight, RunContext } from './run.types.ts';

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
  const heeded = heedBudget(changeFlight(context, { ...flight, taken: takenBy(spent) }));
  // A correction is one more turn: none begins that the run may not take.
  if (!flight.abort && flightOf(heeded, key)?.abort) return heeded;
  const repairing: Flight = { ...flight, taken: takenBy(spent), phase: 'repairing', repairs: repairs + 1, spent };
  return tell(changeFlight(heeded, repairing), { type: 'repair', params: { key, token, problems } });
}
