import type { Protocol } from '../protocol.ts';
import { readAnswerError } from './answer-error.ts';
import { createCallsV2 } from './calls.ts';
import { isReady } from './catalogue.ts';
import { configurationV2 } from './configuration/configuration.ts';
import { loadedConfiguration } from './configuration/loaded.ts';
import { processV2 } from './process.ts';
import { configurationComplaints } from './server-log.ts';
import { requests } from './requests.ts';
import { streamV2 } from './stream.ts';
import { operationsUsed } from './operations-used.ts';

/** opencode 2.x. */
export const protocolV2: Protocol = {
  name: 'v2',
  versions: { min: '2.0.0', below: '3.0.0', tested: ['2.0.15'] },
  capabilities: {
    todos: false,
    replay: false,
    dispose: false,
    modelPerPrompt: false,
    subtasks: false,
    snapshotsOff: true,
    removableMessages: false,
    toolFiles: false,
    takesPromptsBack: true,
  },
  ids: {
    isSession: (id) => /^ses_[0-9A-Za-z]+$/.test(id),
    isMessage: (id) => id.startsWith('msg_'),
  },
  process: processV2,
  configuration: configurationV2,
  confirmation: {
    version: requests.info,
    configuration: {
      request: requests.config,
      decode: (documents) => loadedConfiguration(documents as Parameters<typeof loadedConfiguration>[0]),
    },
    providers: {
      request: requests.providers,
      decode: (answer) => (answer as { readonly data: readonly { readonly id: string }[] }).data.map(({ id }) => id),
      ready: { request: requests.plugins, decode: (answer) => isReady(answer as Parameters<typeof isReady>[0]) },
    },
    compared: ['username', 'model', 'small_model', 'snapshot', 'share', 'autoupdate', 'enabled_providers'],
    complaints: configurationComplaints,
    untested: { request: requests.openapi, missing: operationsUsed },
  },
  stream: streamV2,
  readError: readAnswerError,
  calls: createCallsV2,
};
