import { createMessageIds } from '@opencode-manager/core/protocol';
import type { FaultId } from '../fault-kinds.ts';
import { Requests } from '../link/requests.ts';
import { createServerPort, processOf, type ServerLink } from '../link/server-port.ts';
import { SimulatedStream } from '../link/stream.ts';
import { behaviours, type Behaviour } from '../opencode/behaviour.ts';
import { Ledger } from '../opencode/ledger.ts';
import { Process } from '../opencode/process.ts';
import { Storage } from '../opencode/storage.ts';
import type { Surroundings } from '../opencode/surroundings.ts';
import type { Turn } from '../opencode/turn.ts';
import type { Fault, Plan, Point, TurnScript } from '../plan/types.ts';
import type { PoolPorts, ServerPort } from '../ports.ts';
import { VirtualClock } from './clock.ts';
import { History } from './history.ts';
import { Points } from './points.ts';
import { EventQueue, type Pending } from './queue.ts';
import { Randomness } from './randomness.ts';

/** Worlds begin here: 2027-01-15, in milliseconds since the epoch. */
const startMs = 1_800_000_000_000;

/** From the start of a process to its answers, in milliseconds (A1). */
const startupMs = [1300, 2400] as const;

/** What does not come upon a process. */
type Unstriking = 'startFails' | 'slow' | 'cut' | 'lag' | 'streamFails' | 'diskFull';

type Outside = 'abortsOutside' | 'promptsOutside' | 'deletesOutside';

export interface WorldOptions {
  /** Makes an error as the ports throw it: an `OpencodeManagerError`, where the real hosts run. */
  readonly error: (code: string, message: string) => Error;
  /** Chooses the turn that a model takes for a prompt. Without it, prompts read `task number`: a script of the plan by its number. */
  readonly scriptOf?: (prompt: string) => TurnScript;
}

/**
 * A simulated opencode with its network and clock, from one plan. It moves one event at a time; between two events whoever drives it lets
 * promises settle. Nothing in it is real time or real chance.
 *
 * @example
 * const world = new World(plan, { error: (code, message) => new OpencodeManagerError(code, message) })
 * const pool = createPool(options, world.ports)
 * while (world.step()) await drain()
 */
export class World implements Surroundings {
  readonly plan: Plan;
  readonly behaviour: Behaviour;
  readonly queue = new EventQueue(startMs);
  readonly clock = new VirtualClock(this.queue);
  readonly random: Randomness;
  readonly ledger = new Ledger();
  readonly storage = new Storage();
  readonly history = new History(startMs);
  readonly points = new Points(this.queue);
  readonly processes: Process[] = [];
  readonly streams: SimulatedStream[] = [];
  readonly requests: Requests;
  readonly faults = new Map<FaultId, number>();
  readonly ports: PoolPorts;
  readonly error: (code: string, message: string) => Error;
  readonly scriptOf: (prompt: string) => TurnScript;
  readonly #link: ServerLink;
  readonly #messageIds;
  #ids = 0;
  #failingStarts = 0;
  #fullUntilMs = 0;

  constructor(plan: Plan, { error, scriptOf = (prompt) => plan.scripts[Number(prompt.split(' ')[1] ?? 0)]! }: WorldOptions) {
    this.plan = plan;
    this.behaviour = behaviours[plan.protocol];
    this.error = error;
    this.scriptOf = scriptOf;
    this.random = new Randomness(plan.seed);
    this.#messageIds = createMessageIds({ now: () => Math.floor(this.queue.nowMs), random: this.random.of('message ids').next });
    this.requests = new Requests(this);
    this.#link = { world: this, requests: this.requests, start: () => this.#start(), processes: this.processes };
    this.ports = {
      clock: this.clock,
      random: this.random.of('hosts').next,
      launch: async () => createServerPort(this.#link, await this.#start()),
      openStream: (server) => {
        const stream = new SimulatedStream(this, processOf(server));
        this.streams.push(stream);
        return stream;
      },
    };
    for (const fault of plan.faults) this.points.at(fault.when, fault.what, () => this.inject(fault));
  }

  /** Runs the next event; undefined when nothing will happen any more. */
  step(): Pending | undefined {
    return this.queue.step();
  }

  /** The process that was started last and has not ended. */
  get current(): Process | undefined {
    return this.processes.findLast(({ state }) => state !== 'ended');
  }

  // Bound: the parts of the world take these out of it.
  readonly tell = (who: string, what: string): void => this.history.add(this.queue.nowMs, who, what);

  readonly count = (fault: FaultId): void => void this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);

