import type { TurnRequest } from '@opencode-manager/core';
import { isManagerError, OpencodeManagerError, toManagerError } from '@opencode-manager/core/errors';
import type { MessageIds } from '@opencode-manager/core/protocol';
import { isInfrastructureFault, type Assignment, type PoolMachineEvent } from '../machines/index.ts';
import type { DirectoryUse } from '../pool/directory-use.ts';
import type { SessionStore } from '../pool/session-store.ts';
import type { PoolSettings } from '../pool/settings.ts';
import type { Clock, ServerPort } from '../ports/index.ts';
import { isServerLoss } from '../session/failures.ts';
import type { SessionHost } from '../session/session-host.ts';
import type { TurnPlan, TurnReport } from '../session/turn-in-flight.ts';
import { classifyTurn, type ServerSupervisor, type TurnFate } from '../supervision/index.ts';
import { furtherRequest, unsentEnd, verdictOn, type TurnEnd } from './further-turn.ts';
import { ranOn, turnRequestOf, type LastTurn, type LiveTask } from './live-task.ts';
import { assertOffered } from './preflight.ts';
import type { TaskWorkspaces } from './task-workspaces.ts';
import { spentBrokenOff } from './broken-off.ts';
import { turnPlanOf } from './turn-plan.ts';

export interface TaskStepsOptions {
  readonly supervisor: ServerSupervisor;
  readonly sessions: SessionStore;
  readonly directories: DirectoryUse;
  readonly workspaces: TaskWorkspaces;
  readonly settings: PoolSettings;
  readonly messageIds: MessageIds;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onStarted: (live: LiveTask, host: SessionHost) => void;
}

type Fact = Extract<PoolMachineEvent, { type: 'turn.ended' | 'attempt.failed' | 'turn.judged' }>;

/** Carries out the steps that the pool machine assigns to tasks, and gives what came of each as a fact. Never rejects. */
export class TaskSteps {
  readonly #options: TaskStepsOptions;

  constructor(options: TaskStepsOptions) {
    this.#options = options;
  }

  async take(live: LiveTask, assignment: Assignment): Promise<Fact> {
    const { supervisor, clock, random } = this.#options;
    const { generation } = supervisor.context;
    live.calls = new AbortController();
    live.attempt = assignment.attempt;
    try {
      return await this.#take(live, assignment, live.calls.signal);
    } catch (error) {
      const facts = { taskId: live.id, generation, atMs: clock.now(), jitter: 2 * random() - 1 };
      return { type: 'attempt.failed', error: toManagerError(error).toJSON(), ...facts };
    } finally {
      live.calls = undefined;
    }
  }

  /** The task is over: nothing is kept for it any more, but its place when it is told to stay. */
  leave(live: LiveTask, keepsPlace = false): void {
    const { enteredDirectory } = live;
    live.enteredDirectory = undefined;
    if (enteredDirectory !== undefined) this.#options.directories.leave(enteredDirectory);
    this.#layDown(live, live.sessionId, keepsPlace);
  }

  /**
   * For a task that is over: takes what its turn did whose server was lost for good. Undefined when there is nothing to take, or the server
   * may still work on it.
   */
  takeLate(live: LiveTask): Promise<unknown> | undefined {
    const { supervisor, workspaces } = this.#options;
    const { last } = live;
    if (!last || !workspaces.isUntaken(live) || last.report?.finished.quarantined) return undefined;
    return workspaces.take(live, supervisor.server, this.#sessionsOf(last.sessionId));
  }

  /** With its sub-agents. */
  #sessionsOf(id: string): readonly string[] {
    return [id, ...(this.#options.sessions.registry.get(id)?.children ?? [])];
  }

  /** A session of the task that it needs no more, with the workspace that the session has. */
  #layDown(live: LiveTask, sessionId: string | undefined, keepsPlace = false): void {
    const { sessions, workspaces } = this.#options;
    const host = sessionId === undefined ? undefined : sessions.registry.get(sessionId);
    if (host && (keepsPlace || live.workspace?.directory === host.directory)) sessions.retire(host);
    else if (host) sessions.rest(host);
    workspaces.leave(live, keepsPlace);
  }

  #take(live: LiveTask, { step }: Assignment, signal: AbortSignal): Promise<Fact> {
    if (step === 'judge') live.last ??= this.#lastOf(live);
    const { last } = live;
    if (step === 'judge' && last) return this.#judge(live, last, signal);
    if (step === 'resume' && last) return this.#resume(live, last);
    if (last && step === 'repeat') return this.#repeat(live, last, signal);
    if (last && step === 'retry') this.#leaveBehind(live, last);
    live.last = undefined;
    return this.#begin(live, live.leased, signal, step === 'retry');
  }

