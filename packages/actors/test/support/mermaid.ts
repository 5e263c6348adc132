import { describeMachine, type StateDescription, type TransitionDescription } from '../../src/machines/index.ts';
import type { AnyStateMachine } from 'xstate';

/** A machine as a Mermaid state diagram; transitions that stay in their state are left out. */
export function mermaidOf(machine: AnyStateMachine): string {
  const root = describeMachine(machine);
  return ['stateDiagram-v2', ...linesOf(root, '  ')].join('\n');
}

function linesOf(state: StateDescription, indent: string): string[] {
  const lines: string[] = [];
  if (state.initial) lines.push(`${indent}[*] --> ${nameOf(state.initial)}`);
  for (const child of state.states) {
    if (child.states.length > 0) lines.push(`${indent}state ${child.key} {`, ...linesOf(child, `${indent}  `), `${indent}}`);
    lines.push(...arrowsOf(child, indent));
    if (child.type === 'final') lines.push(`${indent}${child.key} --> [*]`);
  }
  return lines;
}

/** One arrow a target, with all that leads to it. */
function arrowsOf(state: StateDescription, indent: string): string[] {
  const labels = new Map<string, string[]>();
  for (const transition of state.transitions) {
    const target = transition.targets[0];
    if (target === undefined || target === state.id) continue;
    labels.set(target, [...(labels.get(target) ?? []), labelOf(transition)]);
  }
  return Array.from(labels, ([target, texts]) => `${indent}${state.key} --> ${nameOf(target)}: ${texts.join(' | ')}`);
}

function labelOf({ event, delay, guard }: TransitionDescription): string {
  const cause = event ?? (delay ? `after ${delay}` : '');
  return [cause, guard ? `[${guard}]` : ''].filter((part) => part !== '').join(' ');
}

const nameOf = (id: string): string => id.slice(id.lastIndexOf('.') + 1);
