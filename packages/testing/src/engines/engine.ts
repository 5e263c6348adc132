import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A queue engine of a test: a process of its own, on a free port, with data below the temporary directory. */
export interface TestEngine extends AsyncDisposable {
  readonly name: 'redis' | 'postgres';
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it with SIGKILL. Its data stays. */
  kill(): Promise<void>;
  /** Starts it again on its data and its port. */
  restart(): Promise<void>;
}

/** How an engine is run. */
export interface EngineProcess {
  readonly name: TestEngine['name'];
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
  /** Resolves when it answers; rejects until then. */
  readonly probe: () => Promise<void>;
}

/** How long an engine may take to answer, in milliseconds. */
const startMs = 20_000;

const probeMs = 50;

export async function runEngine(engine: EngineProcess): Promise<TestEngine> {
  const { name, url, port, directory } = engine;
  let child = await start(engine);
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return {
    name,
    url,
    port,
    get pid() {
      return child.pid!;
    },
    kill: end,
    async restart() {
      await end();
      child = await start(engine);
    },
    async [Symbol.asyncDispose]() {
      await end();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function start({ name, command, args, uid, gid, directory, probe }: EngineProcess): Promise<ChildProcess> {
  const child = spawn(command, [...args], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
  let said = '';
  child.stderr?.on('data', (text: Buffer) => (said = `${said}${text.toString()}`.slice(-2000)));
  const deadline = performance.now() + startMs;
  for (;;) {
    const isReady = await probe().then(
      () => true,
      () => false,
    );
    if (isReady) return child;
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${name} did not come up within ${startMs} ms. It said: ${said}`);
    }
    await sleep(probeMs);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Sends a line, and gives the first piece of the answer. */
export async function askPort(port: number, bytes: Uint8Array): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(bytes);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer;
  } finally {
    socket.destroy();
  }
}
