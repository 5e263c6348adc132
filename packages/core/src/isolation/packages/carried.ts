/** Packages of providers that opencode carries in its binary; it installs any other one (1.18.33). */
export const carriedPackages: ReadonlySet<string> = new Set([
  '@ai-sdk/alibaba',
  '@ai-sdk/amazon-bedrock',
  '@ai-sdk/amazon-bedrock/mantle',
  '@ai-sdk/anthropic',
  '@ai-sdk/azure',
  '@ai-sdk/cerebras',
  '@ai-sdk/cohere',
  '@ai-sdk/deepinfra',
  '@ai-sdk/gateway',
  '@ai-sdk/github-copilot',
  '@ai-sdk/google',
  '@ai-sdk/google-vertex',
  '@ai-sdk/google-vertex/anthropic',
  '@ai-sdk/groq',
  '@ai-sdk/mistral',
  '@ai-sdk/openai',
  '@ai-sdk/openai-compatible',
  '@ai-sdk/perplexity',
  '@ai-sdk/togetherai',
  '@ai-sdk/vercel',
  '@ai-sdk/xai',
  '@openrouter/ai-sdk-provider',
  'gitlab-ai-provider',
  'venice-ai-sdk-provider',
]);

/** Providers of its catalogue that need another one; checked by `test/catalogued-providers.test.ts`. */
export const cataloguedPackages: Readonly<Record<string, string>> = {
  aihubmix: '@aihubmix/ai-sdk-provider',
  'cloudflare-ai-gateway': 'ai-gateway-provider',
  'merge-gateway': 'merge-gateway-ai-sdk-provider',
  qvac: '@qvac/ai-sdk-provider',
  'salad-cloud': '@saladtechnologies-oss/ai-sdk-provider',
  'sap-ai-core': '@jerome-benoit/sap-ai-provider-v2',
  watsonx: 'watsonx-ai-provider',
};
