// Prompts per second and per CPU-second with an instant scripted model, in one git repository: this pool against
// `opencode run` processes, the official SDK on a server with opencode's defaults, and a bare undici loop on a server of
// our `batch` profile.
//
//   pnpm bench throughput
//
// All of them stand side by side in one process and take turns, a few prompts at a time: what the machine does to one in an hour, it
// does to all. Pool and loop take turns on one server, because two that are started alike differ by a tenth; each is connected to it
// during its own turns alone. CPU is user plus system time of the server and its children or of the `opencode run` processes, and of this process
// (the model server runs in it too, for all of them); who waits for its turn uses next to none.
import { launchServer, findBinary } from '@opencode-manager/core';
import {
  bareLoop,
  cpuSecondsOf,
  privateEnvironment,
  runAtOnce,
  runSideBySide,
  startSyntheticServer,
  type OpenVariant,
} from '@opencode-manager/bench';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { execa } from 'execa';
import { createSessionPool } from '@opencode-manager/actors';
import { EventMonitor } from '@opencode-manager/events';
import { openSdk } from './peers/sdk.ts';
import { measure, shared, warmedUp, withUs } from './support/rounds.ts';

/** `opencode run` processes at a time: one a core. */
const processesAtOnce = 2;

/** Prompts before the first round: a server compiles what it uses often. */
const warmUpPrompts = 20;

/** What all variants share; it goes with the stack. */
const place = shared(async (stack) => {
  const model = stack.use(await startScriptedModel({ rules: [{ reply: 'Done.' }] }));
  const workspace = stack.use(await temporaryWorkspace({ files: { 'a.txt': 'a\n' } }));
  return { opencodeConfig: model.opencodeConfig(), directory: workspace.path };
});

/** The server on which pool and loop take turns. */
const ourServer = shared(async (stack) => stack.use(await launchServer(await place(stack))));

const pool: OpenVariant = async ({ concurrency = 10, prompts = 30 }, stack) => {
  const server = await ourServer(stack);
  // Between its turns the stream's thread stays, warm, because of a monitor of another server.
  const elsewhere = stack.use(await startSyntheticServer());
  stack.use(EventMonitor.open({ credentials: () => elsewhere.credentials() }));
  return await warmedUp(warmUpPrompts, prompts, async () => {
    await using sessions = await createSessionPool({ server, maxSessions: concurrency });
    const one = async () => {
      const { outcome } = await sessions.run({ prompt: 'say done' });
      if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}`);
    };
    // All at once: the pool holds back what has no slot.
    return await measure(prompts, () => runAtOnce(prompts, prompts, one), withUs(server.pid));
  });
};

const undiciLoop: OpenVariant = async ({ concurrency = 10, prompts = 30 }, stack) => {
  const server = await ourServer(stack);
  return await warmedUp(warmUpPrompts, prompts, async () => {
    await using loop = await bareLoop(server);
    return await measure(prompts, () => loop.run(prompts, concurrency), withUs(server.pid));
  });
};

const sdkOnDefaults: OpenVariant = async ({ concurrency = 10, prompts = 30 }, stack) => {
  const sdk = await openSdk(stack, await place(stack));
  return await warmedUp(warmUpPrompts, prompts, () =>
    measure(prompts, () => runAtOnce(prompts, concurrency, sdk.prompt), withUs(sdk.serverPid)),
  );
};

/** Each of them has a warm home of its own: in a shared one the processes fail on locks. */
const runProcesses: OpenVariant = async ({ processes = 4 }, stack) => {
  const { opencodeConfig, directory } = await place(stack);
  const { path: binary } = await findBinary();
  const free = await Promise.all(
    Array.from({ length: processesAtOnce }, async () => {
      const home = stack.use(await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(opencodeConfig) } }));
      const options = { cwd: directory, env: privateEnvironment(home.path), extendEnv: false, stdin: 'ignore' } as const;
      return async () => void (await execa(binary, ['run', 'say done'], options));
    }),
  );
  for (const run of free) await run();
  const one = async () => {
    const run = free.pop()!;
    await run();
    free.push(run);
  };
  return () =>
    measure(
      processes,
      () => runAtOnce(processes, processesAtOnce, one),
      () => cpuSecondsOf('self', 'children'),
    );
};

await runSideBySide({ pool, 'undici loop': undiciLoop, 'SDK, default server': sdkOnDefaults, 'opencode run': runProcesses });
