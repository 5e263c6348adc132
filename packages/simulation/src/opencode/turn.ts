import type {
  AssistantMessageFacts,
  MessageFacts,
  PartFacts,
  ProviderRetry,
  SessionFact,
  TurnError,
} from '@opencode-manager/core/protocol';
import type { StepScript, ToolScript, TurnScript } from '../plan/types.ts';
import type { AskAnswer } from '../ports.ts';
import type { LedgerTurn } from './ledger.ts';
import { abortedError, noteFinish, noteLoop, noteRefusal, noteSaid, piecesOf } from './notes.ts';
import { newAnswer, textOf, type StoredMessage, type StoredSession } from './storage.ts';
import type { Surroundings } from './surroundings.ts';
import type { TurnHome, TurnOptions } from './turn-home.ts';

/** opencode asks a provider again so often (A5). */
const mostRetries = 5;

/**
 * One turn of a session as the server works on it: accepted, begun, its steps, its end, each an instant of its own. The events
 * that tell of them are another matter: see `SimulatedStream`.
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
  readonly #onEnd: (output: string) => void;
  readonly #children = new Set<Turn>();
  /** The user message that is answered now. */
  #parentId: string;
  #message: StoredMessage | undefined;
  #askId: string | undefined;
  #tool: ToolScript | undefined;
  #isAborting = false;
  /** Its last message is written; it is idle soon. */
  #isEnding = false;

  constructor(world: Surroundings, home: TurnHome, { session, record, script, onEnd }: TurnOptions) {
    this.#world = world;
    this.#home = home;
    this.#script = script;
    this.#onEnd = onEnd ?? (() => undefined);
    this.session = session;
    this.record = record;
    this.#parentId = record.messageId;
    this.#scheduleBegin();
  }

  get hasBegun(): boolean {
    return this.record.begunAtMs !== undefined;
  }

  /** Another prompt came while this one runs: the next step answers it. */
  merge(messageId: string): void {
    this.#parentId = messageId;
    this.#world.count('merged');
  }

  /** Aborts what has begun; before that it does nothing (B). */
  abort(): void {
    const { queue, random, count } = this.#world;
    this.record.activeAtAbortMs ??= this.record.activeAtMs;
    this.record.aborts.push(queue.nowMs);
    if (this.isOver || this.#isEnding) return;
    if (!this.hasBegun) return count('abort-before-begin');
    for (const child of this.#children) child.abort();
    const ignores = this.#tool?.ignoresAbort;
    if (ignores === 'tools' || ignores === 'never') return count('abort-ignored');
    if (this.#isAborting) return;
    this.#isAborting = true;
    if (ignores === 'slow') count('abort-slow');
    const takesMs = ignores === 'slow' ? 3000 : random.of(`abort ${this.record.messageId}`).between(14, 60);
    this.#after(takesMs, 'aborted', () => !this.#isEnding && this.#endAborted());
  }

  /** The processes of its tools were killed. */
  endTools(): void {
    for (const child of this.#children) child.endTools();
    const tool = this.#tool;
    if (tool?.ignoresAbort === 'tools') {
      this.#tool = { ...tool, ignoresAbort: undefined as never };
      if (this.record.aborts.length > 0) this.abort();
    }
  }

  /** The process died: what was streamed is lost, what was running stays as it is (A3). */
  die(): void {
    if (this.isOver) return;
    const { parts } = this.#message ?? { parts: [] };
    for (const [index, part] of parts.entries()) if (part.type === 'text' && !part.ended) parts[index] = { ...part, text: '' };
    this.#over('died');
  }

  #scheduleBegin(): void {
    const { beginMs, unknownModel, neverBegins } = this.#script;
    if (neverBegins) {
      this.#world.count('begin-never');
      this.record.how = 'never';
      this.#home.ended(this);
      this.isOver = true;
      return;
    }
    if (beginMs > 30_000) this.#world.count('begin-very-late');
    else if (beginMs > 2000) this.#world.count('begin-late');
    this.#after(beginMs, 'begin', () => (unknownModel ? this.#refuse() : this.#begin()));
  }

  #refuse(): void {
    this.#world.count('unknown-model');
    this.record.begunAtMs = this.#world.queue.nowMs;
    this.#emit({ type: 'session.errored', error: { kind: 'other', name: 'ModelUnknown', message: 'Model not found: alpha/nope.' } });
    this.#emitIdle(2);
    this.#over('failed');
  }

  #begin(): void {
    const { queue, hit } = this.#world;
    this.record.begunAtMs = queue.nowMs;
    this.#setStatus('busy');
    this.#emit({ type: 'session.busy' });
    hit('begun');
    this.#step(0);
  }

  #step(index: number): void {
    const step = this.#script.steps[index]!;
    if (step.compacts) this.#compact();
    const message = this.#newMessage();
    this.#world.hit('step');
    this.#emit({ type: 'message', message: message.message });
    this.#try(step, index, 0);
  }

  /** opencode goes on under a user message of its own (A5). */
  #compact(): void {
    this.#world.count('compaction');
    const message: MessageFacts = { role: 'user', id: this.#world.messageId(), sessionId: this.session.id };
    this.session.messages.push({ message, parts: [] });
    this.#parentId = message.id;
    this.#emit({ type: 'message', message });
  }

  #newMessage(): StoredMessage {
    this.#message = newAnswer(this.#world.messageId(), this.record, this.#parentId);
    this.session.messages.push(this.#message);
    return this.#message;
  }

  /** Asks the provider; one that refuses is asked again after a wait. */
  #try(step: StepScript, index: number, refused: number): void {
    const { refusal } = step;
    this.record.modelCalls += 1;
    if (refusal && refused < refusal.times) return this.#wait(step, index, refused + 1);
    this.#after(step.thinkMs, 'thinks', () => this.#say(step, index));
  }

  #wait(step: StepScript, index: number, attempt: number): void {
    const refusal = step.refusal!;
    const { statusCode, message, afterMs, brokenText } = refusal;
    noteRefusal(this.#world, refusal);
    if (attempt > mostRetries) {
      this.#world.count('retry-spent');
      return this.#fail({ kind: 'provider', name: 'ProviderError', message, statusCode, retryable: true });
    }
    if (brokenText !== undefined) {
      this.#beginAnswer();
      this.#text(brokenText, false);
    }
    const nextAtMs = this.#world.queue.nowMs + afterMs;
    this.record.retries += 1;
    this.record.retryUntilMs = nextAtMs;
    this.record.waits.push({ fromMs: this.#world.queue.nowMs, toMs: nextAtMs });
    this.#setStatus({ attempt, message, nextAtMs });
    this.#emit({ type: 'session.retrying', retry: { attempt, message, nextAtMs } });
    this.#after(afterMs, 'asks the provider again', () => {
      this.#setStatus('busy');
      this.#emit({ type: 'session.busy' });
      this.#try(step, index, attempt);
    });
  }

  /** The provider has taken the call: its answer begins. */
  #beginAnswer(): void {
    this.#part({ id: this.#world.id('prt'), messageId: this.#message!.message.id, type: 'step' });
  }

  #say(step: StepScript, index: number): void {
    this.#beginAnswer();
    const pieces = piecesOf(step);
    const [first, ...more] = pieces;
    if (first === undefined) return this.#afterText(step, index);
    const part = this.#text(first, pieces.length === 1 && !step.hangs);
    const next = (said: string, left: readonly string[]): void => {
      const [delta, ...rest] = left;
      if (delta === undefined) return this.#afterText(step, index);
      this.#after(5, 'says', () => {
        noteSaid(this.#world, this.record, delta);
        this.#emit({ type: 'delta', messageId: part.messageId, partId: part.id, field: 'text', delta });
        const text = said + delta;
        if (rest.length === 0 && !step.hangs) this.#part({ ...part, text, ended: true });
        next(text, rest);
      });
    };
    next(first, more);
  }

  #text(text: string, ended: boolean): Extract<PartFacts, { type: 'text' }> {
    const part = { id: this.#world.id('prt'), messageId: this.#message!.message.id, type: 'text', text, ended } as const;
    noteSaid(this.#world, this.record, text);
    this.#part(part);
    return part;
  }

  #afterText(step: StepScript, index: number): void {
    if (step.hangs) return this.#world.count('model-hangs');
    if (step.error) {
      this.#world.count('provider-error');
      return this.#fail({ kind: 'provider', ...step.error });
    }
    this.#useTools(step, index, 0);
  }

  #useTools(step: StepScript, index: number, at: number): void {
    const tool = step.tools?.[at];
    if (!tool) return this.#finishStep(step, index);
    const id = this.#world.id('prt');
    this.#toolPart(id, tool, 'pending', '');
    this.#tool = tool;
    const run = () => {
      this.#toolPart(id, tool, 'running', '');
      this.#world.hit('tool');
      this.#runTool(tool, (status, output) => {
        this.#tool = undefined;
        this.#toolPart(id, tool, status, output);
        this.#useTools(step, index, at + 1);
      });
    };
    if (tool.ask) this.#ask(tool, id, run, () => this.#useTools(step, index, at + 1));
    else run();
  }

  #ask(tool: ToolScript, partId: string, onAllowed: () => void, onDenied: () => void): void {
    const ask = this.#home.asks.open(this.session, tool.ask!, (answer: AskAnswer) => {
      this.#askId = undefined;
      const isDenied = answer.type === 'deny';
      this.#emit({ type: 'ask.closed', askId: ask.id, answer: isDenied ? 'denied' : answer.type === 'allow' ? 'allowed' : 'answered' });
      if (!isDenied) return onAllowed();
      this.#tool = undefined;
      this.#toolPart(partId, tool, 'failed', 'rejected');
      // With a message the model goes on; without one, and after any rejected question, the turn ends (A5).
      if (ask.kind === 'permission' && answer.message !== undefined) return onDenied();
      this.#complete({ finish: 'tool-calls' });
      this.#end();
    });
    this.#askId = ask.id;
    this.#emit({ type: 'ask.opened', ask });
    this.#world.hit('ask');
  }

  #runTool({ tool, child, background, forMs, output, hangs }: ToolScript, done: (status: 'completed', output: string) => void): void {
    if (hangs) return this.#world.count('tool-hangs');
    if (!child) return this.#after(forMs, `${tool} ends`, () => done('completed', output));
    const waits = !background;
    const turn = this.#home.beginChild(this.session, child, this.record.provider, (said) => {
      this.#children.delete(turn);
      if (waits && !this.isOver) this.#after(3, `${tool} ends`, () => done('completed', said));
    });
    this.#children.add(turn);
    if (!waits) this.#after(forMs, `${tool} is on its way`, () => done('completed', 'begun'));
  }

  #toolPart(id: string, { tool, input }: ToolScript, status: 'pending' | 'running' | 'completed' | 'failed', output: string): void {
    this.#part({ id, messageId: this.#message!.message.id, type: 'tool', tool, status, input: { input }, output });
  }

  #finishStep(step: StepScript, index: number): void {
    const { steps, loopsTo } = this.#script;
    const next = steps[index + 1] ? index + 1 : loopsTo;
    noteLoop(this.#world, step, next !== undefined && next <= index);
    if (next === undefined && this.#script.idle === 'early') return this.#endEarly(step);
    this.#complete(step.finish === null ? {} : { finish: step.finish });
    if (next === undefined) return this.#end(step);
    this.#after(this.#world.random.of(`gap ${this.#message!.message.id}`).between(20, 60), 'goes on', () => this.#step(next));
  }

  /** The session is idle, and says so, before the final message is written. */
  #endEarly(step: StepScript): void {
    this.#world.count('idle-early');
    this.#isEnding = true;
    this.#setStatus(undefined);
    this.record.idleAtMs = this.#world.queue.nowMs;
    this.#emitIdle(2);
    this.#after(25, 'writes its last message', () => {
      this.#complete(step.finish === null ? {} : { finish: step.finish });
      this.record.finalAtMs = this.#world.queue.nowMs;
      noteFinish(this.#world, step, textOf(this.#message!));
      this.#world.hit('final');
      this.#over('finished');
    });
  }

  #complete({ finish, error }: { finish?: string; error?: TurnError }): void {
    const stored = this.#message!;
    const before = stored.message as AssistantMessageFacts;
    const tokens = { ...before.tokens, input: 100, output: 10 + textOf(stored).length };
    stored.message = { ...before, completed: true, tokens, ...(finish !== undefined && { finish }), ...(error && { error }) };
    this.#emit({ type: 'message', message: stored.message });
  }

  #end(step?: StepScript): void {
    this.#isEnding = true;
    this.record.finalAtMs = this.#world.queue.nowMs;
    if (step) noteFinish(this.#world, step, textOf(this.#message!));
    this.#world.hit('final');
    this.#after(2 + 6 * this.#world.random.of(`end ${this.record.messageId}`).next(), 'becomes idle', () => {
      const { idle } = this.#script;
      if (idle === 'never') this.#world.count('idle-never');
      else this.#emitIdle(idle === 'once' ? 1 : 2);
      if (idle === 'late') this.#idleAgain();
      this.#over('finished');
    });
  }

  /** The stream may bring an idle once more when the session is at work again. */
  #idleAgain(): void {
    const { queue, random, count } = this.#world;
    queue.after(random.of(`late ${this.record.messageId}`).between(200, 3000), 'idle again', () => {
      count('idle-late-again');
      this.#home.emit(this.session, { type: 'session.idle' });
    });
  }

  #fail(error: TurnError): void {
    this.#complete({ error });
    this.#emit({ type: 'session.errored', error });
    this.#emitIdle(2);
    this.#over('failed');
  }

  #endAborted(): void {
    const isRetrying = typeof this.status === 'object';
    if (isRetrying) this.#world.count('abort-in-retry');
    const isOpen = this.#message && !(this.#message.message as AssistantMessageFacts).completed;
    if (isOpen) this.#complete(isRetrying ? {} : { error: abortedError });
    if (!isRetrying) this.#emit({ type: 'session.errored', error: abortedError });
    this.#emitIdle(2);
    this.#over('aborted');
  }

  #emitIdle(times: number): void {
    for (let count = 0; count < times; count += 1) this.#home.emit(this.session, { type: 'session.idle' });
  }

  #over(how: NonNullable<LedgerTurn['how']>): void {
    if (this.isOver) return;
    this.isOver = true;
    this.status = undefined;
    this.record.how = how;
    this.record.endedAtMs = this.#world.queue.nowMs;
    this.record.idleAtMs ??= this.record.endedAtMs;
    const wait = this.record.waits.at(-1);
    if (wait) wait.toMs = Math.min(wait.toMs, this.record.endedAtMs);
    delete this.record.retryUntilMs;
    if (this.#askId !== undefined) this.#home.asks.abandon(this.#askId);
    const isHeard = how !== 'died';
    if (isHeard) this.#world.tell(this.#home.name, `${this.session.id} ${how}`);
    if (isHeard && this.#children.size > 0) this.#world.count('child-outlives');
    this.#home.ended(this);
    if (isHeard) this.#world.hit('ended');
    if (isHeard) this.#onEnd(this.#message ? textOf(this.#message) : '');
  }

  #setStatus(status: Turn['status']): void {
    this.status = status;
    if (status === 'busy') delete this.record.retryUntilMs;
  }

  #emit(fact: SessionFact): void {
    if (!this.#isAborting) this.record.activeAtMs = this.#world.queue.nowMs;
    this.#home.emit(this.session, fact);
  }

  #part(part: PartFacts): void {
    const { parts } = this.#message!;
    const known = parts.findIndex(({ id }) => id === part.id);
    if (known === -1) parts.push(part);
    else parts[known] = part;
    this.#emit({ type: 'part', part });
  }

  #after(delayMs: number, label: string, run: () => void): void {
    this.#world.queue.after(delayMs, `${this.session.id} ${label}`, () => !this.isOver && run(), { background: false });
  }
}
