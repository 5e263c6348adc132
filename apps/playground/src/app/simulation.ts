import { sendTo } from '../simulation/doors.ts';
import { createDrain } from '../simulation/pump.ts';
import { scenarios, type Scenario } from '../simulation/scenarios.ts';
import { SimulatedRun, type Adversity } from '../simulation/simulated-run.ts';
import type { RunStore } from '../run/store.ts';
import type { Json } from '../trace/format.ts';

/** A frame that took longer than this was one in which the page slept. */
const longestFrameMs = 250;

/**
 * Work of one frame, in milliseconds. It takes as long as the page itself needs between two pieces of work, within these bounds:
 * the page stays responsive, and simulated time falls behind.
 */
const workOfFrameMs = { least: 14, most: 60 } as const;

/** Beyond this, a step would leap to a deadline that nobody waits for. */
const longestStepMs = 600_000;

export type Fault = 'cutStream' | 'killServer' | 'rotateServer' | keyof Adversity;

/** Runs a scenario against the time of the page: play, pause, speed, step. */
export class Simulation {
  readonly #store: RunStore;
  readonly #onChange: () => void;
  readonly #drain = createDrain();
  #run: SimulatedRun;
  #opening = Promise.resolve();
  #playing = false;
  #closed = false;
  /** Counts the times that it was set going: frames of an earlier time are over. */
  #plays = 0;
  speed = 1;

  constructor(store: RunStore, onChange: () => void) {
    this.#store = store;
    this.#onChange = onChange;
    this.#run = this.#build('');
  }

  get scenario(): Scenario {
    return this.#run.scenario;
  }

  get run(): SimulatedRun {
    return this.#run;
  }

  get playing(): boolean {
    return this.#playing;
  }

  get nowMs(): number {
    return this.#run.nowMs;
  }

  /** Starts a scenario from its beginning. The world of the one before is left as it is: nothing moves it any more. */
  start(scenarioId: string): void {
    this.pause();
    this.#store.clear();
    this.#run = this.#build(scenarioId);
    this.#opening = this.#run.open();
    this.play();
  }

  play(): void {
    if (this.#playing) return;
    this.#playing = true;
    this.#plays += 1;
    void this.#follow(this.#plays);
    this.#onChange();
  }

  pause(): void {
    this.#playing = false;
    this.#onChange();
  }

  /** Leaves the store to others: what it is in the middle of is not told there any more. */
  close(): void {
    this.#closed = true;
    this.pause();
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    this.#onChange();
  }

  /** To the next thing that anybody is told. */
  step(): void {
    this.pause();
    void this.#opening.then(() => this.#run.step(longestStepMs)).then(this.#onChange);
  }

  /** Throws what the simulated run refuses. */
  send(actor: string, type: string, payload: Json): void {
    sendTo(this.#run, actor, type, payload);
    this.#onChange();
  }

  isOn(fault: Fault): boolean {
    if (fault === 'killServer') return this.#run.world.current === undefined;
    return fault === 'cutStream' || fault === 'rotateServer' ? false : this.#run.isOn(fault);
  }

  toggle(fault: Fault): void {
    if (fault === 'cutStream' || fault === 'killServer' || fault === 'rotateServer') this.#run[fault]();
    else this.#run.set(fault, !this.#run.isOn(fault));
    this.#onChange();
  }

  #build(scenarioId: string): SimulatedRun {
    const scenario = scenarios.find(({ id }) => id === scenarioId) ?? scenarios[0]!;
    const run: SimulatedRun = new SimulatedRun({
      scenario,
      drain: this.#drain,
      // One that was left may be in the middle of an event.
      onRecord: (record) => void (this.#isCurrent(run) && this.#store.append(record)),
    });
    return run;
  }

  #isCurrent(run: SimulatedRun): boolean {
    return !this.#closed && this.#run === run;
  }

  /** Moves the world by what has passed on the page, frame by frame. */
  async #follow(play: number): Promise<void> {
    await this.#opening;
    let lastMs = performance.now();
    let restedSinceMs = lastMs;
    while (this.#playing && play === this.#plays) {
      const nowMs = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
      if (!this.#playing || play !== this.#plays) return;
      const passedMs = Math.min(longestFrameMs, Math.max(0, nowMs - lastMs));
      lastMs = nowMs;
      const beginMs = performance.now();
      const workMs = Math.min(workOfFrameMs.most, Math.max(workOfFrameMs.least, beginMs - restedSinceMs));
      await this.#run.pass(passedMs * this.speed, () => performance.now() > beginMs + workMs);
      restedSinceMs = performance.now();
      this.#onChange();
    }
  }
}
