import type { SerializedError, TurnRequest } from '@opencode-manager/core';
import { isManagerError, OpencodeManagerError } from '@opencode-manager/core/errors';
import type { MessageHistory, MessageIds } from '@opencode-manager/core/protocol';
import { classifyTurn, hasUnfinishedTools, type ServerKeeper } from '../recovery/index.ts';
import { isServerLoss } from '../session/failures.ts';
import type { SessionHost } from '../session/session-host.ts';
import type { TurnPlan, TurnReport } from '../session/turn-in-flight.ts';
import type { Outcome, TaskResult } from '../task/types.ts';
import { abortedBeforeStart, abortedMeanwhile } from './pool-errors.ts';
import { assertOffered } from './preflight.ts';
import type { DirectoryUse } from './directory-use.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { PoolSettings } from './settings.ts';
import { resultOfInterruption, resultOfTurn, resultWithoutTurn } from './task-result.ts';
import { turnRequestOf, type Interruption, type TaskRun } from './task-run.ts';

export interface TaskTurnsOptions {
  readonly servers: ServerKeeper;
  readonly sessions: SessionKeeper;
  readonly directories: DirectoryUse;
  readonly settings: PoolSettings;
  readonly messageIds: MessageIds;
  readonly now: () => number;
  readonly onStarted: (run: TaskRun, host: SessionHost) => void;
}

/** Runs the turns of tasks that have a slot: from the checks before a turn to its result, over the loss of a server too. */
export class TaskTurns {
  readonly #options: TaskTurnsOptions;

  constructor(options: TaskTurnsOptions) {
    this.#options = options;
  }

  /**
   * One try of a task, or what is left to do of one whose server was lost. Gives its result; undefined when the server was
   * lost under it: `run.interruption` tells of the turn then. Throws what went wrong before or around a turn.
   */
  run(run: TaskRun): Promise<TaskResult | undefined> {
    if (run.interruption) return this.#goOn(run, run.interruption);
    run.host = undefined;
    return this.#begin(run, run.bound);
  }

  /** The result of a task whose newest turn was interrupted, when it ends for another reason. */
  endInterrupted(run: TaskRun, { report }: Interruption, end: { readonly outcome: Outcome; readonly error: SerializedError }): TaskResult {
    return resultOfInterruption(run, report, end, this.#resultContext());
  }

  withoutTurn(run: TaskRun, outcome: Outcome, error: SerializedError): TaskResult {
    return resultWithoutTurn(run, outcome, error, this.#resultContext());
  }

  /** Sends the turn of a task, in the session given, else in one found for it. */
  async #begin(run: TaskRun, known: SessionHost | undefined, fresh = false): Promise<TaskResult | undefined> {
    const { servers, settings, messageIds } = this.#options;
    const { server } = servers;
    run.attempt += 1;
    run.directory = known?.directory ?? (await this.#directoryOf(run));
    await this.#enter(run, run.directory);
    const request = turnRequestOf(run.task, messageIds, settings);
    await assertOffered(server, run.directory, request, run.calls.signal);
    if (run.abortReason !== undefined) return this.withoutTurn(run, 'aborted', abortedBeforeStart());
    const host = known ?? (await this.#sessionFor(run, run.directory, fresh));
    run.host = host;
    run.calls = new AbortController();
    if (run.abortReason === undefined && !run.finished) return this.#send(run, host, request);
    this.#options.sessions.rest(host);
    return this.withoutTurn(run, 'aborted', abortedBeforeStart());
  }

  /** The task is over: nothing is kept for it any more. */
  leave(run: TaskRun): void {
    const { enteredDirectory } = run;
    run.enteredDirectory = undefined;
    if (enteredDirectory !== undefined) this.#options.directories.leave(enteredDirectory);
  }

  async #enter(run: TaskRun, directory: string): Promise<void> {
    if (run.enteredDirectory === directory) return;
    this.leave(run);
    run.enteredDirectory = directory;
    await this.#options.directories.enter(directory);
  }

  /** The server looks at the directory of a session that it makes; what is known to be a real path need not be looked at twice. */
  async #directoryOf({ task }: TaskRun): Promise<string> {
    const { servers, settings } = this.#options;
    if (task.directory === undefined && !settings.reuse) return servers.server.directory;
    return servers.server.realDirectory(task.directory ?? servers.server.directory);
  }

  #sessionFor(run: TaskRun, directory: string, fresh: boolean): Promise<SessionHost> {
    const { sessions } = this.#options;
    const title = run.task.title ?? run.id;
    return fresh ? sessions.create(directory, title, run.calls.signal) : sessions.sessionFor(directory, title, run.calls.signal);
  }

