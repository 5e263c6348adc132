import type { SessionPool, Task, TaskOptions } from '@opencode-manager/actors';
import { createPool } from '@opencode-manager/actors/hosts';
import * as hosts from '@opencode-manager/runs/hosts';
import type { JournalEvent, JournalRow, RunStore } from '@opencode-manager/runs/hosts';
import { runMachine, type ResumePlan, type RunContext, type RunMachineEvent, type ToldEnd } from '@opencode-manager/runs/machine';
import { assign } from 'xstate';
import type { RunWorldOptions } from '../runs/run-world.ts';
import { applyMutant, mutantsOf } from './mutants.ts';

/** A fault that is put into the host or the machine of a run on purpose: the oracle has to find it. */
export interface RunMutant {
  readonly name: string;
  readonly options?: Partial<RunWorldOptions>;
  /** Puts it in place; call the result to take it away. */
  readonly apply?: () => () => void;
}

type Change = (context: RunContext, event: RunMachineEvent) => RunContext;

type Assignment = (args: { readonly context: RunContext; readonly event: RunMachineEvent }) => RunContext;

/** Puts another change in the place of one of the machine's. */
function changing(name: string, wrap: (real: Change) => Change): () => () => void {
  return () => {
    const actions = runMachine.implementations.actions as unknown as Record<string, { readonly assignment: Assignment }>;
    const real = actions[name]!;
    const wrapped = wrap((context, event) => real.assignment({ context, event }));
    actions[name] = assign(({ context, event }: Parameters<Assignment>[0]) => wrapped(context, event)) as never;
    return () => (actions[name] = real);
  };
}

/** Another `run` of a pool. */
function pooled(
  change: (options: TaskOptions) => TaskOptions,
  changeTask = (task: Task, _options: TaskOptions): Task => task,
): Partial<RunWorldOptions> {
  return {
    createPool: async (...args) => {
      const pool = await createPool(...args);
      const run: SessionPool['run'] = (task, options = {}) => pool.run(changeTask(task, options), change(options));
      return new Proxy(pool, {
        get(target, name) {
          const part: unknown = Reflect.get(target, name, target);
          if (name === 'run') return run;
          return typeof part === 'function' ? part.bind(target) : part;
        },
      });
    },
  };
}

function planned(change: (plan: ResumePlan) => ResumePlan): Partial<RunWorldOptions> {
  return { changePlan: change };
}

function stored(change: (store: RunStore) => RunStore): Partial<RunWorldOptions> {
  class RunHost extends hosts.RunHost {
    constructor(options: hosts.RunHostOptions) {
      super({ ...options, store: change(options.store) });
    }
  }
  return { host: { ...hosts, RunHost } };
}

/** Acknowledges rows that are only on their way to the disk. */
function hasty(store: RunStore): RunStore {
  let sequence = [...store.rows()].length;
  let last: Promise<unknown> = Promise.resolve();
  const append = async (events: readonly JournalEvent[]): Promise<readonly JournalRow[]> => {
    last = last.then(() => store.journal.append(events)).catch(() => undefined);
    return events.map((event) => ({ sequence: (sequence += 1), atMs: 0, event }));
  };
  return { ...store, journal: { ...store.journal, append } };
}

/** Adds what an end tells as soon as its row is written. */
const early: Change = (context) => {
  const row = [...(context.committing?.events ?? []), ...context.outbox].findLast(({ type }) => type === 'attempt.ended');
  if (row?.type !== 'attempt.ended') return context;
  const { key, attempt, outcome, final, result } = row;
  return { ...context, effects: [...context.effects, { type: 'told', params: { type: 'attempt', key, attempt, outcome, final, result } }] };
};

const changeRows = (context: RunContext, change: (event: JournalEvent) => JournalEvent): RunContext => ({
  ...context,
  outbox: context.outbox.map(change),
  effects: context.effects.map((effect) =>
    effect.type === 'commit' ? { ...effect, params: { ...effect.params, events: effect.params.events.map(change) } } : effect,
  ),
  committing: context.committing && { ...context.committing, events: context.committing.events.map(change) },
});

/** Both counters count everything. */
const mixed = (context: RunContext): RunContext => ({
  ...context,
  tasks: context.tasks.map((bucket) =>
    bucket.map((task) => {
      const all = task.ownTries + task.infrastructureTries;
      return { ...task, ownTries: all, infrastructureTries: all };
    }),
  ),
});

/** Whatever is held back for a quota is held back no more. */
const impatient = (context: RunContext): RunContext => ({
  ...context,
  gates: context.gates.map((gate) => Object.assign({}, gate, { quotaUntilMs: null })),
  flights: context.flights.map((flight) =>
    flight.next?.place === 'parked' ? { ...flight, next: { place: 'parked', inMs: 1000 } } : flight,
  ),
});

function omitPark({ isParked: _parked, ...told }: Extract<ToldEnd, { type: 'attempt' }>): Extract<ToldEnd, { type: 'attempt' }> {
  return told;
}

