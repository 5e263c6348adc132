import type { OpencodeConfig } from '../../../config/jsonc.ts';
import type { DirectoryFilesInput, ProtocolConfiguration } from '../../configuration.ts';
import { instructionsPlugin } from '../plugins/instructions.ts';
import { listedAsksPlugin } from '../plugins/listed-asks.ts';
import { pacedAnswersPlugin } from '../plugins/paced-answers.ts';
import { toolEnvironmentPlugin } from '../plugins/tool-environment.ts';
import { effectiveConfig } from './effective.ts';
import { withGuardedRules } from './guarded-edits.ts';
import { needsModelCatalogue } from './model-catalogue.ts';

/** The configuration of opencode 1.x, and the plugins of ours that it loads. */
export const configurationV1: ProtocolConfiguration = {
  effective: effectiveConfig,
  needsModelCatalogue,
  text: configText,
  directoryFiles,
  packages: {
    // A plugin without a version is the latest one; a provider's package is asked for as it is written.
    directoryOf: (kind, spec, versioned) => `opencode/packages/${kind === 'plugin' ? versioned : spec}`,
    byInstallation: false,
    configDirectory: true,
  },
  readsAboveRepository: false,
  instructionFiles: ['AGENTS.md', 'CLAUDE.md', 'CONTEXT.md'],
  sessionRules: withGuardedRules,
};

function directoryFiles(input: DirectoryFilesInput): Record<string, string> {
  return {
    'plugin/opencode-manager-tool-environment.js': toolEnvironmentPlugin(input),
    'plugin/opencode-manager-paced-answers.js': pacedAnswersPlugin,
    'plugin/opencode-manager-listed-asks.js': listedAsksPlugin,
    'plugin/opencode-manager-instructions.js': instructionsPlugin(input.instructionsDirectory),
    'opencode.json': configText(referencesOf(input.config)),
  };
}

/** Texts that look like variables are texts by now, and opencode would replace them once more. */
export function configText(config: OpencodeConfig): string {
  return JSON.stringify(config, null, 2).replaceAll(/\{(?=(?:env|file):)/g, '\\u007b');
}

/** opencode resolves these alone from its configuration directory, and not from the file that a variable names. */
function referencesOf(config: OpencodeConfig): OpencodeConfig {
  const references = config['references'] ?? config['reference'];
  return references === undefined ? {} : { references };
}
