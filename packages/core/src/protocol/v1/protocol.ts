import type { Protocol } from '../protocol.ts';
import { readAnswerError } from './answer-error.ts';
import { createCallsV1 } from './calls.ts';
import { configurationV1 } from './configuration/configuration.ts';
import { processV1 } from './process.ts';
import { requests, type WireProviders } from './requests.ts';
import { streamV1 } from './stream.ts';

/** opencode 1.x; tested with the version in the lockfile. */
export const protocolV1: Protocol = {
  name: 'v1',
  versions: { min: '1.18.0', below: '2.0.0', tested: ['1.18.33'] },
  capabilities: {
    todos: true,
    replay: true,
    dispose: true,
    modelPerPrompt: true,
    subtasks: true,
    snapshotsOff: true,
    removableMessages: true,
    toolFiles: true,
    takesPromptsBack: false,
  },
  ids: {
    isSession: (id) => /^ses_[0-9A-Za-z]+$/.test(id),
    isMessage: (id) => id.startsWith('msg'),
  },
  process: processV1,
  configuration: configurationV1,
  confirmation: {
    version: requests.health,
    configuration: { request: requests.config, decode: (answer) => answer as Readonly<Record<string, unknown>> },
    providers: { request: requests.providers, decode: (answer) => (answer as WireProviders).providers.map(({ id }) => id) },
    compared: ['username', 'model', 'small_model', 'snapshot', 'share', 'autoupdate', 'enabled_providers'],
  },
  stream: streamV1,
  readError: readAnswerError,
  calls: createCallsV1,
};
