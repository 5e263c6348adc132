import {
  createPool,
  type LeasedWorkspace,
  type PoolPorts,
  type WorkspaceRequest,
  type WorkspaceSource,
} from '@opencode-manager/actors/hosts';
import { OpencodeManagerError } from '@opencode-manager/core';
import { expect, it } from 'vitest';
import { drawPlan } from '../src/index.ts';
import { runInNode } from '../src/node/index.ts';

interface Place {
  readonly key: string;
  readonly directory: string;
  captures: number;
  releases: number;
}

/** Places in a simulated world: each call takes its time, and some fail. */
class SimulatedPlaces implements WorkspaceSource {
  readonly made: Place[] = [];
  readonly wrong: string[] = [];
  readonly #clock: PoolPorts['clock'];
  readonly #failsEach: number;
  #calls = 0;

  constructor({ clock }: PoolPorts, failsEach: number) {
    this.#clock = clock;
    this.#failsEach = failsEach;
  }

  async acquire(key: string, { directory, signal }: WorkspaceRequest): Promise<LeasedWorkspace> {
    if (directory.startsWith('/srv/places/')) this.wrong.push(`${key}: made of another one's place, ${directory}`);
    await this.#work('acquire', signal);
    const place: Place = { key, directory: `/srv/places/${this.made.length}`, captures: 0, releases: 0 };
    this.made.push(place);
    return {
      directory: place.directory,
      capture: async () => {
        if (place.releases > 0) this.wrong.push(`${key}: captured after its release`);
        await this.#work('capture');
        place.captures += 1;
        const ref = `refs/places/${place.directory}`;
        const numbers = { files_changed: 0, insertions: 0, deletions: 0 };
        return { base_commit: 'b', tree: 't', ref, patch: null, ...numbers, commits: [], left_behind: [], overlaps_with: [] };
      },
      release: async () => {
        place.releases += 1;
        await this.#work('release');
      },
    };
  }

  async #work(what: 'acquire' | 'capture' | 'release', signal?: AbortSignal): Promise<void> {
    this.#calls += 1;
    const call = this.#calls;
    const done = Promise.withResolvers<void>();
    const onAbort = () => done.reject(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    const timer = this.#clock.setTimeout(() => done.resolve(), 1 + ((call * 37) % 400));
    try {
      await done.promise;
    } finally {
      this.#clock.clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
    if (call % this.#failsEach === 0)
      throw new OpencodeManagerError(what === 'acquire' ? 'WORKSPACE_CREATE_FAILED' : 'WORKSPACE_CAPTURE_FAILED', what);
  }
}

/** What the oracle says of a task whose place could not be made, or not be captured: it knows no places. */
const ofFailedPlaces: ReadonlySet<string> = new Set(['results-are-true', 'within-limits']);

it.each([
  ['whatever happens to the server', Infinity],
  ['also when some cannot be made, captured or removed', 29],
])(
  'each attempt has a place of its own, captured before its result and given back once: %s',
  { timeout: 120_000 },
  async (_, failsEach) => {
    const problems: string[] = [];
    const counts = { places: 0, results: 0, severalOfOneTask: 0 };
    for (let seed = 1; seed <= 300; seed += 1) {
      let source: SimulatedPlaces | undefined;
      const { violations, calls } = await runInNode(drawPlan(seed), {
        createPool: (options, ports) => {
          source = new SimulatedPlaces(ports, failsEach);
          return createPool({ ...options, workspaces: source }, ports);
        },
      });
      const { made = [], wrong = [] } = source ?? {};
      for (const { result } of calls) {
        if (result?.ref === undefined) continue;
        counts.results += 1;
        if (result.ref !== `refs/places/${result.directory}`) wrong.push(`${result.id}: ${result.ref} is not of ${result.directory}`);
        if (result.workspace_may_be_half_changed) wrong.push(`${result.id}: half changed`);
      }
      for (const { key, directory, releases } of made)
        if (releases !== 1) wrong.push(`${key}: ${directory} was released ${releases} times`);
      counts.places += made.length;
      counts.severalOfOneTask += new Set(made.map(({ key }) => key)).size < made.length ? 1 : 0;
      const told = violations.filter(({ rule }) => failsEach === Infinity || !ofFailedPlaces.has(rule));
      for (const text of [...wrong, ...told.map(({ rule, text: what }) => `${rule}: ${what}`)]) problems.push(`seed ${seed}: ${text}`);
    }
    console.info(counts);
    expect(problems.slice(0, 20)).toEqual([]);
    expect(counts.severalOfOneTask).toBeGreaterThan(10);
  },
);