  readonly hit = (point: Point): void => this.points.hit(point);

  readonly messageId = (): string => this.#messageIds.next();

  readonly id = (prefix: string): string => `${prefix}_${String((this.#ids += 1)).padStart(6, '0')}`;

  readonly isDiskFull = (): boolean => this.#fullUntilMs > this.queue.nowMs;

  /** A server that came up for a manager that was gone by then. */
  endOrphan(server: object): void {
    processOf(server as ServerPort).end({ expected: false });
  }

  /** Lets something go wrong now. */
  inject(fault: Fault): void {
    this.tell('world', JSON.stringify({ ...fault, when: undefined }));
    const isOlder = fault.what === 'kill' && fault.which === 'first';
    const process = isOlder ? this.processes.find(({ state }) => state !== 'ended') : this.current;
    const stream = this.streams.findLast(({ state }) => state === 'live');
    if (fault.what === 'startFails') this.#failingStarts = fault.times;
    else if (fault.what === 'slow') this.requests.slowDown(fault.delayMs, fault.forMs);
    else if (fault.what === 'cut') stream?.cut(fault);
    else if (fault.what === 'lag') stream?.delay(fault.lagMs, fault.forMs);
    else if (fault.what === 'streamFails') stream?.fail();
    else if (fault.what === 'diskFull') this.#fullUntilMs = this.queue.nowMs + fault.forMs;
    else if (process) this.#strike(process, fault.what, 'which' in fault && fault.which !== 'first' ? fault.which : undefined);
  }

  #strike(process: Process, what: Exclude<Fault['what'], Unstriking>, which: 'last' | 'idle' | undefined): void {
    const turn = process.turns.at(which === 'last' ? -1 : 0);
    if (what === 'kill') process.end({ expected: false });
    else if (what === 'wedge') process.wedge();
    else if (what === 'grows') process.rssBytes = 4e9;
    else if (turn && what === 'dispose' && this.behaviour.disposes) {
      this.count('disposed');
      process.dispose(turn.session.directory);
    } else if (which === 'idle' && what === 'deletesOutside') this.#deleteIdle(process);
    else if (turn && what !== 'dispose') this.#meddle(process, turn, what);
  }

  /** Another client of the server does something to a session at work. */
  #meddle(process: Process, turn: Turn, what: Outside): void {
    if (what === 'deletesOutside') return process.delete(turn.session);
    if (what === 'promptsOutside' && turn.isResting) return;
    if (what === 'promptsOutside')
      return process.prompt(turn.session, { messageId: this.messageId(), task: '', script: this.plan.scripts[0]!, provider: 'alpha' });
    this.count('abort-outside');
    turn.abort();
  }

  #deleteIdle(process: Process): void {
    const idle = [...this.storage.sessions.values()].find(({ id, deleted }) => !deleted && !process.turnOf(id));
    if (idle) process.delete(idle);
  }

  #start(): Promise<Process> {
    const started = Promise.withResolvers<Process>();
    const number = this.processes.length + 1;
    const takesMs = this.random.of(`start ${number}`).between(...startupMs);
    this.queue.after(takesMs, 'a server starts', () => this.#comeUp(started), { background: false });
    return started.promise;
  }

  #comeUp({ resolve, reject }: PromiseWithResolvers<Process>): void {
    if (this.#failingStarts > 0) {
      this.#failingStarts -= 1;
      this.count('start-fails');
      this.tell('world', 'a server does not start');
      return reject(this.error('SERVER_START_FAILED', 'The opencode server ended before it was ready.'));
    }
    const process = new Process(this, this.processes.length + 1);
    this.processes.push(process);
    this.tell(process.name, 'answers');
    this.hit('launched');
    resolve(process);
  }
}