  /** A turn that was sent before the pool was there, as if its server had just been lost. */
  #lastOf(live: LiveTask): LastTurn | undefined {
    const { sent, attempt } = live;
    if (!sent) return undefined;
    const { supervisor, settings, messageIds } = this.#options;
    const { sessionId, directory, messageId } = sent;
    live.directory = directory;
    live.sessionId = sessionId;
    live.messageId = messageId;
    live.opencode = ranOn(supervisor.server);
    const request = { ...turnRequestOf(live.task, { directory, server: supervisor.server }, messageIds, settings), messageId };
    return { attempt, sessionId, directory, plan: this.#planOf(live, request), report: undefined };
  }

  /** Reads what a turn left whose server was lost: its messages tell what became of it. */
  async #judge(live: LiveTask, { sessionId, directory, plan, report }: LastTurn, signal: AbortSignal): Promise<Fact> {
    const { supervisor, workspaces } = this.#options;
    const { server } = supervisor;
    await workspaces.meet(live, server);
    const session = server.session(sessionId, directory);
    let fate: TurnFate;
    try {
      const history = await session.history({ signal });
      fate = classifyTurn(history, plan.request);
      // Nobody has seen it.
      const isUnseen = fate === 'interrupted' && !report;
      const { prices } = this.#options.settings;
      if (isUnseen) live.brokenOff = await spentBrokenOff({ server, session, plan, history, prices }, { signal });
    } catch (error) {
      // A session that went with the state directory: what became of its turn cannot be told any more.
      if (!isManagerError(error, 'NOT_FOUND')) throw error;
      fate = 'interrupted';
    }
    // What it had done until then; with another attempt, what the first one left.
    if (fate === 'interrupted' && live.workspace) await workspaces.take(live, server, this.#sessionsOf(sessionId));
    else if (fate === 'interrupted' && !report) live.halfChanged = true;
    return { type: 'turn.judged', taskId: live.id, fate };
  }

