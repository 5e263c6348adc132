import type { Catalogue, OpencodeServer, SessionOperations } from '@opencode-manager/core';
import type { AskFacts, DirectoryFacts, StatusFacts } from '@opencode-manager/core/protocol';
import type { Process } from '../opencode/process.ts';
import type { Surroundings } from '../opencode/surroundings.ts';
import type { AskAnswer, PortCall, SerializedError, ServerPort, SessionPort } from '../ports.ts';
import { ActivityMemory } from './activity.ts';
import { createSessionPort, type SessionLink } from './session-port.ts';
import type { Requests } from './requests.ts';

/** What a port needs of the world besides what all share. */
export interface ServerLink {
  readonly world: Surroundings;
  readonly requests: Requests;
  /** Starts another process on the same state. */
  start(): Promise<Process>;
  /** All processes on the state. */
  readonly processes: readonly Process[];
}

const ports = new WeakMap<object, Process>();

/** The process behind a port. */
export function processOf(port: ServerPort): Process {
  return ports.get(port)!;
}

/** Directories of a world. Any other does not exist. */
export const directories = ['/srv/main', '/srv/one', '/srv/two', '/srv/three', '/srv/four'] as const;

/** One process of the simulated server, as the pool's hosts see it. */
export function createServerPort(link: ServerLink, process: Process): ServerPort {
  const activity = new ActivityMemory(link.world.behaviour.retryShownAfterMs);
  const port: ServerPort = {
    handle: handleOf({ ...link, process, activity }),
    pid: 1000 + process.number,
    url: urlOf(process),
    version: link.world.behaviour.version,
    protocol: link.world.plan.protocol,
    directory: directories[0],
    snapshots: link.world.plan.pool.snapshots ?? false,
    takesPromptsBack: !link.world.behaviour.storesPromptsAtOnce,
    exited: process.exited.promise,
    output: () => `output of ${process.name}`,
    onUntoldEnd: () => () => undefined,
    residentBytes: () => Promise.resolve(process.state === 'ended' ? 0 : process.rssBytes),
    realDirectory: (directory) => Promise.resolve(directory).then((wanted) => existing(link.world, wanted)),
    checkDirectory: (directory) => Promise.resolve(directory).then((wanted) => existing(link.world, wanted)),
    fileUrl: (directory, path) => new URL(path, `file://${directory}/`).href,
    explain: (error: SerializedError) => Promise.resolve(error),
    redact: (value) => ({ value, redacted: 0 }),
    ...requestsOf({ ...link, process, activity }),
    ...lifeOf(link, process),
  };
  ports.set(port, process);
  return port;
}

/** What callers of a pool are handed: as much of it as the host of a run uses. */
function handleOf(link: SessionLink): OpencodeServer {
  const { world, process } = link;
  const deleteSession = (id: string) => createSessionPort(link, id, directories[0]).delete();
  const handle: HandleOfRuns = {
    pid: 1000 + process.number,
    url: urlOf(process),
    version: world.behaviour.version,
    directory: directories[0],
    deleteSession,
    operations: (id) => ({ delete: () => deleteSession(id) }),
  };
  return handle as OpencodeServer;
}

interface HandleOfRuns extends Pick<OpencodeServer, 'pid' | 'url' | 'version' | 'directory' | 'deleteSession'> {
  readonly operations: (sessionId: string) => Pick<SessionOperations, 'delete'>;
}

const urlOf = ({ number }: Process): string => `http://127.0.0.1:${4000 + number}`;

/** Below it every directory exists: a source of workspaces makes and removes them. */
const places = '/srv/places/';

function existing(world: Surroundings, directory: string): string {
  if (directory.startsWith(places) || (directories as readonly string[]).includes(directory)) return directory;
  throw world.error('DIRECTORY_MISSING', `directory: ${directory} does not exist. Nothing was sent.`);
}

type Asking = Pick<
  ServerPort,
  'health' | 'createSession' | 'session' | 'read' | 'catalogue' | 'disposeDirectory' | 'setToolVariables' | 'answer' | 'endTools'
