import { charts, chartsOf, machines, type Charts, type Machines } from '../chart/shipped.ts';
import { RunStore } from '../run/store.ts';
import { formatTrace, parseTrace, type Json, type RunInfo } from '../trace/format.ts';
import type { ActorKind } from '../run/meaning.ts';
import { ask, enter } from './access.ts';
import { simulatedDoors } from '../simulation/doors.ts';
import { BatchStore } from '../batch/store.ts';
import type { LinkState } from './event-stream.ts';
import { LiveLink, postCommand, readRunInfo } from './link.ts';
import { Playback } from './playback.ts';
import { Simulation } from './simulation.ts';

export type CentreTab = ActorKind | 'sequence';
/** What fills the page: the tasks of a run, or the machines of its sessions. */
export type ViewTab = 'batch' | 'sessions';
export type SideTab = 'send' | 'faults' | 'context';

/** Where the view that was chosen is kept over a reload. */
const viewKey = 'ocm-playground-view';

/** What the user chose to look at. */
export interface Choice {
  /** An actor by its name in the records. */
  readonly actor: string;
  readonly centre: CentreTab;
  readonly side: SideTab;
  readonly coverage: boolean;
  /** Record whose details are shown. */
  readonly record: number | null;
  readonly view: ViewTab;
  /** Key of the task whose conversation is shown. */
  readonly task: string | null;
}

export interface PageState {
  readonly info: RunInfo;
  readonly link: LinkState | null;
  /** Times that the link was lost and came back. */
  readonly reconnects: number;
  readonly choice: Choice;
  readonly notice: string | null;
  /** What is drawn: the charts of the machines that made the run. */
  readonly charts: Charts;
  /** Grows with every change of the transport: playing, speed, scenario. */
  readonly version: number;
}

/** Everything of the page that is not drawing: the run, where it comes from, and what the user chose. */
export class Controller {
  readonly store = new RunStore();
  readonly playback = new Playback(this.store, () => this.#changed());
  simulation: Simulation | undefined;
  /** Of a run with a directory. */
  batch: BatchStore | undefined;
  #link: LiveLink | undefined;
  readonly #listeners = new Set<() => void>();
  #state: PageState = {
    info: { mode: 'simulation', title: 'Simulation', control: false, content: false },
    link: null,
    reconnects: 0,
    choice: { actor: '', centre: 'session', side: 'send', coverage: false, record: null, view: 'sessions', task: null },
    notice: null,
    charts,
    version: 0,
  };

  get state(): PageState {
    return this.#state;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Opens what the page was started for. */
  async open(): Promise<void> {
    await enter();
    const info = await readRunInfo();
    if (info === 'refused') {
      this.simulate('clean');
      return this.notify(
        'This tab has no access to the run; this is a simulation. The address that the command printed works once, in one tab: start the command again for another.',
      );
    }
    if (info.mode === 'live') return this.#openLive(info);
    if (info.mode === 'trace') return this.#openServedTrace();
    if (info.mode === 'run') return this.#openRun(info);
    this.simulate('clean');
  }

  simulate(scenarioId: string): void {
    this.#leave();
    const info = { mode: 'simulation', title: 'Simulation', control: true, content: true, doors: simulatedDoors } as const;
    this.#set({ info, link: null, notice: null, charts });
    if (!this.simulation) {
      this.store.clear();
      this.simulation = new Simulation(this.store, () => this.#changed());
    }
    this.choose({ actor: '', record: null });
    this.simulation.start(scenarioId);
  }

  /** Shows a recorded run. What is no trace is refused with a notice. */
  async openTrace(text: string): Promise<void> {
    try {
      const { header, records } = parseTrace(text);
      const recorded = await chartsOf(header.machines as Partial<Machines> | undefined);
      this.#leave();
      this.simulation?.close();
      this.simulation = undefined;
      this.store.clear();
      for (const record of records) this.store.append(record);
      this.#set({
        info: { mode: 'trace', title: header.title, control: false, content: header.content },
        link: null,
        notice: null,
        charts: recorded,
      });
      this.choose({ actor: '', record: null, side: 'context' });
    } catch (error) {
      this.notify(`This file cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** The run so far as one file. */
  traceText(): string {
    const { info } = this.#state;
    const source = info.mode === 'simulation' ? 'simulation' : 'live';
    const title = info.mode === 'simulation' ? (this.simulation?.scenario.title ?? info.title) : info.title;
    const header = { format: 'opencode-manager-trace', version: 1, title, source, content: info.content, machines } as const;
    return formatTrace({ header, records: this.store.records });
  }

  /** Sends an event to an actor: of the simulation, or of the live run when that is allowed. */
  async send(actor: string, type: string, payload: Json): Promise<void> {
    this.notify((this.simulation ? this.#simulate(actor, type, payload) : await postCommand({ actor, type, payload })) ?? null);
  }

  choose(choice: Partial<Choice>): void {
    if (choice.view !== undefined) sessionStorage.setItem(viewKey, choice.view);
    this.#set({ choice: { ...this.#state.choice, ...choice } });
  }

  notify(notice: string | null): void {
    this.#set({ notice });
  }

  /** What the simulated run refuses, as a live one would. */
  #simulate(actor: string, type: string, payload: Json): string | undefined {
    try {
      this.simulation?.send(actor, type, payload);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #openLive(info: RunInfo): void {
    this.#set({ info, link: 'connecting' });
    // How the link is, the records' own stream tells.
    if (info.batch) this.#openBatch(() => undefined);
    this.#link = new LiveLink({
      // Numbered anew: a page that came late starts with sums of what it missed.
      onRecords: (records) => records.forEach((record) => this.store.append({ ...record, seq: this.store.nextSeq })),
      onReset: () => this.store.clear(),
      onState: (link) => this.#onLink(link),
    });
    this.choose({ side: info.control ? 'send' : 'context' });
  }

  /** A run's directory, without its sessions. */
  #openRun(info: RunInfo): void {
    this.#set({ info, link: 'connecting' });
    this.#openBatch((link) => this.#onLink(link));
  }

  #openBatch(onState: (state: LinkState) => void): void {
    this.batch = new BatchStore(onState);
    this.#set({ choice: { ...this.#state.choice, view: sessionStorage.getItem(viewKey) === 'sessions' ? 'sessions' : 'batch' } });
  }

  #onLink(link: LinkState): void {
    const isBack = this.#state.link === 'lost' && link === 'connected';
    this.#set({ link, reconnects: this.#state.reconnects + (isBack ? 1 : 0) });
  }

  async #openServedTrace(): Promise<void> {
    const response = await ask('./trace').catch(() => undefined);
    if (response?.ok) await this.openTrace(await response.text());
    else this.notify('The trace could not be read.');
  }

  #leave(): void {
    this.playback.stop();
    this.store.moveTo(null);
    this.#link?.close();
    this.#link = undefined;
    this.batch?.close();
    this.batch = undefined;
    this.#set({ choice: { ...this.#state.choice, view: 'sessions', task: null } });
  }

  #set(change: Partial<PageState>): void {
    this.#state = { ...this.#state, ...change, version: this.#state.version + 1 };
    for (const listener of this.#listeners) listener();
  }

  #changed(): void {
    this.#set({});
  }
}