/** A quota of one account holds both. */
const allHeld = (context: RunContext): RunContext => {
  const held = context.gates.find(({ quotaUntilMs }) => quotaUntilMs !== null);
  const others = ['alpha', 'beta'].filter((id) => !context.gates.some((gate) => gate.id === id));
  const isNew = context.effects.some((effect) => effect.type === 'schedule' && effect.params.timer.name === 'provider');
  if (!held || !isNew) return context;
  return {
    ...context,
    gates: [...context.gates, ...others.map((id) => Object.assign({}, held, { id }))].map((gate) =>
      Object.assign({}, gate, { quotaUntilMs: gate.quotaUntilMs ?? held.quotaUntilMs }),
    ),
    effects: context.effects.flatMap((effect) =>
      effect.type === 'schedule' && effect.params.timer.name === 'provider'
        ? ['alpha', 'beta'].map((id) =>
            Object.assign({}, effect, { params: { timer: { name: 'provider', id }, delayMs: effect.params.delayMs } }),
          )
        : [effect],
    ),
  };
};

/** Faults of these kinds are what a run must not have. */
const named: readonly RunMutant[] = [
  {
    name: 'the prompt is sent before its row is committed',
    options: pooled(({ beforeSend, ...options }) => ({
      ...options,
      ...(beforeSend && {
        beforeSend: async (turn) => {
          void beforeSend(turn).catch(() => undefined);
        },
      }),
    })),
  },
  {
    name: 'an end is told before its row is committed',
    apply: changing(
      'endAttempt',
      (real) =>
        (...given) =>
          early(real(...given), given[1]),
    ),
  },
  { name: 'a row is acknowledged before it is synced', options: stored(hasty) },
  {
    name: 'the look is forgotten',
    options: planned((plan) => ({
      ...plan,
      tasks: plan.tasks.map((task) => (task.decision === 'look' ? { ...task, decision: 'run', open: null } : task)),
    })),
  },
  {
    name: 'one counter for both tries',
    apply: changing('endAttempt', (real) => (context, event) => real(mixed({ ...context, effects: [] }), event)),
  },
  {
    name: 'an end of the manager takes of the tries',
    apply: changing(
      'judgeLook',
      (real) => (context, event) =>
        changeRows(real(context, event), (row) =>
          row.type === 'attempt.ended' && row.outcome === 'interrupted' ? { ...row, counts: 'infrastructure' } : row,
        ),
    ),
  },
  {
    name: 'a death of the server takes of the own tries',
    apply: changing(
      'endAttempt',
      (real) => (context, event) =>
        real(context, event.type === 'attempt.ended' && event.outcome === 'server_lost' ? { ...event, outcome: 'failed' } : event),
    ),
  },
  {
    name: 'what was aborted with its run has its end',
    apply: changing(
      'endAttempt',
      (real) => (context, event) =>
        changeRows(real(context, event), (row) =>
          row.type === 'attempt.ended' && row.abortedBy === 'manager' ? { ...row, final: true } : row,
        ),
    ),
  },
  {
    name: 'an answer that does not fit its schema is taken',
    apply: changing(
      'judgeAnswer',
      (real) => (context, event) => real(context, event.type === 'attempt.answered' ? { ...event, problems: [] } : event),
    ),
  },
  {
    name: 'rows that a full disk refuses are dropped',
    apply: changing('putBack', (real) => (context, event) => {
      const next = real(context, event);
      return { ...next, outbox: next.outbox.slice(context.committing?.events.length ?? 0) };
    }),
  },
  {
    name: 'what has succeeded runs again',
    options: planned((plan) => ({
      ...plan,
      tasks: plan.tasks.map((task) => (task.decision === 'reuse' ? { ...task, decision: 'run', end: null } : task)),
    })),
  },
  {
    name: 'a parked task asks again for what it was asked first',
    options: pooled(
      (options) => options,
      (task, { continues }) => (continues ? { ...task, prompt: `${task.id?.split(' ')[0]} is to be done` } : task),
    ),
  },
  {
    name: 'a park does not wait for the quota',
    apply: changing('endAttempt', (real) => (context, event) => impatient(real(context, event))),
  },
  {
    name: 'a quota holds tasks of other accounts',
    apply: changing('endAttempt', (real) => (context, event) => allHeld(real(context, event))),
  },
  {
    name: 'the session of a parked task is deleted',
    apply: changing('confirm', (real) => (context, event) => {
      const next = real(context, event);
      const untold = (effect: RunContext['effects'][number]) =>
        effect.type === 'told' && effect.params.type === 'attempt' ? { ...effect, params: omitPark(effect.params) } : effect;
      return { ...next, effects: next.effects.map(untold) };
    }),
  },
  {
    name: 'the next manager forgets where a parked task goes on',
    options: planned((plan) => ({ ...plan, tasks: plan.tasks.map((task) => ({ ...task, goesOn: null })) })),
  },
  { name: 'each manager has the number 1', options: planned((plan) => ({ ...plan, generation: 1 })) },
  {
    name: 'a task is not skipped when one that it comes after has failed',
    options: planned((plan) => ({ ...plan, tasks: plan.tasks.map((task) => ({ ...task, after: [] })) })),
  },
];

/** All of them: those with a name, then those that the rules make of the machine of a run. */
export function allRunMutants(): readonly RunMutant[] {
  const ruled = mutantsOf({ run: runMachine });
  return [...named, ...ruled.map((mutant): RunMutant => ({ name: mutant.place, apply: () => applyMutant(mutant) }))];
}

/** How many of them have a name. */
export const namedRunMutants = named.length;
