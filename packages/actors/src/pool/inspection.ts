import type { AnyStateMachine, InspectionEvent } from 'xstate';
import { stepInspector, type MachineStep } from '../machines/index.ts';
import { ContainedCall } from './contained.ts';

/** What an actor is created with, so that its steps are told; empty when nobody listens, which then costs nothing. */
export type Inspection = (machine: AnyStateMachine, actor: string) => { readonly inspect?: (event: InspectionEvent) => void };

/** What a listener throws is contained: an actor must not stop half-way because of it. */
export function inspectionOf(listener: ((step: MachineStep) => void) | undefined, now: () => number): Inspection {
  if (!listener) return () => ({});
  const contained = new ContainedCall('The inspect function of a pool', listener);
  return (machine, actor) => ({ inspect: stepInspector({ machine, actor, now, onStep: (step) => contained.call(step) }) });
}
