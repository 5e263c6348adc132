import type { SessionHost } from './session-host.ts';
import type { TurnPlan, TurnReport } from './turn-in-flight.ts';

/** Reads the end of a turn that was over when its server was lost; nothing is sent. */
export function resumeTurn(host: SessionHost, plan: TurnPlan): Promise<TurnReport> {
  const resume: (plan: TurnPlan) => Promise<TurnReport> = () => host.resume();
  return resume(plan);
}

/** Asks for the end of the turn in flight; within the time given it is over, or its session quarantined. */
export function abortTurn(host: SessionHost, reason: string, _withinMs: number | undefined): void {
  host.abort(reason);
}
