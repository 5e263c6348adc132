import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';
import { getStateNodes } from 'xstate/graph';

/** Ids of all transitions of a machine, as the steps of a pool's `inspect` name them. */
export function transitionIdsOf(machine: AnyStateMachine): Map<AnyTransitionDefinition, string> {
  const ids = new Map<AnyTransitionDefinition, string>();
  for (const node of nodesOf(machine)) {
    for (const [eventType, list] of [...node.transitions, ['', node.always ?? []] as const]) {
      for (const [index, transition] of list.entries()) ids.set(transition, `${node.id}|${eventType}|${index}`);
    }
  }
  return ids;
}

export function nodesOf(machine: AnyStateMachine): Set<AnyStateNode> {
  return new Set([machine.root, ...getStateNodes(machine)]);
}
