import { isManagerError, OpencodeManagerError } from '@opencode-manager/core';
import { loadScript, ScriptError, startScriptedModel, type FileScript, type ScriptedModel } from '@opencode-manager/testing';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { parseCount } from '../options/index.ts';
import type { MockModelFlags } from '../flags.ts';
import { aborted, listenForStop } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm mock-model`: a scripted model until a signal. It is meant to be stopped, so a signal is its normal end. */
export async function mockModel(terminal: Terminal, flags: MockModelFlags): Promise<ExitCode> {
  using signals = listenForStop({ terminal });
  const port = flags.port === undefined ? 0 : parseCount(flags.port, '--port', { min: 0, max: 65_535 });
  await using running = await startModel(await readScript(flags.script), port);
  const config = running.opencodeConfig();
  if (flags.json) terminal.record({ type: 'model', url: running.url, port: running.port, opencode_config: config });
  else {
    terminal.result(running.url);
    terminal.result(JSON.stringify(config, null, 2));
    terminal.notice('Give this configuration to ocm run or ocm serve with --opencode-config FILE. Ctrl-C stops.');
  }
  await aborted(signals.drain);
  if (flags.json) terminal.record({ type: 'done', calls: running.calls.length, most_in_flight: running.maxInFlight });
  else terminal.notice(`${running.calls.length} calls, at most ${running.maxInFlight} at once.`);
  return signals.exitCode ?? exitCodes.ok;
}

async function readScript(path: string): Promise<FileScript> {
  try {
    return await loadScript(path);
  } catch (error) {
    throw error instanceof ScriptError ? new OpencodeManagerError('SCRIPT_INVALID', error.message, { cause: error }) : error;
  }
}

async function startModel(script: FileScript, port: number): Promise<ScriptedModel> {
  try {
    return await startScriptedModel(script, { port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || isManagerError(error)) throw error;
    throw new OpencodeManagerError('PORT_IN_USE', `--port: ${port} is taken. Name another port, or leave it out for a free one.`, {
      cause: error,
    });
  }
}