  async #resume(live: LiveTask, last: LastTurn): Promise<Fact> {
    // An actor may be made, which XState does not like within the action that asks for this.
    await Promise.resolve();
    const { supervisor } = this.#options;
    const host = this.#hostOf(last);
    const on = { server: host.server, generation: supervisor.context.generation };
    return this.#conclude(live, host, { ...on, plan: last.plan, report: await host.resume(last.plan) });
  }

  #repeat(live: LiveTask, last: LastTurn, signal: AbortSignal): Promise<Fact> {
    live.last = undefined;
    live.earlier.push({ ...attemptOf(last), outcome: 'never_started' });
    return this.#begin(live, this.#hostOf(last), signal);
  }

  #leaveBehind(live: LiveTask, last: LastTurn): void {
    const taken = live.workspace?.result;
    live.earlier.push({ ...attemptOf(last), outcome: 'interrupted', ...(taken && { ref: taken.ref, patch: taken.patch }) });
    live.halfChanged ||= live.workspace === undefined;
    this.#layDown(live, last.sessionId);
  }

  /** The session of an earlier turn, on the present server. */
  #hostOf({ sessionId, directory }: Pick<LastTurn, 'sessionId' | 'directory'>): SessionHost {
    const { sessions, supervisor } = this.#options;
    const { server } = supervisor;
    const host = sessions.registry.get(sessionId) ?? sessions.adopt(server, server.session(sessionId, directory));
    sessions.reattach(host, server);
    return host;
  }

  /** Sends the turn of a task, in the session given, else in one found for it. */
  async #begin(live: LiveTask, known: SessionHost | undefined, signal: AbortSignal, fresh = false): Promise<Fact> {
    live.turns = [];
    let ready: ReadyTurn;
    try {
      ready = await this.#announce(live, await this.#prepare(live, known, signal, fresh), signal);
    } catch (error) {
      // Nothing was sent: another attempt begins in another place, or goes on where this one was to.
      this.#options.workspaces.leave(live, live.continues !== undefined);
      throw error;
    }
    return this.#send(live, ready);
  }

  async #prepare(live: LiveTask, given: SessionHost | undefined, signal: AbortSignal, fresh: boolean): Promise<ReadyTurn> {
    const { supervisor, settings, messageIds, sessions, workspaces } = this.#options;
    const { server } = supervisor;
    const known = live.continues ? await this.#continued(live, live.continues, signal) : given;
    const directory = known?.directory ?? (await this.#placeOf(live, server, signal));
    await workspaces.meet(live, server);
    signal.throwIfAborted();
    live.directory = directory;
    if (!live.workspace) await this.#enter(live, directory);
    const request = turnRequestOf(live.task, { directory, server }, messageIds, settings);
    await this.#check(server, directory, request, signal);
    signal.throwIfAborted();
    const title = live.task.title ?? live.id;
    const host =
      known ?? (await (fresh ? sessions.create(server, directory, title, signal) : sessions.sessionFor(server, directory, title, signal)));
    live.sessionId = host.id;
    try {
      signal.throwIfAborted();
      supervisor.assertThere();
    } catch (error) {
      if (live.workspace) sessions.retire(host);
      else sessions.rest(host);
      throw error;
    }
    return { host, request };
  }

  /** The session that a task goes on in, with its place. @throws `NOT_FOUND`, `WORKSPACE_GONE`, and as the look at a directory does */
  async #continued(
    live: LiveTask,
    { sessionId, directory }: NonNullable<LiveTask['continues']>,
    signal: AbortSignal,
  ): Promise<SessionHost> {
    const { supervisor, sessions, workspaces } = this.#options;
    const { server } = supervisor;
    if (workspaces.isFor(live)) await workspaces.reopen(live, await this.#directoryOf(live, server), server, signal);
    else await server.realDirectory(directory);
    signal.throwIfAborted();
    await server.session(sessionId, directory).history({ signal });
    const host = sessions.registry.get(sessionId);
    const isLost = host && (sessions.isQuarantined(host) || host.state === 'dead');
    if (isLost) throw new OpencodeManagerError('NOT_FOUND', `Session ${sessionId} takes no turn any more. Nothing was sent.`);
    return this.#hostOf({ sessionId, directory });
  }

  /** Tells who wants to know it what is about to be sent, and waits for them. The messages of a session are told apart by their ids, which grow. */
  async #announce(live: LiveTask, { host, request: checked }: ReadyTurn, signal: AbortSignal): Promise<ReadyTurn> {
    const { messageIds, sessions } = this.#options;
    const request = { ...checked, messageId: messageIds.next() };
    if (!live.beforeSend) return { host, request };
    try {
      await this.#tell(live, { host, request }, signal);
    } catch (error) {
      if (live.workspace) sessions.retire(host);
      else sessions.rest(host);
      throw error;
    }
    return { host, request };
  }

  async #tell(live: LiveTask, { host, request }: ReadyTurn, signal: AbortSignal | undefined): Promise<void> {
    const { id: sessionId, directory } = host;
    await live.beforeSend?.({ taskId: live.id, attempt: live.attempt, sessionId, directory, messageId: request.messageId });
    signal?.throwIfAborted();
    this.#options.supervisor.assertThere();
  }

  /** A further turn of the attempt, in the session of its last one. */
  async #goOn(live: LiveTask, host: SessionHost, turn: TurnOnServer, prompt: string): Promise<Fact> {
    const request = furtherRequest(turn.plan.request, prompt, this.#options.messageIds.next());
    const signal = live.calls?.signal;
    try {
      signal?.throwIfAborted();
      await this.#tell(live, { host, request }, signal);
    } catch (error) {
      return this.#end(live, host, turn, unsentEnd(error, signal));
    }
    live.turns = [...live.turns, turn.report];
    return this.#send(live, { host, request });
  }

  async #enter(live: LiveTask, directory: string): Promise<void> {
    const { directories } = this.#options;
    if (live.enteredDirectory === directory) return;
    if (live.enteredDirectory !== undefined) directories.leave(live.enteredDirectory);
    live.enteredDirectory = directory;
    await directories.enter(directory);
  }

  /** Where the attempt works: in a workspace of its own when it is to have one, which no earlier attempt has had. */
  #placeOf(live: LiveTask, server: ServerPort, signal: AbortSignal): Promise<string> {
    const { workspaces } = this.#options;
    workspaces.leave(live);
    return workspaces.isFor(live) ? this.#acquire(live, server, signal) : this.#directoryOf(live, server);
  }

  async #acquire(live: LiveTask, server: ServerPort, signal: AbortSignal): Promise<string> {
    const directory = await this.#directoryOf(live, server);
    signal.throwIfAborted();
    return this.#options.workspaces.acquire(live, directory, server, signal);
  }

  /** The server looks at the directory of a session that it makes; what is known to be a real path need not be looked at twice. */
  async #directoryOf({ task }: LiveTask, server: ServerPort): Promise<string> {
    if (task.directory === undefined && !this.#options.settings.reuse) return server.directory;
    return server.realDirectory(task.directory ?? server.directory);
  }

  async #check(server: ServerPort, directory: string, request: TurnRequest, signal: AbortSignal): Promise<void> {
    const { kind, model, agent } = request;
    const command = kind === 'command' ? request.name : undefined;
    const names = {
      kind,
      ...(model !== undefined && { model }),
      ...(agent !== undefined && { agent }),
      ...(command !== undefined && { command }),
    };
    const read = { signal, withoutCommands: command === undefined };
    if (model !== undefined || agent !== undefined || command !== undefined)
      return assertOffered(await server.catalogue(directory, read), names);
    if (kind === 'shell') return;
    // What the server's own directory offers, it offers everywhere; only a directory with a configuration of its own may offer more.
    const offered = await server.catalogue(server.directory, read).catch(() => undefined);
    signal.throwIfAborted();
    if (!offered) return;
    try {
      assertOffered(offered, names);
    } catch (error) {
      if (directory === server.directory) throw error;
      assertOffered(await server.catalogue(directory, read), names);
    }
  }

  async #send(live: LiveTask, { host, request }: ReadyTurn): Promise<Fact> {
    const { supervisor, sessions, workspaces, clock, onStarted } = this.#options;
    sessions.reattach(host, supervisor.server);
    // Noted now: a session goes over to the next server as soon as its turn is over.
    const on = { server: host.server, generation: supervisor.context.generation };
    const told = workspaces.meet(live, host.server);
    if (told) await told;
    const isFirst = live.turns.length === 0;
    if (isFirst) live.startedAtMs = clock.now();
    const plan = this.#planOf(live, request);
    const turn = host.run(plan);
    // Present unless the session takes no turn: then nothing was sent.
    live.messageId = host.turn?.messageId;
    live.opencode = ranOn(host.server);
    if (isFirst) onStarted(live, host);
    return this.#conclude(live, host, { ...on, plan, report: await turn });
  }

  #planOf(live: LiveTask, request: TurnRequest): TurnPlan {
    return turnPlanOf(live, request, { settings: this.#options.settings, nowMs: this.#options.clock.now() });
  }

  /** What a turn that is over means for its attempt: another turn, or its end. */
  async #conclude(live: LiveTask, host: SessionHost, turn: TurnOnServer): Promise<Fact> {
    const { server, plan, report } = turn;
    const { workspaces } = this.#options;
    const { outcome, error, quarantined } = report.finished;
    live.last = { attempt: live.attempt, sessionId: host.id, directory: host.directory, plan, report };
    // What the server may still work on has no result yet.
    if (quarantined) workspaces.hold(live);
    else if (report.summary.mayGoOn) workspaces.hold(live, 'a tool that was broken off may still run in the server');
    const verdict = await verdictOn(live, report);
    if (verdict && 'prompt' in verdict) return this.#goOn(live, host, turn, verdict.prompt);
    if (verdict) return this.#end(live, host, turn, verdict);
    // A full disk shows in a turn as a failure of opencode's database.
    return this.#end(live, host, turn, { outcome, error: outcome === 'failed' && error ? await server.explain(error) : error });
  }

  /** The attempt is over: what it did is taken. */
  async #end(live: LiveTask, host: SessionHost, { server, generation, report }: TurnOnServer, end: TurnEnd): Promise<Fact> {
    const { clock, random, workspaces } = this.#options;
    const { quarantined, resetAtMs, finalMessageId } = report.finished;
    const isTaken = live.workspace && !live.workspace.isHeld && !isServerLoss(end);
    const notTaken = isTaken ? await workspaces.take(live, server, this.#sessionsOf(host.id)) : undefined;
    return {
      type: 'turn.ended',
      taskId: live.id,
      ...end,
      quarantined,
      sent: finalMessageId !== null || !isInfrastructureFault(end.error),
      resetAtMs,
      ...(notTaken && { notTaken }),
      generation,
      atMs: clock.now(),
      jitter: 2 * random() - 1,
    };
  }
}

interface ReadyTurn {
  readonly host: SessionHost;
  readonly request: TurnRequest;
}

interface TurnOnServer {
  readonly server: ServerPort;
  readonly generation: number;
  readonly plan: TurnPlan;
  readonly report: TurnReport;
}

function attemptOf({ attempt, sessionId, plan, report }: LastTurn) {
  return { attempt, session_id: sessionId, message_id: plan.request.messageId, model_calls: report?.summary.modelCalls ?? 0 };
}
