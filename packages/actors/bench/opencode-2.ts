// The same pool on opencode 2 and on opencode 1, and what each choice of the profile `batch` does on opencode 2: it is taken back,
// one at a time, beside the server that has them all.
//
//   pnpm bench opencode-2
//
// As in `throughput`, all stand side by side and take turns; the model answers at once, in this process. With `edits` each
// turn writes a file first: formatters, language servers and snapshots have something to do.
import { createSessionPool } from '@opencode-manager/actors';
import { bareLoop2, opencode2Binary, runAtOnce, runSideBySide, type OpenVariant } from '@opencode-manager/bench';
import { findBinary, launchServer } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';
import { measure, shared, warmedUp, withUs } from './support/rounds.ts';

/** Prompts before the first round: a server compiles what it uses often. */
const warmUpPrompts = 60;

const place = shared(async (stack) => {
  const write = { toolCalls: [{ name: 'write', arguments: { filePath: 'out.ts', content: 'export const x  =  1\n' } }] };
  const model = stack.use(
    await startScriptedModel({
      rules: [
        { name: 'edit', when: { user: /^write/ }, reply: [write, 'Done.'] },
        { name: 'say', reply: 'Done.' },
      ],
    }),
  );
  const workspace = stack.use(await temporaryWorkspace({ files: { 'a.txt': 'a\n', '.prettierrc': '{}\n' } }));
  return { opencodeConfig: model.opencodeConfig(), directory: workspace.path };
});

const binaryOf = { 1: async () => (await findBinary()).path, 2: async () => opencode2Binary() };

const pool =
  (major: 1 | 2, config: object = {}): OpenVariant =>
  async ({ concurrency = 10, prompts = 30, edits = 0 }, stack) => {
    const { directory, opencodeConfig } = await place(stack);
    const server = stack.use(
      await launchServer({ directory, binary: await binaryOf[major](), opencodeConfig: { ...opencodeConfig, ...config } }),
    );
    const sessions = stack.use(await createSessionPool({ server, maxSessions: concurrency }));
    const one = async () => {
      const { outcome } = await sessions.run({ prompt: edits > 0 ? 'write a file' : 'say done' });
      if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}`);
    };
    return await warmedUp(warmUpPrompts, prompts, async () => ({
      ...(await measure(prompts, () => runAtOnce(prompts, prompts, one), withUs(server.pid))),
      residentMb: (await server.residentBytes()) / 2 ** 20,
    }));
  };

/** By plain requests, because a session of ours always has a title. */
const bare =
  (session: { readonly title?: string }): OpenVariant =>
  async ({ concurrency = 10, prompts = 30 }, stack) => {
    const server = stack.use(await launchServer({ ...(await place(stack)), binary: opencode2Binary() }));
    const run = await bareLoop2(server, session);
    return await warmedUp(warmUpPrompts, prompts, () => measure(prompts, () => run(prompts, concurrency), withUs(server.pid)));
  };

await runSideBySide({
  'opencode 2': pool(2),
  'opencode 1': pool(1),
  'snapshots on': pool(2, { snapshot: true }),
  'formatters on': pool(2, { formatter: true }),
  'language servers on': pool(2, { lsp: true }),
  'catalogue of models on': pool(2, { enabled_providers: ['scripted', 'anthropic'] }),
  'plain requests, titles given': bare({ title: 'bench' }),
  'plain requests, titles asked for': bare({}),
});
