import type { PoolSnapshot, TaskResult } from '../src/index.ts';
import { replayCommand, type SoakOptions } from './options.ts';
import type { FaultKind, ProviderFault } from './plan.ts';
import type { PoolRecord } from './record.ts';

/** What a run did, in numbers. */
export interface SoakFigures {
  readonly tasks: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Faults that took effect, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly serverRestarts: number;
  readonly gaps: number;
  /** Provider retries that results tell of. */
  readonly providerRetries: number;
  /** Tries that a lost server ended. */
  readonly repeatedTries: number;
  readonly poolEvents: number;
  readonly serverEvents: number;
  readonly durationMs: number;
}

export interface SoakReport {
  readonly figures: SoakFigures;
  /** What was wrong; empty when all held. */
  readonly problems: readonly string[];
}

interface Measured {
  readonly results: readonly TaskResult[];
  readonly record: PoolRecord;
  readonly snapshot: PoolSnapshot;
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** Provider faults that the script answered with. */
  readonly struck: ReadonlyMap<ProviderFault, number>;
  readonly durationMs: number;
}

export function figuresOf({ results, record, snapshot, faults, struck, durationMs }: Measured): SoakFigures {
  const sum = (pick: (result: TaskResult) => number) => results.reduce((total, result) => total + pick(result), 0);
  return {
    tasks: results.length,
    outcomes: Object.fromEntries([...Map.groupBy(results, ({ outcome }) => outcome)].map(([outcome, group]) => [outcome, group.length])),
    faults: Object.fromEntries([...faults, ...[...struck].map(([fault, count]) => [`provider-${fault}`, count] as const)]),
    serverRestarts: snapshot.serverRestarts,
    gaps: snapshot.gaps,
    providerRetries: sum(({ retries }) => retries),
    repeatedTries: sum(({ attempts }) => attempts?.length ?? 0),
    poolEvents: record.events,
    serverEvents: record.serverEvents,
    durationMs,
  };
}

/** The report as it is printed. */
export function printed({ figures, problems }: SoakReport, options: SoakOptions): string {
  const lines = Object.entries(figures).map(([name, value]) => `  ${name}: ${typeof value === 'object' ? listed(value) : value}`);
  const verdict = problems.length === 0 ? 'every check held' : `${problems.length} problems:`;
  const replay = problems.length === 0 ? [] : [`run it again: ${replayCommand(options)}`];
  return [`soak, seed ${options.seed}`, ...lines, verdict, ...problems.map((problem) => `  - ${problem}`), ...replay].join('\n');
}

function listed(counts: Readonly<Record<string, number>>): string {
  return (
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none'
  );
}
