import type { PoolEvent } from '@opencode-manager/actors';
import { StepReader, type MachineStep } from '@opencode-manager/actors/machines';
import type { OpencodeServer } from '@opencode-manager/core';
import type { ServerEvent } from '@opencode-manager/core/protocol';
import type { EventMonitor, MonitorEvent } from '@opencode-manager/events';
import type { Json, RunRecord } from '@opencode-manager/playground/trace';
import type { Manager } from '../manager/index.ts';
import type { Journal } from './journal.ts';
import { noteOf, questionsOf, resultOf, type PayloadOptions } from './payload.ts';
import { createRedactor } from './redact.ts';
import type { StepTap } from './step-tap.ts';
import { TextSums } from './text-sums.ts';
import { UsageSums } from './usage-sums.ts';

type StreamEvent = Extract<MonitorEvent, { type: `stream.${string}` }>;

/**
 * Writes what happens in a running pool into the journal of its page: the steps of its machines as they are, and beside
 * them the state of the event stream, what streams (summed up), and results.
 */
export class PoolRecorder implements Disposable {
  readonly #manager: Manager;
  readonly #journal: Journal;
  readonly #options: PayloadOptions;
  readonly #reader: StepReader;
  readonly #texts: TextSums;
  readonly #usage = new UsageSums();
  /** Working directory of each session. */
  readonly #directories = new Map<string, string>();
  /** Root session of each sub-agent's session. */
  readonly #roots = new Map<string, string>();
  readonly #stopListening: (() => void)[];
  #server: OpencodeServer | undefined;
  #monitor: EventMonitor | undefined;
  #closed = false;

  constructor(manager: Manager, tap: StepTap, journal: Journal, options: PayloadOptions) {
    this.#manager = manager;
    this.#journal = journal;
    this.#options = options;
    this.#reader = new StepReader({ redact: createRedactor(options) });
    this.#texts = new TextSums(journal, options);
    this.#stopListening = [
      tap.listen((step) => this.#onStep(step)),
      manager.pool.on('task.finished', (event) => this.#onFinished(event)),
      manager.pool.events.on({}, (event) => this.#onMonitor(event)),
    ];
    this.#follow();
  }

  /** Where a session works that the page was told of. */
  directoryOf(sessionId: string): string | undefined {
    return this.#directories.get(sessionId);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const stop of this.#stopListening) stop();
    this.#texts[Symbol.dispose]();
  }

  #onStep(step: MachineStep): void {
    this.#texts.flush(step.actor);
    this.#journal.append(this.#reader.read(step) as Omit<RunRecord, 'seq'>);
    if (step.machine === 'session') this.#onSessionStep(step);
    else this.#follow();
  }

  #onSessionStep({ actor, event, context }: MachineStep): void {
    const { directory } = context as { readonly directory: string };
    if (event.type === 'xstate.stop') {
      this.#directories.delete(actor);
      this.#usage.forget(actor);
    } else this.#directories.set(actor, directory);
    const ask = event.type === 'ask.opened' ? (event as unknown as { ask: { id: string; kind: string } }).ask : undefined;
    if (ask?.kind === 'question') void this.#describeQuestion(actor, ask.id, directory).catch(() => undefined);
  }

  /** The machine knows of a question that it is open, and no more: its words are asked for, when they may be shown. */
  async #describeQuestion(actor: string, id: string, directory: string): Promise<void> {
    if (!this.#options.content && !this.#options.asks) return;
    const { questions } = await this.#manager.pool
      .serverOf(actor)
      .snapshot(directory)
      .catch(() => ({ questions: [] }));
    const asked = questions.find((one) => one.id === id);
    if (!asked || this.#closed) return;
    this.#note(actor, 'question.described', { id, questions: questionsOf(asked.questions) } as unknown as Json);
  }

  /** Tells of the server and the stream of the moment; what all of them say comes by `pool.events`. */
  #follow(): void {
    const { monitor, server } = this.#manager.pool;
    if (server !== this.#server) this.#onServer(server);
    if (monitor === this.#monitor) return;
    this.#monitor = monitor;
    this.#recordStream('stream.opened', monitor.state, {});
  }

  #onServer(server: OpencodeServer): void {
    this.#server = server;
    const { version, pid, profile } = server;
    this.#note('server', 'process.started', { version, pid, profile });
    void this.#tellEnd(server);
  }

  async #tellEnd({ pid, exited }: OpencodeServer): Promise<void> {
    const { expected, exitCode, signal } = await exited;
    if (!this.#closed) this.#note('server', 'process.ended', { pid, expected, exitCode: exitCode ?? null, signal: signal ?? null });
  }

  #onFinished({ result }: Extract<PoolEvent, { type: 'task.finished' }>): void {
    this.#note('pool', 'task.finished', resultOf(result));
  }

  #onMonitor(event: MonitorEvent): void {
    if (isStreamEvent(event)) return this.#onStream(event);
    if (event.type === 'server.heartbeat' || event.type === 'other' || event.sessionId === undefined) return;
    if (event.type === 'session.created' && event.data.session.parentId !== undefined)
      this.#roots.set(event.sessionId, this.#rootOf(event.data.session.parentId));
    this.#onServerEvent(this.#rootOf(event.sessionId), event);
  }

  #onServerEvent(actor: string, event: ServerEvent): void {
    // Sessions that no actor of the pool holds are not on the page.
    if (!this.#directories.has(actor)) return;
    if (event.plane === 'stream') return this.#texts.take(actor, event);
    const usage = this.#usage.take(actor, event);
    if (usage) this.#note(actor, 'usage', { ...usage });
    const isOwnStart = event.type === 'session.created' && event.sessionId === actor;
    const payload = isOwnStart ? undefined : noteOf(event, this.#options);
    if (payload !== undefined) this.#note(actor, event.type, payload);
  }

  #rootOf(sessionId: string): string {
    return this.#roots.get(sessionId) ?? sessionId;
  }

  #onStream(event: StreamEvent): void {
    if (event.type === 'stream.dropped') return;
    if (event.type === 'stream.failed') return this.#recordStream(event.type, 'failed', { code: event.error.code });
    const more = event.type === 'stream.gap' ? { reason: event.reason } : { replayed: event.replayed };
    this.#recordStream(
      event.type,
      event.type === 'stream.gap' ? 'reconnecting' : 'live',
      { generation: event.generation, ...more },
      event.generation,
    );
  }

  #recordStream(type: string, path: string, payload: Json, generation?: number): void {
    const { gaps } = this.#manager.pool.snapshot();
    const changes = [{ path: 'gaps', after: gaps }, ...(generation === undefined ? [] : [{ path: 'generation', after: generation }])];
    this.#journal.append({ actor: 'stream', type, path, payload, changes });
  }

  #note(actor: string, type: string, payload: Json): void {
    this.#journal.append({ actor, type, payload });
  }
}

function isStreamEvent(event: MonitorEvent): event is StreamEvent {
  return event.type.startsWith('stream.');
}
