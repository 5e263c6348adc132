import type { Metrics, Settings } from '../case/run-case.ts';

/** One size at which a benchmark is run, for example ten prompts at once. */
export interface Point {
  readonly label: string;
  readonly settings: Settings;
  /** In place of the benchmark's. */
  readonly rounds?: number;
}

/** A benchmark: a program, what it compares, at which sizes, how often. */
export interface Benchmark {
  readonly name: string;
  /** What is compared with what, and under which conditions; for the report. */
  readonly about: string;
  /** Path of the program from the repository's root. */
  readonly file: string;
  readonly variants: readonly string[];
  /** Variants that are too dear for every size and round. */
  readonly rare?: Readonly<Record<string, { readonly rounds: number; readonly points: readonly string[] }>>;
  readonly points: readonly Point[];
  readonly quickPoints?: readonly Point[];
  readonly rounds: number;
  readonly quickRounds?: number;
  /** One process runs all variants of a point, turn and turn about (`runSideBySide`); else each round of each has a process of its own. */
  readonly sideBySide?: boolean;
  /** Runs the packages' sources, for what is not in their public surface; the built packages otherwise. */
  readonly sources?: boolean;
  readonly flags?: readonly string[];
  /** Longest time for one run, in milliseconds. */
  readonly deadlineMs?: number;
  readonly figures: readonly Figure[];
}

/** One line of the report: a metric of ours beside that of the peers. */
export interface Figure {
  readonly title: string;
  /** Label of the point; the benchmark's only one when absent. */
  readonly point?: string;
  /** Label of another point: the figure is how many times the metric is what it is there, round by round. */
  readonly over?: string;
  readonly metric: string;
  readonly unit: string;
  readonly digits: number;
  readonly better: 'lower' | 'higher';
  readonly ours: string;
  readonly peers: readonly string[];
  /** What is to be reached: a bound for our value, or for the ratio to one peer. */
  readonly goal?: Goal;
  /** The chart shows it: few do, because a chart that shows all shows nothing. */
  readonly inChart?: true;
}

export type Goal =
  | { readonly value: number }
  /** Ours may be so much above the peer's. */
  | { readonly above: number; readonly peer: string }
  /** How many times better than the peer. */
  | { readonly ratio: number; readonly peer: string };

/** All rounds of one variant at one point. */
export interface Series {
  readonly point: string;
  readonly variant: string;
  readonly rounds: readonly Metrics[];
}

/** What was measured for one benchmark, and under which conditions. */
export interface Measurement {
  readonly benchmark: string;
  /** ISO date and time of its start. */
  readonly at: string;
  readonly quick: boolean;
  /** Model of the processor: what is kept from an earlier run may come from another machine. */
  readonly cpu: string;
  /** The machine's load (processes that wanted a core, over one minute) before the first run and after the last. */
  readonly load: readonly [number, number];
  /** Share of the cores' time that the machine's host gave to others meanwhile, 0 to 1; absent where nobody tells. */
  readonly stolen?: number;
  readonly seconds: number;
  /** Sizes that the command line named in place of the benchmark's own. */
  readonly sizes?: Settings;
  readonly series: readonly Series[];
}

/** What is kept between runs: the newest measurement of each benchmark. */
export interface Results {
  readonly machine: Machine;
  readonly measurements: readonly Measurement[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly versions: Readonly<Record<string, string>>;
}
