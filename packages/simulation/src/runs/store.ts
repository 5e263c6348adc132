import type { JournalEvent, JournalRow, RunState, RunStore } from '@opencode-manager/runs/hosts';
import type { Randomness } from '../world/randomness.ts';
import type { World } from '../world/world.ts';
import type { SimulatedDisk } from './disk.ts';
import type { Life } from './life.ts';
import type { RunPlan, Stage } from './plan.ts';

/** Where a run of a world is kept, as one of its managers has it. */
export interface StoreOptions {
  readonly world: World;
  readonly disk: SimulatedDisk;
  readonly life: Life;
  readonly plan: RunPlan;
  /** An append has come so far; the manager may die of it. */
  readonly onStage: (append: number, stage: Stage) => void;
  /** Somebody is told something: a line of the results, or the state. */
  readonly onLines: (rows: readonly JournalRow[]) => void;
  readonly onState: (state: RunState) => void;
  /** The host did what it must not do. */
  readonly onFault: (text: string) => void;
}

/** Time that a line of the results takes, in milliseconds. */
const lineMs = [0.1, 2] as const;

const never = <Value>(): Promise<Value> => new Promise(() => {});

/** A store on the simulated disk. An append is acknowledged when it is synced. */
export function simulatedStore(options: StoreOptions): RunStore {
  const { world, disk, life } = options;
  const journal = new SimulatedJournal(options);
  const random = world.random.of(`results ${disk.appends}`);
  return {
    id: 'run-1',
    path: '/srv/run-1',
    journal: { append: (events) => journal.append(events), read: (after) => journal.read(after), close: async () => {} },
    rows: (after) => journal.read(after),
    begin: async () => {},
    addTasks: async () => {},
    readTasks: async () => [],
    async addResults(rows) {
      if (life.isOver) return never();
      options.onLines(rows);
      await later(options, random.between(...lineMs), 'a result is written');
      // The next one writes what is missing.
      if (disk.isFull) throw world.error('RUN_STORAGE_FULL', 'There is no room for results.jsonl.');
    },
    tellState(state) {
      if (life.isOver) return;
      options.onState(state());
      journal.noteHeard();
    },
    makeArtifacts: async () => '/srv/run-1/artifacts',
    close: async () => {},
    discard: async () => {},
  };
}

/** Resolves after this time, in the life of the manager alone. */
export function later({ world, life }: Pick<StoreOptions, 'world' | 'life'>, delayMs: number, label: string): Promise<void> {
  return life.only(new Promise<void>((resolve) => void world.queue.after(delayMs, label, resolve, { background: false })));
}

class SimulatedJournal {
  readonly #options: StoreOptions;
  readonly #random: Randomness;
  #isBusy = false;
  /** The newest append that is synced, until the machine has heard of it. */
  #unheard: number | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#random = options.world.random.of(`journal ${options.disk.appends}`);
  }

  *read(after = 0): Generator<JournalRow> {
    const { durable } = this.#options.disk;
    for (let at = after; at < durable.length; at += 1) {
      const { sequence, atMs, event } = durable[at]!;
      yield { sequence, atMs, event };
    }
  }

  append(events: readonly JournalEvent[]): Promise<readonly JournalRow[]> {
    const { disk, life, onFault } = this.#options;
    if (life.isOver) return never();
    disk.appends += 1;
    const append = disk.appends;
    if (this.#isBusy) onFault('A second append began before the first was over.');
    this.#isBusy = true;
    if (this.#hasDied(append, 'asked')) return never();
    return this.#write(append, events);
  }

  async #write(append: number, events: readonly JournalEvent[]): Promise<readonly JournalRow[]> {
    const { world, disk, plan } = this.#options;
    await later(this.#options, 0, 'the journal is written');
    if (disk.isFull) return this.#refuse();
    for (const [index, event] of events.entries()) {
      disk.write(event, index === events.length - 1);
      if (index === 0 && events.length > 1 && this.#hasDied(append, 'torn')) return never();
    }
    if (this.#hasDied(append, 'written')) return never();
    await later(this.#options, this.#random.between(...plan.disk.syncMs), 'the journal is synced');
    const rows = disk.sync().map(({ sequence, atMs, event }) => ({ sequence, atMs, event }));
    for (const { sequence, event } of rows) world.tell('journal', `${sequence} ${lineOf(event)}`);
    if (this.#hasDied(append, 'synced')) return never();
    this.#isBusy = false;
    this.#unheard = append;
    return rows;
  }

  /** The state is told when the machine has heard of an append; what waits for that happens before the next event. */
  noteHeard(): void {
    const append = this.#unheard;
    this.#unheard = undefined;
    if (append === undefined) return;
    this.#options.world.queue.after(0, 'acknowledged', () => this.#hasDied(append, 'acknowledged'), { background: true });
  }

  async #refuse(): Promise<never> {
    await later(this.#options, 1, 'the journal is refused');
    this.#isBusy = false;
    throw this.#options.world.error('RUN_STORAGE_FULL', 'There is no room for the journal.');
  }

  #hasDied(append: number, stage: Stage): boolean {
    const { life, onStage } = this.#options;
    if (!life.isOver) onStage(append, stage);
    return life.isOver;
  }
}

/** A row in short. */
function lineOf(event: JournalEvent): string {
  if (event.type === 'run.opened') return `${event.type} ${event.generation}`;
  if (event.type === 'run.ended') return `${event.type} ${event.reason}`;
  if (event.type === 'attempt.intended') return `${event.type} ${event.key} ${event.attempt} ${event.token} ${event.messageId}`;
  if (event.type === 'attempt.repairing')
    return `${event.type} ${event.key} ${event.attempt} ${event.token} ${event.messageId} (${event.repair})`;
  if (event.type === 'attempt.ended')
    return `${event.type} ${event.key} ${event.attempt} ${event.token} ${event.outcome}${event.final ? ' final' : ''} (${event.counts})`;
  return `${event.type} ${event.key}`;
}
