import { poolMachine, serverMachine, sessionMachine } from '@opencode-manager/actors/machines';
import { not } from 'xstate';
import { Randomness } from '../world/randomness.ts';

/** One small fault in a machine: a guard negated, an action dropped, a transition removed. */
export interface Mutant {
  /** Among all. */
  readonly number: number;
  /** Where, in words. */
  readonly place: string;
  /** Id of the state or transition that a world must take for the mutant to change anything. */
  readonly reach: string;
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
  return mutantsOf(machines);
}

/** Every mutant that the rules make of some machines. */
export function mutantsOf(some: Readonly<Record<string, { readonly config: object }>>): Mutant[] {
  const all = Object.entries(some).flatMap(([name, machine]) => Array.from(ofState(machine.config as Config, name)));
  return all.map((mutant, number) => Object.assign(mutant, { number }));
}

type Unnumbered = Omit<Mutant, 'number'>;

function* ofState(state: Config, place: string): Generator<Unnumbered> {
  for (const key of ['entry', 'exit']) yield* ofActions(state, key, place);
  yield* ofTransitions(state, 'always', { place: `${place} always`, state: place, type: '' });
  for (const kind of ['on', 'after']) {
    const table = (state[kind] ?? {}) as Config;
    for (const key of Object.keys(table)) {
      const type = kind === 'on' ? key : `xstate.after.${key}.${place}`;
      yield* ofTransitions(table, key, { place: `${place} ${kind} ${key}`, state: place, type });
    }
  }
  for (const [name, child] of Object.entries((state['states'] ?? {}) as Config)) yield* ofState(child as Config, `${place}.${name}`);
}

function* ofActions(owner: Config, key: string, state: string): Generator<Unnumbered> {
  const actions = listOf(owner[key]);
  for (const [index, action] of actions.entries())
    yield { place: `${state} ${key}: without ${nameOf(action)}`, reach: state, owner, key, value: actions.toSpliced(index, 1) };
}

interface Place {
  readonly place: string;
  readonly state: string;
  readonly type: string;
}

function* ofTransitions(owner: Config, key: string, { place, state, type }: Place): Generator<Unnumbered> {
  const transitions = listOf(owner[key]);
  for (const [index, transition] of transitions.entries()) {
    const at = transitions.length > 1 ? `${place} (${index + 1} of ${transitions.length})` : place;
    const rest = transitions.toSpliced(index, 1);
    const reach = `${state}|${type}|${index}`;
    yield { place: `${at}: removed`, reach, owner, key, value: rest.length > 0 ? rest : undefined };
    if (typeof transition !== 'object' || transition === null) continue;
    const put = (changed: Config) => ({ owner, key, value: transitions.with(index, changed) });
    yield* ofTransition(transition as Config, at, { state, transition: reach }, put);
  }
}

/** A guard is asked wherever its state is; an action counts where its transition is taken. */
function* ofTransition(
  transition: Config,
  at: string,
  reach: { readonly state: string; readonly transition: string },
  put: (changed: Config) => Pick<Mutant, 'owner' | 'key' | 'value'>,
): Generator<Unnumbered> {
  const { guard } = transition;
  if (guard !== undefined)
    yield { place: `${at}: not ${nameOf(guard)}`, reach: reach.state, ...put({ ...transition, guard: not(guard as never) }) };
  const actions = listOf(transition['actions']);
  for (const [index, action] of actions.entries()) {
    const changed = put({ ...transition, actions: actions.toSpliced(index, 1) });
    yield { place: `${at}: without ${nameOf(action)}`, reach: reach.transition, ...changed };
  }
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
