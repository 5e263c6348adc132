import type { StepScript, ToolScript } from '../plan/types.ts';
import type { AskAnswer } from '../ports.ts';
import type { Answer } from './answer.ts';
import type { Background } from './background.ts';
import type { ServerFact } from './facts.ts';
import type { LedgerTurn } from './ledger.ts';
import type { StoredSession } from './storage.ts';
import type { Surroundings } from './surroundings.ts';
import type { TurnHome } from './turn-home.ts';
import type { Turn } from './turn.ts';

/** The turn whose tools run. */
export interface ToolHost {
  readonly home: TurnHome;
  readonly session: StoredSession;
  readonly record: LedgerTurn;
  readonly answer: Answer;
  readonly background: Background;
  readonly emit: (fact: ServerFact) => void;
  /** Does something later, unless the turn is over by then. */
  readonly after: (delayMs: number, label: string, run: () => void) => void;
  readonly isOver: () => boolean;
  /** An ask was rejected in a way that ends the turn (A5). */
  readonly onRejected: () => void;
}

type Done = (status: 'completed', output: string, work?: string) => void;

/** The tools of a turn, one after the other, their asks and their sub-agents. */
export class Tools {
  /** Sub-agents that are at work. */
  readonly children = new Set<Turn>();
  /** Those of them that the turn does not wait for. */
  readonly #inBackground = new Set<Turn>();
  /** The one that runs. */
  current: ToolScript | undefined;
  askId: string | undefined;
  readonly #world: Surroundings;
  readonly #host: ToolHost;

  constructor(world: Surroundings, host: ToolHost) {
    this.#world = world;
    this.#host = host;
  }

  /** Runs those of a step from one on. */
  run(step: StepScript, at: number, onDone: () => void): void {
    const tool = step.tools?.[at];
    if (!tool) return onDone();
    const { answer } = this.#host;
    const id = this.#world.id('prt');
    const next = () => this.run(step, at + 1, onDone);
    answer.tool(id, tool, { status: 'pending', output: '' });
    this.current = tool;
    const run = () => {
      answer.tool(id, tool, { status: 'running', output: '' });
      this.#world.hit('tool');
      this.#begin(tool, (status, output, work) => {
        this.current = undefined;
        answer.tool(id, tool, { status, output, ...(work !== undefined && { work }) });
        next();
      });
    };
    if (tool.ask) this.#ask(tool, id, run, next);
    else run();
  }

  /** An abort reached the turn. */
  abortChildren(): void {
    const { abortsBackground } = this.#world.behaviour;
    for (const child of this.children) if (abortsBackground || !this.#inBackground.has(child)) child.abort();
  }

  #ask(tool: ToolScript, partId: string, onAllowed: () => void, onDenied: () => void): void {
    const { home, session, emit, answer, onRejected } = this.#host;
    const ask = home.asks.open(session, tool.ask!, (said: AskAnswer) => {
      this.askId = undefined;
      const isDenied = said.type === 'deny';
      emit({ type: 'ask.closed', askId: ask.id, answer: isDenied ? 'denied' : said.type === 'allow' ? 'allowed' : 'answered' });
      if (!isDenied) return onAllowed();
      this.current = undefined;
      answer.tool(partId, tool, { status: 'failed', output: 'rejected' });
      // With a message the model goes on; without one, and after any rejected question, the turn ends (A5).
      if (ask.kind === 'permission' && said.message !== undefined) return onDenied();
      onRejected();
    });
    this.askId = ask.id;
    emit({ type: 'ask.opened', ask });
    this.#world.hit('ask');
  }

  #begin(script: ToolScript, done: Done): void {
    const { tool, child, background = false, forMs, output, hangs } = script;
    const { after } = this.#host;
    if (hangs) return this.#world.count('tool-hangs');
    if (child) return this.#beginChild(script, done);
    if (!background || !this.#world.behaviour.followsBackground) return after(forMs, `${tool} ends`, () => done('completed', output));
    done('completed', 'begun', this.#host.background.beginShell(forMs));
  }

  #beginChild({ tool, child, background = false, forMs }: ToolScript, done: Done): void {
    const { home, session, record, after, isOver, background: works } = this.#host;
    const isFollowed = background && this.#world.behaviour.followsBackground;
    const turn = home.beginChild(session, child!, record.provider, (said) => {
      this.children.delete(turn);
      this.#inBackground.delete(turn);
      if (isFollowed) works.end(turn.session.id);
      if (!background && !isOver()) after(3, `${tool} ends`, () => done('completed', said));
    });
    this.children.add(turn);
    if (!background) return;
    this.#inBackground.add(turn);
    if (!isFollowed) return after(forMs, `${tool} is on its way`, () => done('completed', 'begun'));
    works.beginChild(turn.session.id);
    done('completed', 'begun', turn.session.id);
  }
}
