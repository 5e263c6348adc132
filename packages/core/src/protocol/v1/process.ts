import type { ProcessSettings, ProtocolProcess } from '../protocol.ts';
import { requests } from './requests.ts';

/** The process of `opencode serve`. */
export const processV1: ProtocolProcess = {
  username: 'opencode-manager',
  arguments: (hostname, port) => ['serve', '--hostname', hostname, '--port', String(port)],
  input: 'ignore',
  readyLine: /opencode server listening on (http:\/\/\S+)/,
  // It says no more than that.
  portTaken: 'ServeError',
  environment: switches,
  attach: ({ url, directory, sessionId, username, password }) => ({
    arguments: ['attach', url, '--dir', directory, ...(sessionId === undefined ? [] : ['--session', sessionId])],
    environment: {
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
      OPENCODE_SERVER_USERNAME: username,
      OPENCODE_SERVER_PASSWORD: password,
    },
  }),
  ownVariables: [
    'OPENCODE_CONFIG',
    'OPENCODE_TEST_MANAGED_CONFIG_DIR',
    'OPENCODE_DISABLE_PROJECT_CONFIG',
    'OPENCODE_DISABLE_CLAUDE_CODE',
    'OPENCODE_DISABLE_CLAUDE_CODE_SKILLS',
    'OPENCODE_DISABLE_EXTERNAL_SKILLS',
    'OPENCODE_DISABLE_DEFAULT_PLUGINS',
    'OPENCODE_DISABLE_AUTOUPDATE',
    'OPENCODE_DISABLE_MODELS_FETCH',
    'OPENCODE_MODELS_PATH',
    'OPENCODE_DISABLE_LSP_DOWNLOAD',
    'OPENCODE_DISABLE_SHARE',
    'OPENCODE_DISABLE_EMBEDDED_WEB_UI',
    'OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER',
    'OPENCODE_DISABLE_FFF',
    'OPENCODE_CLIENT',
    'OPENCODE_ENABLE_QUESTION_TOOL',
    'OPENCODE_SERVER_USERNAME',
  ],
  end: () => requests.disposeAll(),
};

function switches(settings: ProcessSettings): Record<string, string> {
  return {
    OPENCODE_CONFIG: settings.configFile,
    OPENCODE_TEST_MANAGED_CONFIG_DIR: settings.managedDirectory,
    // Where the project's configuration counts, so does its CLAUDE.md.
    ...(settings.projectConfig === 'all'
      ? { OPENCODE_DISABLE_CLAUDE_CODE_SKILLS: '1' }
      : { OPENCODE_DISABLE_PROJECT_CONFIG: '1', OPENCODE_DISABLE_CLAUDE_CODE: '1' }),
    OPENCODE_DISABLE_EXTERNAL_SKILLS: '1',
    // With the default plugins off, opencode knows no OAuth log-ins.
    ...(!settings.allowOAuth && { OPENCODE_DISABLE_DEFAULT_PLUGINS: '1' }),
    OPENCODE_DISABLE_AUTOUPDATE: '1',
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    ...(settings.noModelsFile !== undefined && { OPENCODE_MODELS_PATH: settings.noModelsFile }),
    OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
    OPENCODE_DISABLE_SHARE: '1',
    OPENCODE_DISABLE_EMBEDDED_WEB_UI: '1',
    OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER: '1',
    // opencode's other search is a library that it unpacks anew at each start; with ripgrep on PATH nobody needs it.
    ...(settings.hasRipgrep && { OPENCODE_DISABLE_FFF: '1' }),
    // Not `cli`, `app` or `desktop`: those get the question tool, which nobody answers in a batch.
    OPENCODE_CLIENT: 'opencode-manager',
    ...(settings.questions && { OPENCODE_ENABLE_QUESTION_TOOL: '1' }),
    OPENCODE_SERVER_USERNAME: settings.username,
    OPENCODE_SERVER_PASSWORD: settings.password,
  };
}
