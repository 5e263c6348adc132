import type { ProcessSettings, ProtocolProcess } from '../protocol.ts';
import { untoldEnd } from './server-log.ts';

/** The process of `opencode serve --stdio`: it ends with its standard input, and keeps its password from its tools. */
export const processV2: ProtocolProcess = {
  username: 'opencode',
  arguments: (hostname, port) => ['serve', '--stdio', '--hostname', hostname, '--port', String(port)],
  input: 'pipe',
  readyLine: /\{"url":"(http:[^"]+)"\}/,
  portTaken: 'Failed to start server. Is port',
  untoldEnd,
  environment: switches,
  attach: ({ url, directory, sessionId, password }) => ({
    arguments: ['--server', url, ...(sessionId === undefined ? [] : ['--session', sessionId]), directory],
    environment: { OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_PASSWORD: password },
  }),
  ownVariables: [
    'OPENCODE_CONFIG',
    'OPENCODE_CONFIG_PROJECT_DISABLE',
    'OPENCODE_DISABLE_AUTOUPDATE',
    'OPENCODE_DISABLE_MODELS_FETCH',
    'OPENCODE_MODELS_PATH',
    'OPENCODE_FILEWATCHER_DISABLE',
    'OPENCODE_DISABLE_FFF',
    'OPENCODE_CLIENT',
    'OPENCODE_PRINT_LOGS',
    'OPENCODE_LOG_LEVEL',
    'OPENCODE_TERMINAL',
  ],
  // The end of its standard input does that.
  end: () => undefined,
};

function switches({ configFile, projectConfig, noModelsFile, hasRipgrep, password }: ProcessSettings): Record<string, string> {
  return {
    OPENCODE_CONFIG: configFile,
    ...(projectConfig !== 'all' && { OPENCODE_CONFIG_PROJECT_DISABLE: '1' }),
    OPENCODE_DISABLE_AUTOUPDATE: '1',
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    ...(noModelsFile !== undefined && { OPENCODE_MODELS_PATH: noModelsFile }),
    OPENCODE_FILEWATCHER_DISABLE: '1',
    // opencode's other search is a library that it unpacks anew at each start; with ripgrep on PATH nobody needs it.
    ...(hasRipgrep && { OPENCODE_DISABLE_FFF: '1' }),
    OPENCODE_CLIENT: 'opencode-manager',
    // What it leaves out of a configuration, and why a turn never began, it says there alone.
    OPENCODE_PRINT_LOGS: '1',
    OPENCODE_LOG_LEVEL: 'WARN',
    OPENCODE_PASSWORD: password,
  };
}
