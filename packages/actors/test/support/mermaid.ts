import { plainDefinition, type PlainState, type PlainTransition } from '../../src/machines/index.ts';
import type { AnyStateMachine } from 'xstate';

/** A machine as a Mermaid state diagram; transitions that stay in their state are left out. */
export function mermaidOf(machine: AnyStateMachine): string {
  return ['stateDiagram-v2', ...linesOf(plainDefinition(machine), '  ')].join('\n');
}

function linesOf(state: PlainState, indent: string): string[] {
  const lines: string[] = [];
  const [initial] = state.initial?.target ?? [];
  if (initial !== undefined) lines.push(`${indent}[*] --> ${nameOf(initial)}`);
  for (const child of Object.values(state.states)) {
    const inner = linesOf(child, `${indent}  `);
    if (inner.length > 0) lines.push(`${indent}state ${child.key} {`, ...inner, `${indent}}`);
    lines.push(...arrowsOf(child, indent));
    if (child.type === 'final') lines.push(`${indent}${child.key} --> [*]`);
  }
  return lines;
}

/** One arrow a target, with all that leads to it. */
function arrowsOf({ id, key, transitions, always }: PlainState, indent: string): string[] {
  const labels = new Map<string, string[]>();
  for (const transition of [...transitions, ...always]) {
    const target = transition.target?.[0];
    if (target === undefined || target === `#${id}`) continue;
    labels.set(target, [...(labels.get(target) ?? []), labelOf(transition)]);
  }
  return Array.from(labels, ([target, texts]) => `${indent}${key} --> ${nameOf(target)}: ${texts.join(' | ')}`);
}

function labelOf({ eventType, delay, guard }: PlainTransition): string {
  const cause = delay === undefined ? eventType : `after ${delay}`;
  return [cause, guard === undefined ? '' : `[${guardName(guard)}]`].filter((part) => part !== '').join(' ');
}

/** `phaseIs(settling)`: the name with its parameters. */
function guardName(guard: NonNullable<PlainTransition['guard']>): string {
  if (typeof guard === 'string') return guard;
  const parameters = Object.values(guard.params ?? {}).map(String);
  return parameters.length === 0 ? guard.type : `${guard.type}(${parameters.join(', ')})`;
}

const nameOf = (id: string): string => id.slice(id.lastIndexOf('.') + 1).replace(/^#/, '');
