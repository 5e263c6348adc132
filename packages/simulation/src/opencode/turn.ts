import type { MessageFacts, ProviderRetry, TurnError } from '@opencode-manager/core/protocol';
import type { StepScript, TurnScript } from '../plan/types.ts';
import { Answer, type StepEnd } from './answer.ts';
import { Background } from './background.ts';
import type { ServerFact } from './facts.ts';
import type { LedgerTurn } from './ledger.ts';
import { abortedError, followUp, noteBegin, noteFinish, noteLoop, unansweredError, unknownModel } from './notes.ts';
import { Provider } from './provider.ts';
import type { StoredSession } from './storage.ts';
import type { Surroundings } from './surroundings.ts';
import { Tools } from './tools.ts';
import type { TurnHome, TurnOptions } from './turn-home.ts';

type End = NonNullable<LedgerTurn['how']>;

/** How long the adapter of 2.x looks for what follows an abort, in milliseconds. */
const settlingMs = 400;

/**
 * One turn of a session as the server works on it: accepted, begun, its steps, its end, each an instant of its own. The events
 * that tell of them are another matter: see `SimulatedStream`. Of 2.x a turn may have several executions: it rests between them.
 */
export class Turn {
  readonly session: StoredSession;
  readonly record: LedgerTurn;
  /** Absent while idle. */
  status: 'busy' | ProviderRetry | undefined;
  isOver = false;
  readonly #world: Surroundings;
  readonly #home: TurnHome;
  readonly #script: TurnScript;
  /** Those of the script, and those that answer the end of work in the background. */
  readonly #steps: StepScript[];
  readonly #isLine: boolean;
  readonly #onEnd: (output: string) => void;
  readonly #answer: Answer;
  readonly #background: Background;
  readonly #provider: Provider;
  readonly #tools: Tools;
  /** The user message that is answered now. */
  #parentId: string;
  #isAborting = false;
  /** Its last message is written; it is idle soon. */
  #isEnding = false;
  /** How its execution has ended, while work in the background is open. */
  #rests: End | undefined;
  /** Nothing of one goes on in the next. */
  #execution = 1;
  /** The adapter ends what follows an abort, until then. */
  #endsUntilMs = 0;

