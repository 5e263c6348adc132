import { poolMachine, serverMachine, sessionMachine } from '@opencode-manager/actors/machines';
import { not } from 'xstate';
import { Randomness } from '../world/randomness.ts';

/** One small fault in a machine: a guard negated, an action dropped, a transition removed. */
export interface Mutant {
  /** Where, in words. */
  readonly place: string;
  readonly owner: Record<string, unknown>;
  readonly key: string;
  /** What stands there instead; undefined: nothing. */
  readonly value: unknown;
}

type Config = Record<string, unknown>;

const machines = { session: sessionMachine, pool: poolMachine, server: serverMachine };

/** So many are tried, drawn by this seed. */
const drawn = { count: 40, seed: 1 };

/** Puts a mutant in place: machines that are provided for from now on have it. Call the result to take it away. */
export function applyMutant({ owner, key, value }: Mutant): () => void {
  const before = owner[key];
  const had = key in owner;
  if (value === undefined) delete owner[key];
  else owner[key] = value;
  return () => {
    if (had) owner[key] = before;
    else delete owner[key];
  };
}

/** The mutants that `--mutants` tries. */
export function drawMutants(): Mutant[] {
  const all = allMutants();
  const random = new Randomness(drawn.seed).of('mutants');
  const taken: Mutant[] = [];
  while (taken.length < drawn.count && all.length > 0) taken.push(...all.splice(random.whole(0, all.length - 1), 1));
  return taken;
}

/** Every mutant that the rules make of the machines. */
export function allMutants(): Mutant[] {
  return Object.entries(machines).flatMap(([name, machine]) => Array.from(ofState(machine.config as Config, name)));
}

function* ofState(state: Config, place: string): Generator<Mutant> {
  for (const key of ['entry', 'exit']) yield* ofActions(state, key, `${place} ${key}`);
  yield* ofTransitions(state, 'always', `${place} always`);
  for (const kind of ['on', 'after']) {
    const table = (state[kind] ?? {}) as Config;
    for (const key of Object.keys(table)) yield* ofTransitions(table, key, `${place} ${kind} ${key}`);
  }
  for (const [name, child] of Object.entries((state['states'] ?? {}) as Config)) yield* ofState(child as Config, `${place}.${name}`);
}

function* ofActions(owner: Config, key: string, place: string): Generator<Mutant> {
  const actions = listOf(owner[key]);
  for (const [index, action] of actions.entries())
    yield { place: `${place}: without ${nameOf(action)}`, owner, key, value: actions.toSpliced(index, 1) };
}

function* ofTransitions(owner: Config, key: string, place: string): Generator<Mutant> {
  const transitions = listOf(owner[key]);
  for (const [index, transition] of transitions.entries()) {
    const at = transitions.length > 1 ? `${place} (${index + 1} of ${transitions.length})` : place;
    const rest = transitions.toSpliced(index, 1);
    yield { place: `${at}: removed`, owner, key, value: rest.length > 0 ? rest : undefined };
    if (typeof transition !== 'object' || transition === null) continue;
    yield* ofTransition(transition as Config, at, (changed) => ({ owner, key, value: transitions.with(index, changed) }));
  }
}

function* ofTransition(transition: Config, at: string, put: (changed: Config) => Omit<Mutant, 'place'>): Generator<Mutant> {
  const { guard } = transition;
  if (guard !== undefined) yield { place: `${at}: not ${nameOf(guard)}`, ...put({ ...transition, guard: not(guard as never) }) };
  const actions = listOf(transition['actions']);
  for (const [index, action] of actions.entries())
    yield { place: `${at}: without ${nameOf(action)}`, ...put({ ...transition, actions: actions.toSpliced(index, 1) }) };
}

function listOf(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? [...(value as unknown[])] : [value];
}

function nameOf(named: unknown): string {
  if (typeof named === 'string') return named;
  const { type, params } = named as { type?: string; params?: unknown };
  return `${type ?? 'an action'}${params === undefined ? '' : ` ${JSON.stringify(params)}`}`;
}
