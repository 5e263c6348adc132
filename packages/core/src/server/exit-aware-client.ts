import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { HttpClient } from '../http/index.ts';
import { explainFullDisk } from '../isolation/index.ts';
import { lacksDescriptors } from '../process/table.ts';
import type { ServerProcess } from './server-process.ts';

/** A connection breaks a little before the end of its process is seen; so long is waited for that, in milliseconds. */
const exitGraceMs = 250;

/**
 * The client of a server whose end explains lost connections: `SERVER_EXITED` with the output's tail in place of
 * `CONNECTION_LOST`. A full disk explains internal errors (`STATE_DIRECTORY_FULL` in place of `SERVER_ERROR`), the limits of this
 * process connections that were never made (`RESOURCES_EXHAUSTED` in place of `CONNECTION_LOST`).
 */
export function exitAwareClient(client: HttpClient, server: ServerProcess, stateDir: string): HttpClient {
  return {
    async call(request, options) {
      try {
        return await client.call(request, options);
      } catch (error) {
        const explained = await explainFullDisk(error, stateDir);
        if (isManagerError(explained, 'SERVER_ERROR')) throw (await explainLimits(explained, server)) ?? explained;
        if (isManagerError(explained, 'CONNECTION_LOST')) throw (await explain(explained, server)) ?? explained;
        throw explained;
      }
    },
    close: () => client.close(),
  };
}

/** opencode says `Unexpected server error` when it could open no file and start no tool. */
async function explainLimits(error: OpencodeManagerError, { pid }: ServerProcess): Promise<OpencodeManagerError | undefined> {
  if (!(await lacksDescriptors(pid))) return undefined;
  return new OpencodeManagerError('RESOURCES_EXHAUSTED', `The opencode server has no more file descriptors (ulimit -n): ${error.message}`, {
    details: { errno: 'EMFILE', pid },
    cause: error,
  });
}

async function explain(error: OpencodeManagerError, server: ServerProcess): Promise<OpencodeManagerError | undefined> {
  const grace = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => grace.resolve(undefined), exitGraceMs);
  const exit = server.exit() ?? (await Promise.race([server.exited, grace.promise]));
  clearTimeout(timer);
  if (!exit) return undefined;
  const how = exit.expected ? 'was stopped' : `ended (${exit.signal ?? `exit code ${exit.exitCode}`})`;
  return new OpencodeManagerError('SERVER_EXITED', `The opencode server ${how}; ${error.message}`, {
    details: { exitCode: exit.exitCode, signal: exit.signal, expected: exit.expected },
    output: server.output(),
    cause: error,
  });
}
