import { median } from '../measure/statistics.ts';
import type { Benchmark, Figure, Goal, Measurement, Series } from '../harness/types.ts';

/** The rounds of one variant, summed up. */
export interface Spread {
  readonly variant: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** What each round gave, in their order. */
  readonly rounds: readonly number[];
}

/** A figure with its values. */
export interface MeasuredFigure {
  readonly figure: Figure;
  readonly ours: Spread;
  readonly peers: readonly Spread[];
  /** True or false when there is a goal. */
  readonly reached: boolean | undefined;
}

/** The figures of a benchmark that a measurement has values for. */
export function figuresOf(benchmark: Benchmark, { series }: Measurement): MeasuredFigure[] {
  return benchmark.figures.flatMap((figure) => {
    const ours = spreadOf(series, figure, figure.ours);
    if (!ours) return [];
    const peers = figure.peers.map((peer) => spreadOf(series, figure, peer)).filter((spread) => spread !== undefined);
    return [{ figure, ours, peers, reached: isReached(figure, ours, peers) }];
  });
}

/**
 * How many times better ours is than the peer; below one it is worse. Each round of ours is compared with the peer's of the same
 * number, which ran beside it, so that an hour that slows both does not count; rounds that only one of them has are left out.
 */
export function advantage({ better }: Figure, ours: Spread, peer: Spread): Spread {
  const ratio = (own: number, other: number) => (better === 'lower' ? other / own : own / other);
  return compare(ours, peer, ratio);
}

/** By how much ours is above the peer, round by round as {@link advantage}. */
function excess(ours: Spread, peer: Spread): Spread {
  return compare(ours, peer, (own, other) => own - other);
}

function compare(ours: Spread, peer: Spread, by: (own: number, other: number) => number): Spread {
  const pairs = Math.min(ours.rounds.length, peer.rounds.length);
  return summed(
    ours.variant,
    Array.from({ length: pairs }, (_, round) => by(ours.rounds[round]!, peer.rounds[round]!)),
  );
}

/** The goal in words. */
export function goalText({ better, unit, goal }: Figure): string {
  if (!goal) return '';
  const sign = better === 'lower' ? '<=' : '>=';
  if ('value' in goal) return `${sign} ${goal.value.toLocaleString('en')} ${unit}`;
  if ('above' in goal) return `<= ${goal.above} ${unit} above ${goal.peer}`;
  return `>= ${goal.ratio}x ${goal.peer}`;
}

function isReached(figure: Figure, ours: Spread, peers: readonly Spread[]): boolean | undefined {
  const { goal, better } = figure;
  if (!goal) return undefined;
  if ('value' in goal) return better === 'lower' ? ours.median <= goal.value : ours.median >= goal.value;
  const peer = peers.find(({ variant }) => variant === goal.peer);
  return peer && isReachedBeside(figure, goal, ours, peer);
}

function isReachedBeside(figure: Figure, goal: Exclude<Goal, { value: number }>, ours: Spread, peer: Spread): boolean {
  return 'above' in goal ? excess(ours, peer).median <= goal.above : advantage(figure, ours, peer).median >= goal.ratio;
}

function spreadOf(series: readonly Series[], { point, over, metric }: Figure, variant: string): Spread | undefined {
  const spread = spreadAt(series, point, metric, variant);
  if (over === undefined || !spread) return spread;
  const base = spreadAt(series, over, metric, variant);
  return base && compare(spread, base, (value, other) => value / other);
}

function spreadAt(series: readonly Series[], point: string | undefined, metric: string, variant: string): Spread | undefined {
  const found = series.find((one) => one.variant === variant && (point === undefined || one.point === point));
  const values = found?.rounds.map((round) => round[metric]).filter((value) => value !== undefined) ?? [];
  return values.length === 0 ? undefined : summed(variant, values);
}

function summed(variant: string, rounds: readonly number[]): Spread {
  return { variant, median: median(rounds), min: Math.min(...rounds), max: Math.max(...rounds), rounds };
}
