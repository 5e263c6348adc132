import type { EventObject } from 'xstate';
import { scenarios, type Scenario } from '../simulation/scenarios.ts';
import type { Weather } from '../simulation/server.ts';
import { World } from '../simulation/world.ts';
import type { RunStore } from '../run/store.ts';

/** A frame that took longer than this was one in which the page slept. */
const longestFrameMs = 250;

/** Timers fired in one frame at most: the page stays responsive, and simulated time falls behind. */
const timersPerFrame = 1200;

/** Beyond this, a step would leap to a deadline that nobody waits for. */
const longestStepMs = 600_000;

export type Fault = 'dropStream' | 'killServer' | 'rotateServer' | 'refuseSessions' | keyof Weather;

/** Runs a scenario against the time of the page: play, pause, speed, step. */
export class Simulation {
  readonly #store: RunStore;
  readonly #onChange: () => void;
  #world: World;
  #scenario: Scenario;
  #playing = false;
  #frame: number | undefined;
  #lastFrameMs = 0;
  /** Parts of a millisecond that frames left over: the simulated clock counts whole ones. */
  #restMs = 0;
  speed = 1;

  constructor(store: RunStore, onChange: () => void) {
    this.#store = store;
    this.#onChange = onChange;
    this.#scenario = scenarios[0]!;
    this.#world = this.#build();
  }

  get scenario(): Scenario {
    return this.#scenario;
  }

  get world(): World {
    return this.#world;
  }

  get playing(): boolean {
    return this.#playing;
  }

  get nowMs(): number {
    return this.#world.clock.now();
  }

  /** Starts a scenario from its beginning. */
  start(id: string): void {
    this.pause();
    this.#world.dispose();
    this.#scenario = scenarios.find((one) => one.id === id) ?? this.#scenario;
    this.#store.clear();
    this.#world = this.#build();
    this.play();
  }

  play(): void {
    if (this.#playing) return;
    this.#playing = true;
    this.#lastFrameMs = performance.now();
    this.#frame = requestAnimationFrame(this.#tick);
    this.#onChange();
  }

  pause(): void {
    this.#playing = false;
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#onChange();
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    this.#onChange();
  }

  /** To the next thing that is due. */
  step(): void {
    this.pause();
    const { clock } = this.#world;
    const due = clock.nextDueMs;
    if (due !== undefined && due - clock.now() <= longestStepMs) clock.advanceTo(due);
    this.#onChange();
  }

  /** Lets simulated time pass at once. */
  advance(ms: number): void {
    this.#world.clock.advanceTo(this.nowMs + ms, 100_000);
    this.#onChange();
  }

  send(actorId: string, event: EventObject): void {
    this.#world.send(actorId, event);
    this.#onChange();
  }

  isOn(fault: Fault): boolean {
    if (fault === 'dropStream' || fault === 'rotateServer') return false;
    if (fault === 'killServer') return !this.#world.server.alive;
    return fault === 'refuseSessions' ? this.#world.refuseSessions : this.#world.weather[fault];
  }

  toggle(fault: Fault): void {
    if (fault === 'dropStream') this.#world.dropStream();
    else if (fault === 'killServer') this.#world.killServer();
    else if (fault === 'rotateServer') this.#world.life.rotate('asked');
    else if (fault === 'refuseSessions') this.#world.refuseSessions = !this.#world.refuseSessions;
    else this.#world.setWeather(fault, !this.#world.weather[fault]);
    this.#onChange();
  }

  #build(): World {
    const world = new World({ maxSessions: this.#scenario.maxSessions, onRecord: (record) => this.#store.append(record) });
    this.#scenario.setUp(world);
    return world;
  }

  #tick = (atMs: number): void => {
    if (!this.#playing) return;
    const passedMs = Math.min(longestFrameMs, Math.max(0, atMs - this.#lastFrameMs));
    this.#lastFrameMs = atMs;
    const advanceMs = passedMs * this.speed + this.#restMs;
    this.#restMs = advanceMs % 1;
    this.#world.clock.advanceTo(this.nowMs + Math.floor(advanceMs), timersPerFrame);
    this.#onChange();
    this.#frame = requestAnimationFrame(this.#tick);
  };
}
