import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Script } from '../script/types.ts';
import type { WaitOptions } from '../wait/waiters.ts';
import { handleRequest, ModelState } from './handler.ts';
import { opencodeConfigFor, type OpencodeConfigOptions, type ScriptedOpencodeConfig } from './opencode-config.ts';
import type { RecordedCall, WaitForCallsOptions } from './recorder.ts';

export interface ScriptedModelOptions {
  /** Port on 127.0.0.1. Default: 0, a free one. */
  readonly port?: number;
}

/**
 * A running scripted model.
 *
 * @example
 * await using model = await startScriptedModel({ rules: [{ when: { user: 'ping' }, reply: 'pong' }] })
 * await using server = await launchServer({ opencodeConfig: model.opencodeConfig() })
 * @public
 */
export interface ScriptedModel extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/v1`, the base URL of an OpenAI-compatible provider. */
  readonly url: string;
  readonly port: number;
  /** Every call since the start or the last `reset()`, oldest first, titles and summaries included. */
  readonly calls: readonly RecordedCall[];
  /** The calls that answer turns. */
  readonly turnCalls: readonly RecordedCall[];
  /** Calls of turns that are being answered now. */
  readonly inFlight: number;
  /** The highest number of them at once. */
  readonly maxInFlight: number;
  /**
   * An opencode configuration with this model as `scripted/model`, and no other provider.
   *
   * @example
   * await using proxy = await startFaultProxy({ target: model.url })
   * await launchServer({ opencodeConfig: model.opencodeConfig({ baseURL: proxy.url }) })
   */
  opencodeConfig(options?: OpencodeConfigOptions): ScriptedOpencodeConfig;
  /**
   * Resolves with the calls as soon as that many have come in (answered or not).
   * @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`)
   */
  waitForCalls(count: number, options?: WaitForCallsOptions): Promise<readonly RecordedCall[]>;
  /** Resolves when no call of any purpose is in flight. @throws {@link WaitTimeoutError} (`WAIT_TIMEOUT`) */
  waitForIdle(options?: WaitOptions): Promise<void>;
  /**
   * Forgets the calls and counts anew, with another script when one is given. Calls in flight go on unrecorded.
   * @throws {@link ScriptError} (`SCRIPT_INVALID`); the old script stays then.
   */
  reset(script?: Script): void;
  /** Cuts calls in flight and frees the port. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts an OpenAI-compatible model server that answers by a script: no API key, no network, no chance. Equal
 * conversations get equal answers.
 *
 * @param script - Rules in code, or what `loadScript` read from a file.
 * @example
 * await using model = await startScriptedModel({
 *   rules: [
 *     { when: { user: 'list the files' }, reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'ls' } }] }, 'There they are.'] },
 *     { when: { user: /number (\d+)/ }, reply: { text: 'You said {{user.1}}.', tokensPerSecond: 40 } },
 *   ],
 * })
 * @throws {@link ScriptError} (`SCRIPT_INVALID`); the system's own error (`EADDRINUSE`) when the port is taken.
 * @public
 */
export async function startScriptedModel(script: Script = {}, { port = 0 }: ScriptedModelOptions = {}): Promise<ScriptedModel> {
  const state = new ModelState(script);
  const server = createServer((request, response) => void handleRequest(state, request, response));
  // A kept connection that this side closes while the client sends on it would look like a fault nobody scripted.
  server.keepAliveTimeout = 0;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return modelHandle(state, address.port, async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    state.closing.abort();
    server.closeAllConnections();
    await closed;
  });
}

function modelHandle(state: ModelState, port: number, stop: () => Promise<void>): ScriptedModel {
  const url = `http://127.0.0.1:${port}/v1`;
  return {
    url,
    port,
    get calls() {
      return state.recorder.calls;
    },
    get turnCalls() {
      return state.recorder.calls.filter(({ purpose }) => purpose === 'turn');
    },
    get inFlight() {
      return state.recorder.inFlight;
    },
    get maxInFlight() {
      return state.recorder.maxInFlight;
    },
    opencodeConfig: ({ baseURL = url } = {}) => opencodeConfigFor(baseURL, state.script),
    waitForCalls: (count, options) => state.recorder.waitForCalls(count, options),
    waitForIdle: (options) => state.recorder.waitForIdle(options),
    reset: (script = state.script) => state.reset(script),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
