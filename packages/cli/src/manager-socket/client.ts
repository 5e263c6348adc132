import { stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { listRuns, OpencodeManagerError, runSocketPath, type RunRecord } from '@opencode-manager/core';
import { readJsonLines, writeJsonLine } from './json-lines.ts';
import { parseReply, type Items, type Method, type ParametersOf, type Reply, type Results } from './protocol.ts';

interface CallOptions {
  /** Aborting closes the connection, which aborts the call in the manager too. */
  readonly signal?: AbortSignal;
}

/** A running manager, seen from another process. Each call has a connection of its own. */
export interface ManagerClient {
  readonly run: RunRecord;
  /** @throws OpencodeManagerError what the manager answered, `CONNECTION_LOST`, `REQUEST_ABORTED` */
  call<Name extends Method>(method: Name, params: ParametersOf<Name>, options?: CallOptions): Promise<Results[Name]>;
  /** The items of a method that streams. Leaving the loop closes the connection. */
  stream<Name extends keyof Items>(method: Name, params: ParametersOf<Name>, options?: CallOptions): AsyncGenerator<Items[Name], void>;
}

/**
 * Finds the running manager that is meant: the one with this pid, or the only one.
 * @throws OpencodeManagerError `MANAGER_NOT_FOUND`, `USAGE` when several run and none was named
 *
 * @example
 * const manager = await findManager()
 * console.log(await manager.call('sessions', {}))
 */
export async function findManager(pid?: number): Promise<ManagerClient> {
  const runs = await listRuns();
  if (pid !== undefined) {
    const named = runs.findLast((run) => run.managerPid === pid);
    if (named) return createClient(named);
    throw notFound(`No manager runs under the process id ${pid}`, runs);
  }
  const reachable = await withSockets(runs);
  if (reachable.length > 1) throw severalManagers(reachable);
  if (reachable[0]) return createClient(reachable[0]);
  throw notFound('No manager is running', []);
}

/** Programs that use the library own servers too, and have no socket: they are never meant unless named. */
async function withSockets(runs: readonly RunRecord[]): Promise<RunRecord[]> {
  const found = await Promise.all(runs.map(({ runId }) => stat(runSocketPath(runId)).catch(() => undefined)));
  return runs.filter((_, index) => found[index]?.isSocket());
}

function notFound(what: string, runs: readonly RunRecord[]): OpencodeManagerError {
  const others = runs.length > 0 ? `\nThere are:\n${listing(runs)}` : '';
  return new OpencodeManagerError('MANAGER_NOT_FOUND', `${what}. Start one with: ocm serve --directory DIR${others}`);
}

function severalManagers(runs: readonly RunRecord[]): OpencodeManagerError {
  return new OpencodeManagerError('USAGE', `${runs.length} managers are running; name one with --manager PID:\n${listing(runs)}`, {
    details: { managers: runs.map(({ managerPid }) => managerPid) },
  });
}

function listing(runs: readonly RunRecord[]): string {
  return runs.map(({ managerPid, directory, startedAt }) => `  ${managerPid}  ${directory}  since ${startedAt}`).join('\n');
}

function createClient(run: RunRecord): ManagerClient {
  return {
    run,
    async call(method, params, options = {}) {
      for await (const reply of exchange(run, method, params, options))
        if (reply.type === 'result') return reply.value as Results[typeof method];
      throw lost(run);
    },
    async *stream(method, params, options = {}) {
      for await (const reply of exchange(run, method, params, options)) {
        if (reply.type === 'item') yield reply.value as Items[typeof method];
        else return;
      }
      throw lost(run);
    },
  };
}

async function* exchange(
  run: RunRecord,
  method: Method,
  params: unknown,
  { signal }: CallOptions,
): AsyncGenerator<Exclude<Reply, { type: 'error' }>> {
  const socket = await open(run);
  const close = () => socket.destroy();
  signal?.addEventListener('abort', close, { once: true });
  try {
    if (signal?.aborted) return;
    await writeJsonLine(socket, { id: 1, method, params });
    for await (const value of readJsonLines(socket)) {
      const reply = parseReply(value);
      if (!reply)
        throw new OpencodeManagerError(
          'RESPONSE_INVALID',
          `The manager ${run.managerPid} answered something that is no reply. Use an ocm of the same version.`,
        );
      if (reply.type === 'error') throw OpencodeManagerError.from(reply.error);
      yield reply;
    }
  } catch (error) {
    if (signal?.aborted) throw new OpencodeManagerError('REQUEST_ABORTED', `${method}: aborted.`, { cause: error });
    if (error instanceof OpencodeManagerError) throw error;
    throw lost(run, error);
  } finally {
    signal?.removeEventListener('abort', close);
    socket.destroy();
  }
}

function open(run: RunRecord): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(runSocketPath(run.runId));
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? 'MANAGER_NOT_FOUND' : 'CONNECTION_LOST';
      reject(
        new OpencodeManagerError(
          code,
          `The process ${run.managerPid} owns a server, and no socket of it can be opened (${error.code}). It may be starting or stopping, or be a program of yours; ocm serve and ocm run open one.`,
          { cause: error },
        ),
      );
    });
  });
}

function lost(run: RunRecord, cause?: unknown): OpencodeManagerError {
  return new OpencodeManagerError(
    'CONNECTION_LOST',
    `The manager ${run.managerPid} closed the connection before it had answered; it is stopping or gone.`,
    { cause },
  );
}