  async #send(run: TaskRun, host: SessionHost, request: TurnRequest): Promise<TaskResult | undefined> {
    const { servers, sessions, settings, now, onStarted } = this.#options;
    servers.assertThere();
    sessions.reattach(host);
    run.messageId = request.messageId;
    run.startedAtMs = now();
    const turn = host.run(planOf(run, request, settings));
    onStarted(run, host);
    return this.#conclude(run, host, await turn, request);
  }

  async #conclude(run: TaskRun, host: SessionHost, report: TurnReport, request: TurnRequest): Promise<TaskResult | undefined> {
    const { error } = report.finished;
    if (isServerLoss(report.finished)) {
      run.interruption = { host, report, request };
      return undefined;
    }
    this.#options.sessions.rest(host);
    if (error?.code === 'SESSION_ACTOR_FAILED') throw OpencodeManagerError.from(error);
    return resultOfTurn(run, await explained(report, host), this.#resultContext());
  }

  /** The server was lost under a turn, and another one has its messages: they tell what is left to do. */
  async #goOn(run: TaskRun, interruption: Interruption): Promise<TaskResult | undefined> {
    const { host, request } = interruption;
    if (run.abortReason !== undefined)
      return this.endInterrupted(run, interruption, { outcome: 'aborted', error: abortedMeanwhile(run.abortReason) });
    const history = await historyOf(host, run.calls.signal);
    const fate = history ? classifyTurn(history, request) : 'interrupted';
    if (fate === 'finished') return this.#readEnd(run, interruption);
    if (fate === 'interrupted') return this.#retry(run, interruption, history ?? []);
    run.interruption = undefined;
    run.earlier.push({ ...attemptOf(run, interruption), outcome: 'never_started', reverted: false });
    return this.#begin(run, host);
  }

  async #readEnd(run: TaskRun, { host, request }: Interruption): Promise<TaskResult | undefined> {
    run.interruption = undefined;
    return this.#conclude(run, host, await host.resume(planOf(run, request, this.#options.settings)), request);
  }

  async #retry(run: TaskRun, interruption: Interruption, history: readonly MessageHistory[]): Promise<TaskResult | undefined> {
    const { host, report } = interruption;
    if (!this.#mayRetry(run)) return this.#giveUp(run, interruption, report);
    const reverted = await this.#revert(interruption, run.calls.signal);
    // The session belongs to somebody who has its history in mind: no other one takes its place.
    if (!reverted && run.bound) return this.#giveUp(run, interruption, report);
    run.interruption = undefined;
    run.halfChanged ||= !reverted || hasUnfinishedTools(history, interruption.request.messageId);
    run.earlier.push({ ...attemptOf(run, interruption), outcome: 'interrupted', reverted });
    if (!reverted) this.#options.sessions.rest(host);
    return this.#begin(run, reverted ? host : undefined, true);
  }

  /** A task that takes its server with it each time must end some day. */
  #mayRetry({ earlier }: TaskRun): boolean {
    const { retriesInterrupted, restartLimits } = this.#options.settings;
    return retriesInterrupted && earlier.filter(({ outcome }) => outcome === 'interrupted').length < restartLimits.maxRestarts;
  }

  #giveUp(run: TaskRun, interruption: Interruption, { finished }: TurnReport): TaskResult {
    this.#options.sessions.rest(interruption.host);
    return resultOfInterruption(run, interruption.report, finished, this.#resultContext());
  }

  /** False where opencode cannot take a turn back: without snapshots, outside git. */
  async #revert({ host, request }: Interruption, signal: AbortSignal): Promise<boolean> {
    const { server } = this.#options.servers;
    if (!server.snapshots) return false;
    try {
      await server.session(host.id, host.directory).revert(request.messageId, { signal });
      return true;
    } catch (error) {
      // Lost once more: the task is held again, and tries again.
      if (error instanceof OpencodeManagerError && error.code === 'SERVER_EXITED') throw error;
      return false;
    }
  }

  #resultContext() {
    const { now, servers, settings } = this.#options;
    return { now: now(), directory: servers.server.directory, model: settings.model };
  }
}

/** A full disk shows in a turn as a failure of opencode's database. */
async function explained(report: TurnReport, { server }: SessionHost): Promise<TurnReport> {
  const { finished } = report;
  if (finished.outcome !== 'failed' || !finished.error) return report;
  return { ...report, finished: { ...finished, error: await server.explain(finished.error) } };
}

/** Undefined for a session that went with the state directory: what became of its turn cannot be told any more. */
async function historyOf({ operations }: SessionHost, signal: AbortSignal): Promise<readonly MessageHistory[] | undefined> {
  try {
    return await operations.history({ signal });
  } catch (error) {
    if (isManagerError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function attemptOf({ attempt }: TaskRun, { host, request }: Interruption) {
  return { attempt, session_id: host.id, message_id: request.messageId };
}

function planOf({ id, task }: TaskRun, request: TurnRequest, { taskTimeoutMs, permissions }: PoolSettings): TurnPlan {
  return { taskId: id, request, timeoutMs: task.timeoutMs ?? taskTimeoutMs, policy: task.permissions ?? permissions };
}