  constructor(world: Surroundings, home: TurnHome, { session, record, script, isLine = false, onEnd }: TurnOptions) {
    this.#world = world;
    this.#home = home;
    this.#script = script;
    this.#steps = [...script.steps];
    this.#isLine = isLine;
    this.#onEnd = onEnd ?? (() => undefined);
    this.session = session;
    this.record = record;
    this.#parentId = record.promptId;
    const emit = (fact: ServerFact) => this.#emit(fact);
    const after = (delayMs: number, label: string, run: () => void) => this.#after(delayMs, label, run);
    const answer = new Answer(world, { session, record, emit, after });
    this.#answer = answer;
    this.#background = new Background(world, { session, emit, onEnded: () => this.#goOn() });
    this.#provider = new Provider(world, {
      record,
      answer,
      parentId: () => this.#parentId,
      setStatus: (status) => this.#setStatus(status),
      emit,
      after,
      onFailed: (error) => this.#fail(error),
    });
    this.#tools = new Tools(world, {
      home,
      session,
      record,
      answer,
      background: this.#background,
      emit,
      after,
      isOver: () => this.isOver,
      onRejected: () => {
        this.#answer.complete({ finish: 'tool-calls' });
        this.#end();
      },
    });
    this.#scheduleBegin();
  }

  get hasBegun(): boolean {
    return this.record.begunAtMs !== undefined;
  }

  /** Its execution is over, and work in the background is not. */
  get isResting(): boolean {
    return this.#rests !== undefined;
  }

  /** Another prompt came while this one runs: the next step answers it. */
  merge(messageId: string): void {
    this.#parentId = messageId;
    this.#world.count('merged');
  }

  /** Another prompt came while this one rests: what is left in the background is told with it. */
  leave(): void {
    const how = this.#rests!;
    this.#rests = undefined;
    this.#background.endShells();
    this.#background.tell();
    this.#over(how);
  }

  /** The adapter of 2.x ends what the session has begun besides, and takes back what has not begun. */
  endSession(): void {
    const { queue } = this.#world;
    if (this.#background.endShells()) this.#endsUntilMs = queue.nowMs + settlingMs;
    if (this.hasBegun || this.isOver || this.#world.behaviour.storesPromptsAtOnce) return this.abort({ endsLine: true });
    this.#world.count('prompt-taken-back');
    this.record.aborts.push(queue.nowMs);
    this.#over('withdrawn');
  }

  /** Aborts what has begun; before that it does nothing (B). `endsLine`: a shell line, too, which is no execution. */
  abort({ endsLine = false } = {}): void {
    if (this.#isLine && !endsLine) return;
    const { queue, random, count, behaviour } = this.#world;
    this.record.activeAtAbortMs ??= this.record.activeAtMs;
    this.record.aborts.push(queue.nowMs);
    if (this.isOver || this.#isEnding) return;
    if (!this.hasBegun) return count('abort-before-begin');
    if (this.#rests) return;
    this.#tools.abortChildren();
    const ignores = this.#tools.current?.ignoresAbort;
    if (ignores === 'tools' || ignores === 'never') return count('abort-ignored');
    if (this.#isAborting) return;
    this.#isAborting = true;
    if (ignores === 'slow') count('abort-slow');
    const takesMs = ignores === 'slow' ? 3000 : random.of(`abort ${this.record.messageId}`).between(...behaviour.abortMs);
    this.#after(takesMs, 'aborted', () => !this.#isEnding && this.#endAborted());
  }

  /** The processes of its tools were killed. */
  endTools(): void {
    for (const child of this.#tools.children) child.endTools();
    const tool = this.#tools.current;
    if (tool?.ignoresAbort === 'tools') {
      this.#tools.current = { ...tool, ignoresAbort: undefined as never };
      if (this.record.aborts.length > 0) this.abort();
    }
  }

  /** Its session is deleted. */
  endAtOnce(): void {
    if (this.isOver) return;
    this.#background.drop();
    if (!this.hasBegun) return this.#over('withdrawn');
    if (this.#rests) return this.#over(this.#rests);
    this.#tools.abortChildren();
    this.#endAborted();
  }

  /** The process died, or was asked to end. */
  die(inOrder = false): void {
    if (this.isOver) return;
    this.#answer.die(inOrder);
    this.#background.drop();
    this.#over('died');
  }

  #scheduleBegin(): void {
    const { beginMs, unknownModel: isUnknown, neverBegins } = this.#script;
    if (neverBegins) {
      this.#world.count('begin-never');
      this.record.how = 'never';
      this.#home.ended(this);
      this.isOver = true;
      return;
    }
    noteBegin(this.#world, beginMs);
    this.#after(beginMs, 'begin', () => (isUnknown ? this.#refuse() : this.#begin()));
  }

  #refuse(): void {
    this.#world.count('unknown-model');
    this.record.begunAtMs = this.#world.queue.nowMs;
    this.#home.store(this.session, this.record);
    this.#emit({ type: 'session.errored', error: unknownModel });
    this.#endUntold(unansweredError);
    this.#emitIdle(2);
    this.#over('failed');
  }

  #begin(): void {
    const { queue, hit } = this.#world;
    this.record.begunAtMs = queue.nowMs;
    this.#setStatus('busy');
    this.#emit({ type: 'session.busy' });
    this.#home.store(this.session, this.record);
    hit('begun');
    this.#step(0);
  }

  #step(index: number): void {
    const step = this.#steps[index]!;
    this.#background.tell();
    if (step.compacts) this.#compact();
    this.#answer.begin(this.#parentId);
    this.#provider.ask(step, () => this.#answer.speak(step, () => this.#afterText(step, index)));
  }

  /** opencode goes on under a user message of its own (A5); 2.x keeps one, tells no event of it, and goes on under the user's. */
  #compact(): void {
    this.#world.count('compaction');
    const message: MessageFacts = { role: 'user', id: this.#world.messageId(), sessionId: this.session.id };
    this.session.messages.push({ message, parts: [] });
    if (!this.#world.behaviour.goesOnUnderCompaction) return;
    this.#parentId = message.id;
    this.#emit({ type: 'message', message });
  }

  #afterText(step: StepScript, index: number): void {
    if (step.hangs) return this.#world.count('model-hangs');
    if (step.error) {
      this.#world.count('provider-error');
      return this.#fail({ kind: 'provider', ...step.error });
    }
    this.#tools.run(step, 0, () => this.#finishStep(step, index));
  }

  #finishStep(step: StepScript, index: number): void {
    const { loopsTo } = this.#script;
    if (!this.#steps[index + 1] && loopsTo === undefined && this.#background.hasNews) this.#steps.push(followUp);
    const next = this.#steps[index + 1] ? index + 1 : loopsTo;
    noteLoop(this.#world, step, next !== undefined && next <= index);
    if (next === undefined && this.#script.idle === 'early') return this.#endEarly(step);
    this.#answer.complete(endOf(step));
    if (next === undefined) return this.#end(step);
    this.#after(this.#world.random.of(`gap ${this.#answer.id}`).between(20, 60), 'goes on', () => this.#step(next));
  }

  /** The session is idle, and says so, before the final message is written. */
  #endEarly(step: StepScript): void {
    this.#world.count('idle-early');
    this.#isEnding = true;
    this.#setStatus(undefined);
    this.record.idleAtMs = this.#world.queue.nowMs;
    this.#emitIdle(2);
    this.#after(25, 'writes its last message', () => {
      this.#answer.complete(endOf(step));
      this.record.finalAtMs = this.#world.queue.nowMs;
      noteFinish(this.#world, step, this.#answer.text);
      this.#world.hit('final');
      this.#over('finished');
    });
  }

  #end(step?: StepScript): void {
    this.#isEnding = true;
    if (!this.#background.isOpen) this.record.finalAtMs = this.#world.queue.nowMs;
    if (step) noteFinish(this.#world, step, this.#answer.text);
    this.#world.hit('final');
    this.#after(2 + 6 * this.#world.random.of(`end ${this.record.messageId}`).next(), 'becomes idle', () => {
      const { idle } = this.#script;
      if (idle === 'never') this.#world.count('idle-never');
      else this.#emitIdle(idle === 'once' ? 1 : 2);
      if (idle === 'late') this.#idleAgain();
      this.#rest('finished');
    });
  }

  /** The stream may bring an idle once more when the session is at work again. */
  #idleAgain(): void {
    const { queue, random, count } = this.#world;
    queue.after(random.of(`late ${this.record.messageId}`).between(200, 3000), 'idle again', () => {
      count('idle-late-again');
      this.#tell({ type: 'session.idle' });
    });
  }

  #fail(error: TurnError): void {
    this.#answer.complete({ error });
    this.#emit({ type: 'session.errored', error });
    this.#emitIdle(2);
    this.#rest('failed');
  }

  #endAborted(): void {
    const isRetrying = typeof this.status === 'object';
    const { showsEndsWithoutAnswer } = this.#world.behaviour;
    if (isRetrying) this.#world.count('abort-in-retry');
    // Of 2.x no event tells of the message then.
    if (this.#answer.isOpen && !(isRetrying && showsEndsWithoutAnswer)) this.#answer.complete(this.#endOfAborted(isRetrying));
    if ((!isRetrying || showsEndsWithoutAnswer) && !this.#isLine) this.#emit({ type: 'session.errored', error: abortedError });
    this.#endUntold(abortedError);
    this.#emitIdle(2);
    this.#rest('aborted');
  }

  #endOfAborted(isRetrying: boolean): StepEnd {
    return isRetrying || this.#isLine ? {} : { error: abortedError };
  }

  #endUntold(error: TurnError): void {
    if (this.#world.behaviour.showsEndsWithoutAnswer) this.#answer.endUntold(error, this.#parentId);
  }

  #emitIdle(times: number): void {
    const most = this.#world.behaviour.repeatsIdle ? times : 1;
    for (let count = 0; count < most; count += 1) this.#tell({ type: 'session.idle' });
  }

  /** The end of an execution: that of the turn, unless work in the background is open. */
  #rest(how: End): void {
    this.session.unended = undefined;
    if (!this.#background.isOpen) return this.#over(how);
    this.#world.count('turn-rests');
    if (this.#tools.children.size > 0) this.#world.count('child-outlives');
    this.#world.tell(this.#home.name, `${this.session.id} rests (${how})`);
    this.#rests = how;
    this.#execution += 1;
    this.status = undefined;
    this.#isEnding = false;
    this.#isAborting = false;
    if (this.#background.hasNews) this.#after(20, 'is told of its background', () => this.#goOn());
  }

  /** Work in the background has ended: another execution tells of it. */
  #goOn(): void {
    if (!this.#rests) return;
    this.#rests = undefined;
    this.#setStatus('busy');
    this.#emit({ type: 'session.busy' });
    this.#steps.push(followUp);
    this.#step(this.#steps.length - 1);
    if (this.#world.queue.nowMs <= this.#endsUntilMs) this.abort();
  }

  #over(how: End): void {
    if (this.isOver) return;
    this.isOver = true;
    this.status = undefined;
    this.#rests = undefined;
    if (how !== 'died') this.session.unended = undefined;
    this.record.how = how;
    this.record.endedAtMs = this.#world.queue.nowMs;
    this.record.idleAtMs ??= this.record.endedAtMs;
    const wait = this.record.waits.at(-1);
    if (wait) wait.toMs = Math.min(wait.toMs, this.record.endedAtMs);
    delete this.record.retryUntilMs;
    if (this.#tools.askId !== undefined) this.#home.asks.abandon(this.#tools.askId);
    const isHeard = how !== 'died';
    if (isHeard) this.#world.tell(this.#home.name, `${this.session.id} ${how}`);
    if (isHeard && this.#tools.children.size > 0) this.#world.count('child-outlives');
    this.#home.ended(this);
    if (isHeard) this.#world.hit('ended');
    if (isHeard) this.#onEnd(this.#answer.text);
  }

  #setStatus(status: Turn['status']): void {
    this.status = status;
    if (status === 'busy') delete this.record.retryUntilMs;
  }

  #emit(fact: ServerFact): void {
    if (!this.#isAborting) this.record.activeAtMs = this.#world.queue.nowMs;
    this.#tell(fact);
  }

  #tell(fact: ServerFact): void {
    this.#home.emit(this.session, this.#isLine ? { ...fact, line: true } : fact);
  }

  #after(delayMs: number, label: string, run: () => void): void {
    const execution = this.#execution;
    const isOf = () => !this.isOver && execution === this.#execution;
    this.#world.queue.after(delayMs, `${this.session.id} ${label}`, () => isOf() && run(), { background: false });
  }
}

const endOf = ({ finish }: StepScript): StepEnd => (finish === null ? {} : { finish });
