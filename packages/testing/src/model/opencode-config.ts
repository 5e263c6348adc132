import type { Script } from '../script/types.ts';

/** Context limit told to opencode unless the script names another, in tokens. */
export const defaultContextTokens = 200_000;
const defaultOutputTokens = 32_000;

/** An opencode configuration, as `opencode.json` holds it. @public */
export interface ScriptedOpencodeConfig {
  readonly [key: string]: unknown;
  readonly model: 'scripted/model';
  readonly small_model: 'scripted/small';
  readonly enabled_providers: string[];
  readonly provider: Record<string, unknown>;
}

export interface OpencodeConfigOptions {
  /** Where opencode finds the model, when something stands between them, for example a fault proxy. Default: the model's `url`. */
  readonly baseURL?: string;
}

/** The configuration that makes opencode talk to a scripted model and to nothing else. */
export function opencodeConfigFor(url: string, { model = {} }: Script): ScriptedOpencodeConfig {
  const { inputUsdPerMillion, outputUsdPerMillion } = model;
  const priced = inputUsdPerMillion !== undefined || outputUsdPerMillion !== undefined;
  const description = {
    limit: { context: model.contextTokens ?? defaultContextTokens, output: model.outputTokens ?? defaultOutputTokens },
    tool_call: true,
    ...(priced && { cost: { input: inputUsdPerMillion ?? 0, output: outputUsdPerMillion ?? 0 } }),
  };
  return {
    $schema: 'https://opencode.ai/config.json',
    model: 'scripted/model',
    small_model: 'scripted/small',
    enabled_providers: ['scripted'],
    provider: {
      scripted: {
        name: 'Scripted model',
        npm: '@ai-sdk/openai-compatible',
        options: { baseURL: url, apiKey: 'scripted' },
        models: { model: { name: 'Scripted model', ...description }, small: { name: 'Scripted small model', ...description } },
      },
    },
  };
}