>;

function requestsOf(link: SessionLink): Asking {
  const { world, requests, process } = link;
  const { name } = process;
  const session = (id: string, directory: string): SessionPort => createSessionPort(link, id, directory);
  return {
    session,
    async health(options) {
      try {
        await requests.send<void>(process, `${name} health`, (answer) => answer(), { ...options, isSafe: true });
        process.probed(true);
      } catch (error) {
        process.probed(false);
        throw error;
      }
    },
    async createSession({ directory, ...call }) {
      const create = (answer: (id: string) => void) => {
        if (world.isDiskFull()) {
          world.count('disk-full');
          throw world.error('STATE_DIRECTORY_FULL', 'The disk of the state directory is full. Nothing was sent.');
        }
        const { id } = world.storage.create(existing(world, directory));
        world.tell(name, `${id} created`);
        world.hit('created');
        answer(id);
      };
      return session(await requests.send(process, `${name} create`, create, call), directory);
    },
    read: (directory, options) => readDirectory(link, directory, options),
    catalogue: (directory, options) =>
      requests.send<Catalogue>(process, `${name} catalogue ${directory}`, (answer) => answer(catalogue), options),
    disposeDirectory: async (directory) =>
      world.behaviour.disposes &&
      requests.send<boolean>(process, `${name} dispose`, (answer) => {
        const isBusy = Object.keys(process.statusOf(directory)).length > 0;
        if (!isBusy) process.dispose(directory);
        answer(!isBusy);
      }),
    // It writes a file, and asks nothing of the server.
    setToolVariables: () => Promise.resolve(),
    answer: ({ id }: AskFacts, said: AskAnswer, options) =>
      requests.send<void>(
        process,
        `${id} answer`,
        (answer) => {
          if (!process.asks.answer(id, said)) throw world.error('NOT_FOUND', `Permission request not found: ${id}`);
          answer();
        },
        options,
      ),
    endTools(sessionId) {
      process.turnOf(sessionId)?.endTools();
      return Promise.resolve(1);
    },
  };
}

const catalogue: Catalogue = { models: ['alpha/one', 'beta/one'], agents: ['build'], commands: ['do'], defaultModel: 'alpha/one' };

/** Three answers, each true at a time of its own (B). */
async function readDirectory(
  { world, requests, process, activity }: SessionLink,
  directory: string,
  options: PortCall = {},
): Promise<DirectoryFacts> {
  const sinceMs = world.clock.now();
  const seen = new Set<number>();
  const ask = <Value>(what: string, look: () => Value) =>
    requests.send<Value>(
      process,
      `${process.name} ${what} ${directory}`,
      (answer) => {
        seen.add(process.changes);
        answer(look());
      },
      options,
    );
  const [status, permissions, questions] = await Promise.all([
    ask<StatusFacts>('status', () => activity.statusOf(process, directory, world.queue.nowMs)),
    ask<AskFacts[]>('permissions', () => process.asks.list('permission', directory)),
    ask<AskFacts[]>('questions', () => process.asks.list('question', directory)),
  ]);
  if (seen.size > 1) world.count('read-torn');
  return { status: { value: status, sinceMs }, asks: { value: [...permissions, ...questions], sinceMs } };
}

type Life = Pick<ServerPort, 'relaunch' | 'startSuccessor' | 'retire' | 'stop'>;

function lifeOf(link: ServerLink, process: Process): Life {
  const endOne = (one: Process): Promise<void> => {
    one.end({ expected: true });
    return one.exited.promise.then(() => undefined);
  };
  const end = () => endOne(process);
  return {
    async relaunch() {
      // What is left of the old process is ended first.
      if (process.state !== 'ended') await end();
      return createServerPort(link, await link.start());
    },
    async startSuccessor() {
      link.world.count('successor');
      return createServerPort(link, await link.start());
    },
    retire: end,
    // The stop of any handle ends the run: every process on the state.
    stop: () => Promise.all(link.processes.map(endOne)).then(() => undefined),
  };
}
