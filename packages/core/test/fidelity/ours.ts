import { join } from 'node:path';
import type { OpencodeServer } from '@opencode-manager/core';
import type { ScriptedModel } from '@opencode-manager/testing';
import { resolveConfig, type ResolvedConfig } from '../../src/config/index.ts';
import { createWorkspaces, gitEnvironment, prepareStateDirectory, readGitValues, trustedDirectories } from '../../src/isolation/index.ts';
import { findBinary } from '../../src/server/binary.ts';
import { confirmConfiguration } from '../../src/server/confirm.ts';
import { createOpencodeServer } from '../../src/server/opencode-server.ts';
import { lifecycleOf } from '../../src/server/replace.ts';
import type { LaunchPlan } from '../../src/server/launch-plan.ts';
import type { Incarnation, Run } from '../../src/server/run-state.ts';
import { beginRun } from '../../src/server/run.ts';
import { prepareFiles, startIncarnation } from '../../src/server/start.ts';
import { protocolNamed } from '../../src/protocol/index.ts';
import { makeRepository, type PlacedRow } from './place.ts';
import { callOf, normalised, readRoutes, type Json, type Reading } from './reading.ts';
import type { Turn } from './row.ts';

/** A server of ours that is given one configuration after the other. */
export interface Ours extends AsyncDisposable {
  readonly version: string;
  read(placed: PlacedRow): Promise<Reading>;
}

/**
 * Starts the server as `launchServer` does: with the catalogue of models that the binary carries, or without, which most configurations
 * have no use for. What a launch writes before a start is written for each row, and the instances begin anew.
 */
export async function openOurs(root: string, model: ScriptedModel, catalogue: boolean): Promise<Ours> {
  const directory = join(root, 'server');
  await makeRepository(directory);
  const config = await resolveConfig({ directory, opencodeConfig: model.opencodeConfig() });
  const plan = await planOf(config);
  const run = await beginRun(await prepareStateDirectory(config, plan.binary), directory);
  let incarnation: Incarnation | undefined;
  const written = await prepareFiles(run, plan);
  const effective = { ...written, providers: catalogue ? [...written.providers, 'anthropic'] : written.providers };
  const server = await startIncarnation(run, plan, effective, (...parts) => {
    incarnation = parts[3];
    return lifecycleOf(...parts);
  });
  return {
    version: server.version,
    read: (placed) =>
      inEnvironment(placed, async () =>
        normalised(await readRow(run, server, incarnation!, placed, model), replacementsOf(placed, server, model.url)),
      ),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function planOf(config: ResolvedConfig): Promise<LaunchPlan> {
  const { projectConfig } = config;
  const git = await readGitValues(config.git);
  return {
    config,
    binary: await findBinary({}),
    auth: undefined,
    git,
    workspaces: createWorkspaces({
      projectConfig,
      instructionFiles: protocolNamed('v1').configuration.instructionFiles,
      gitEnvironment: gitEnvironment(config, trustedDirectories(git)),
    }),
  };
}

async function readRow(
  run: Run,
  launched: OpencodeServer,
  incarnation: Incarnation,
  placed: PlacedRow,
  model: ScriptedModel,
): Promise<Reading> {
  try {
    const server = await serverOf(run, launched, incarnation, placed);
    const get = (path: string) =>
      launched.client.call<unknown>({ method: 'GET', path, answer: 'json', query: { directory: placed.directory } }, { timeoutMs: 40_000 });
    const routes = await readRoutes(get);
    const turns: Json[] = [];
    for (const turn of placed.row.turns ?? []) turns.push(await haveTurn(server, placed, model, turn));
    return { ...routes, turns };
  } catch (error) {
    return { refused: String((error as { code?: string }).code ?? error) };
  }
}

/** The handle of a server that runs with a row's configuration, or the refusal of its launch. */
async function serverOf(run: Run, launched: OpencodeServer, incarnation: Incarnation, placed: PlacedRow): Promise<OpencodeServer> {
  const { directory } = placed;
  const config = await resolveConfig({
    directory: placed.work,
    ...(placed.configDir !== undefined && { opencodeConfigDir: placed.configDir }),
    ...(placed.configFile !== undefined && { opencodeConfig: placed.configFile }),
  });
  const plan = await planOf(config);
  await plan.workspaces.check(config.directory);
  const effective = await prepareFiles(run, plan);
  await launched.client.call(protocolNamed('v1').process.end()!, { timeoutMs: 40_000 });
  const confirmation = {
    protocol: protocolNamed(plan.binary.protocol),
    expectedVersion: launched.version,
    deadlineAtMs: Date.now() + 40_000,
    installs: false,
    output: () => launched.output(),
    configFiles: [run.state.layout.configFile],
  };
  await confirmConfiguration({ client: launched.client, directory, effective, redactor: config.redactor, ...confirmation });
  return createOpencodeServer({
    runId: run.runId,
    stateDir: run.state.layout.root,
    lifecycle: lifecycleOf(run, plan, effective, incarnation),
    config,
    effective,
    launch: launched.launch,
    parts: (options) => launched.parts(options),
    workspaces: plan.workspaces,
    credentials: launched.credentials(),
    client: launched.client,
    process: incarnation.process,
    version: launched.version,
    protocol: protocolNamed(plan.binary.protocol),
  });
}

async function haveTurn(server: OpencodeServer, { directory }: PlacedRow, model: ScriptedModel, turn: Turn): Promise<Json> {
  const before = model.turnCalls.length;
  try {
    // A title of its own spares the turn that would make one.
    const session = await server.createSession({ directory, title: 'Fidelity' });
    const options = { timeoutMs: 40_000, ...(turn.agent !== undefined && { agent: turn.agent }) };
    if (turn.command === undefined) await session.prompt(turn.prompt ?? '', options);
    else await session.executeCommand(turn.command, turn.arguments ?? '', options);
  } catch (error) {
    return { refused: String((error as { code?: string }).code ?? error) };
  }
  const call = model.turnCalls[before];
  return call ? callOf(turn, call) : { refused: 'nothing reached the model' };
}

function replacementsOf({ root, home, work }: PlacedRow, { stateDir }: OpencodeServer, modelUrl: string): [string, string][] {
  return [
    [join(stateDir, 'config/opencode'), '<CONFIG>'],
    [join(home, '.config/opencode'), '<CONFIG>'],
    [join(stateDir, 'data/opencode'), '<DATA>'],
    [join(stateDir, 'tmp'), '<TMP>'],
    [join(stateDir, 'home'), '<PRIVATE HOME>'],
    [stateDir, '<STATE>'],
    [home, '<HOME>'],
    [work, '<WORK>'],
    [root, '<ROOT>'],
    [modelUrl, '<MODEL>'],
  ];
}

/** This process is the manager: it has the row's home and variables while the row is read. */
async function inEnvironment<Result>({ home, env }: PlacedRow, work: () => Promise<Result>): Promise<Result> {
  const set = { ...env, HOME: home };
  const before = Object.keys(set).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, set);
  try {
    return await work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
