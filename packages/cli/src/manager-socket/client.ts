import { isManagerError, OpencodeManagerError, runSocketPath, type RunRecord } from '@opencode-manager/core';
import {
  abortWith,
  createAgent,
  startExchange,
  WholeAnswer,
  type Agent,
  type AnswerHead,
  type AnswerReader,
  type Exchange,
} from '@opencode-manager/core/http';
import { readErrorBody, type Ends, type Items, type Results } from './answers.ts';
import { ItemReader } from './item-reader.ts';
import { protocolHeader, protocolMajor, requestOf, type Method, type ParametersOf } from './routes.ts';

interface CallOptions {
  /** Aborting closes the connection, which aborts the call in the manager too. */
  readonly signal?: AbortSignal;
}

/** A running manager, seen from another process. Each call has a connection of its own. */
export interface ManagerClient {
  readonly run: RunRecord;
  /** @throws OpencodeManagerError what the manager answered, `CONNECTION_LOST`, `REQUEST_ABORTED`, `MANAGER_INCOMPATIBLE` */
  call<Name extends keyof Results>(method: Name, parameters: ParametersOf<Name>, options?: CallOptions): Promise<Results[Name]>;
  /** The items of a method that streams, and what it ends with. Leaving the loop closes the connection. */
  stream<Name extends keyof Items>(
    method: Name,
    parameters: ParametersOf<Name>,
    options?: CallOptions,
  ): AsyncGenerator<Items[Name], Ends[Name]>;
}

/** The client of the manager with this record. Nothing is asked yet. */
export function createClient(run: RunRecord): ManagerClient {
  return {
    run,
    async call(method, parameters, { signal } = {}) {
      const answer = new WholeAnswer();
      await using connection = connect(run, method);
      const onHead = (head: AnswerHead) => {
        checkVersion(run, head);
        answer.onHead(head);
      };
      const reader = { onHead, onBytes: (bytes: Buffer) => answer.onBytes(bytes) };
      await connection.over(connection.send(method, parameters, reader), signal);
      if (answer.head.statusCode >= 400) throw refusalOf(run, answer);
      return JSON.parse(answer.text()) as Results[typeof method];
    },
    async *stream(method, parameters, { signal } = {}) {
      const reader = new ItemReader((head) => checkVersion(run, head));
      await using connection = connect(run, method);
      const exchange = connection.send(method, parameters, reader);
      const stopListening = abortWith(exchange, signal);
      try {
        yield* reader.items(exchange) as AsyncGenerator<Items[typeof method], void>;
      } catch (error) {
        throw connection.explain(error, signal);
      } finally {
        stopListening();
      }
      if (reader.refusal.head.statusCode >= 400) throw refusalOf(run, reader.refusal);
      if (!reader.end) throw lost(run);
      return reader.end.data as Ends[typeof method];
    },
  };
}

interface Connection extends AsyncDisposable {
  send<Name extends Method>(method: Name, parameters: ParametersOf<Name>, reader: AnswerReader): Exchange;
  /** Waits for the whole answer. */
  over(exchange: Exchange, signal: AbortSignal | undefined): Promise<void>;
  /** What an exchange has ended with, in the words of this client. */
  explain(error: unknown, signal: AbortSignal | undefined): OpencodeManagerError;
}

function connect(run: RunRecord, label: Method): Connection {
  const agent: Agent = createAgent({ connections: 1, connect: { socketPath: runSocketPath(run.runId), timeout: 5000 } });
  let hasAnswered = false;
  const explain = (error: unknown, signal: AbortSignal | undefined) => {
    if (signal?.aborted) return new OpencodeManagerError('REQUEST_ABORTED', `${label}: aborted.`, { cause: error });
    return isManagerError(error) ? error : connectionError(run, error as NodeJS.ErrnoException, hasAnswered);
  };
  return {
    send(method, parameters, reader) {
      const { verb, path, body } = requestOf(method, parameters);
      const headers = { accept: 'application/json, text/event-stream', ...(body !== null && { 'content-type': 'application/json' }) };
      const onHead = (head: AnswerHead) => {
        hasAnswered = true;
        reader.onHead(head);
      };
      const request = { origin: 'http://ocm', path, method: verb, headers, body };
      return startExchange(agent, request, { onHead, onBytes: (bytes) => reader.onBytes(bytes) });
    },
    async over(exchange, signal) {
      const stopListening = abortWith(exchange, signal);
      try {
        await exchange.over;
      } catch (error) {
        throw explain(error, signal);
      } finally {
        stopListening();
      }
    },
    explain,
    [Symbol.asyncDispose]: () => agent.destroy().catch(() => undefined),
  };
}

/** Whoever answers without the version, or with another one, is not understood. */
function checkVersion(run: RunRecord, { headers }: AnswerHead): void {
  const spoken = headers[protocolHeader];
  if (spoken !== String(protocolMajor)) throw incompatible(run, typeof spoken === 'string' ? `version ${spoken}` : 'another protocol');
}

function incompatible({ managerPid }: RunRecord, spoken: string, cause?: unknown): OpencodeManagerError {
  const message = `The manager ${managerPid} speaks ${spoken} on its socket, and this ocm speaks version ${protocolMajor}. Use the ocm that started it.`;
  return new OpencodeManagerError('MANAGER_INCOMPATIBLE', message, { details: { managerPid, expected: protocolMajor }, cause });
}

function refusalOf(run: RunRecord, answer: WholeAnswer): OpencodeManagerError {
  const error = readErrorBody(answer.text());
  return error ? OpencodeManagerError.from(error) : incompatible(run, `something else (status ${answer.head.statusCode})`);
}

function connectionError(run: RunRecord, error: NodeJS.ErrnoException, hasAnswered: boolean): OpencodeManagerError {
  const { code = '' } = error;
  // An answer that does not even begin as HTTP: the manager is older. One that breaks off in the middle is its end.
  if (error.name === 'HTTPParserError' && !hasAnswered) return incompatible(run, 'another protocol', error);
  if (code !== 'ENOENT' && code !== 'ECONNREFUSED') return lost(run, error);
  const message = `The process ${run.managerPid} owns a server, and no socket of it can be opened (${code}). It may be starting or stopping, or be a program of yours; ocm serve and ocm run open one.`;
  return new OpencodeManagerError('MANAGER_NOT_FOUND', message, { cause: error });
}

function lost({ managerPid }: RunRecord, cause?: unknown): OpencodeManagerError {
  return new OpencodeManagerError(
    'CONNECTION_LOST',
    `The manager ${managerPid} closed the connection before it had answered; it is stopping or gone.`,
    { cause },
  );
}
