// Why the pool passes more prompts than the official SDK, and under which conditions how many: opencode's defaults are taken away from the
// SDK's server one by one, in a small and in a large repository, on servers that are new and on servers that have worked.
//
//   pnpm bench conditions
//
// As in `throughput`, all stand side by side and take turns; the model answers at once, in this process.
import { createSessionPool } from '@opencode-manager/actors';
import { runAtOnce, runSideBySide, type OpenVariant } from '@opencode-manager/bench';
import { launchServer } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { openSdk } from './peers/sdk.ts';
import { measure, shared, warmedUp, withUs } from './support/rounds.ts';

/** Files of the repository: the first variant that asks decides, and all have the same settings. */
let files = 1;

const place = shared(async (stack) => {
  const model = stack.use(await startScriptedModel({ rules: [{ reply: 'Done.' }] }));
  const names = Array.from({ length: files }, (_, index) => `src/${Math.floor(index / 100)}/${index}.txt`);
  const workspace = stack.use(await temporaryWorkspace({ files: Object.fromEntries(names.map((name) => [name, `${name}\n`.repeat(40)])) }));
  return { opencodeConfig: model.opencodeConfig(), directory: workspace.path };
});

const pool: OpenVariant = async ({ concurrency = 10, prompts = 60, warmUp = 0, files: wanted = 1 }, stack) => {
  files = wanted;
  const server = stack.use(await launchServer(await place(stack)));
  const sessions = stack.use(await createSessionPool({ server, maxSessions: concurrency }));
  const one = async () => {
    const { outcome } = await sessions.run({ prompt: 'say done' });
    if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}`);
  };
  return await warmedUp(warmUp, prompts, () => measure(prompts, () => runAtOnce(prompts, prompts, one), withUs(server.pid)));
};

const sdk =
  (choice: { readonly title?: string; readonly config?: object }): OpenVariant =>
  async ({ concurrency = 10, prompts = 60, warmUp = 0, files: wanted = 1 }, stack) => {
    files = wanted;
    const { directory, opencodeConfig } = await place(stack);
    const peer = await openSdk(stack, {
      directory,
      opencodeConfig: { ...opencodeConfig, ...choice.config },
      ...(choice.title !== undefined && { title: choice.title }),
    });
    return await warmedUp(warmUp, prompts, () =>
      measure(prompts, () => runAtOnce(prompts, concurrency, peer.prompt), withUs(peer.serverPid)),
    );
  };

await runSideBySide({
  pool,
  SDK: sdk({}),
  'SDK, titles given': sdk({ title: 'bench' }),
  'SDK, snapshots off': sdk({ config: { snapshot: false } }),
  'SDK, both': sdk({ title: 'bench', config: { snapshot: false } }),
});
