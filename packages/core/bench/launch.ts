// From the call of launchServer to a server that has answered with its own configuration, beside the bare binary in the
// same isolation: to its listening line, and to its first answer about a directory.
//
//   pnpm bench launch
import { runCase, startBareServer, type Metrics } from '@opencode-manager/bench';
import { findBinary, launchServer } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';

await runCase({
  launchServer: launch,
  'listening line': () => bare(async () => {}),
  'first answer': () =>
    bare(async (url, directory) => {
      const answer = await fetch(`${url}/config?directory=${encodeURIComponent(directory)}`);
      await answer.json();
    }),
});

async function launch(): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  const startedAtMs = performance.now();
  await using _server = await launchServer({ directory: workspace.path, opencodeConfig: model.opencodeConfig() });
  return { readyMs: performance.now() - startedAtMs };
}

async function bare(untilReady: (url: string, directory: string) => Promise<void>): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
  const config = { ...model.opencodeConfig(), snapshot: false, lsp: false, formatter: false };
  await using home = await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(config) } });
  const { path: binary } = await findBinary();
  const startedAtMs = performance.now();
  const env = { OPENCODE_DISABLE_DEFAULT_PLUGINS: '1' };
  await using server = await startBareServer({ binary, directory: workspace.path, home: home.path, env });
  await untilReady(server.url, workspace.path);
  return { readyMs: performance.now() - startedAtMs };
}
